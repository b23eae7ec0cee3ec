"""How near captions are to those that people wrote.

The measure is the first half of FENSE (Zhou et al. 2022): the mean cosine of sentence embeddings
between a caption and its references. The second half, a detector of errors in fluency, is left out,
for its weights come from a hub; whether captions are fluent is for you to read. Measures that count
words, such as CIDEr or SPICE, need Java or give high marks to wrong sources in right phrases.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.vectorized_metrics import mean
from audioprobe.normalization import nfc
from audioprobe.protocols import TextEmbedder
from audioprobe.scorers.directions import directions
from audioprobe.types import Estimate


@dataclass(frozen=True, slots=True)
class CaptionQuality:
    """Similarity of captions with their references.

    Attributes:
        similarity: mean over clips, in [-1, 1], with its interval.
        chance: the same with every clip's references exchanged for the next clip's: what a caption
            gets for being a caption; None where there is one clip.
        by_clip: of each clip.
        missing: clips with references and without a caption; they are in neither number.
    """

    similarity: Estimate
    chance: Estimate | None
    by_clip: Mapping[str, float]
    missing: tuple[str, ...]


def caption_quality(
    captions: Mapping[str, str],
    references: Mapping[str, Sequence[str]],
    embedder: TextEmbedder,
    *,
    bootstrap: Bootstrap | None = None,
    groups: Mapping[str, Hashable] | None = None,
) -> CaptionQuality:
    """Compare captions with references.

    Args:
        captions: of a model, by clip.
        references: that people wrote, one or more for each clip.
        embedder: of sentences.
        bootstrap: how intervals are computed.
        groups: of clips, resampled together.

    Raises:
        InvalidInputError: if no clip has both, or a clip has no reference.
    """
    empty = [clip for clip, texts in references.items() if not texts or isinstance(texts, str)]
    if empty:
        raise InvalidInputError(f"Clip {empty[0]!r} needs a list of at least one reference.")
    captions = {nfc(clip): nfc(text) for clip, text in captions.items()}
    references = {nfc(clip): [nfc(text) for text in texts] for clip, texts in references.items()}
    clips = [clip for clip in references if clip in captions]
    if not clips:
        raise InvalidInputError("No clip has both a caption and references.")
    said = directions(embedder, [captions[clip] for clip in clips])
    texts = [text for clip in clips for text in references[clip]]
    rows = iter(directions(embedder, texts))
    wanted = [np.stack([next(rows) for _ in references[clip]]) for clip in clips]
    own = [float((w @ s).mean()) for s, w in zip(said, wanted, strict=True)]
    next_one = [*wanted[1:], wanted[0]]
    other = [float((w @ s).mean()) for s, w in zip(said, next_one, strict=True)]
    resampled = bootstrap or Bootstrap()
    owners = {nfc(clip): group for clip, group in (groups or {}).items()}
    of_clip = [owners.get(clip, clip) for clip in clips] if groups else None
    return CaptionQuality(
        resampled.estimate(mean(own), len(clips), groups=of_clip),
        resampled.estimate(mean(other), len(clips), groups=of_clip) if len(clips) > 1 else None,
        dict(zip(clips, own, strict=True)),
        tuple(clip for clip in references if clip not in captions),
    )
