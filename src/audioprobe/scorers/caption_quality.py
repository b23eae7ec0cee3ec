"""Similarity of captions with references, that is, captions written by humans.

The similarity is the mean cosine of the sentence embeddings of a caption and its references, as in
FENSE (Zhou et al. 2022). FENSE's second part, a detector of fluency errors, is left out because its
weights must be downloaded. Word-based metrics, such as CIDEr or SPICE, need Java or give high
scores to captions with common phrases but wrong sound sources.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.vectorized_metrics import mean
from audioprobe.protocols import TextEmbedder
from audioprobe.scorers.embedding import unit_vectors
from audioprobe.texts import nfc
from audioprobe.types import Estimate


@dataclass(frozen=True, slots=True)
class CaptionQuality:
    """Similarity of captions with their references.

    Attributes:
        similarity: mean similarity over clips, in [-1, 1], with its confidence interval.
        chance: baseline: mean similarity of each caption with the references of the next clip;
            None for a single clip.
        by_clip: similarity by clip id.
        missing: ids of clips that have references but no caption; not included in the means.
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
    """Compute the similarity of captions with references.

    Args:
        captions: captions of a model, by clip id.
        references: one or more human captions, by clip id.
        embedder: model that computes the sentence embeddings.
        bootstrap: settings of the confidence intervals; None uses the defaults.
        groups: group of each clip, such as its recording site, by clip id. The bootstrap resamples
            groups instead of clips.

    Raises:
        InvalidInputError: if no clip has both a caption and references, or if a list of references
            is empty.
    """
    empty = [clip for clip, texts in references.items() if not texts or isinstance(texts, str)]
    if empty:
        raise InvalidInputError(f"Expected at least one reference for clip {empty[0]!r}, got none.")
    captions = {nfc(clip): nfc(text) for clip, text in captions.items()}
    references = {nfc(clip): [nfc(text) for text in texts] for clip, texts in references.items()}
    clips = [clip for clip in references if clip in captions]
    if not clips:
        raise InvalidInputError("No clip has both a caption and references. Check the clip ids.")
    caption_vectors = unit_vectors(embedder, [captions[clip] for clip in clips])
    texts = [text for clip in clips for text in references[clip]]
    ends = np.cumsum([len(references[clip]) for clip in clips])[:-1]
    of_clips = np.split(unit_vectors(embedder, texts), ends)
    resampling = bootstrap or Bootstrap()
    group_of = {nfc(clip): group for clip, group in (groups or {}).items()}
    clip_groups = [group_of.get(clip, clip) for clip in clips] if groups else None

    def similarities(reference_vectors: Sequence[np.ndarray]) -> list[float]:
        pairs = zip(caption_vectors, reference_vectors, strict=True)
        return [float((vectors @ caption).mean()) for caption, vectors in pairs]

    def estimate(values: list[float]) -> Estimate:
        return resampling.estimate(mean(values), len(clips), groups=clip_groups)

    matching = similarities(of_clips)
    unrelated = similarities([*of_clips[1:], of_clips[0]])
    return CaptionQuality(
        similarity=estimate(matching),
        chance=estimate(unrelated) if len(clips) > 1 else None,
        by_clip=dict(zip(clips, matching, strict=True)),
        missing=tuple(clip for clip in references if clip not in captions),
    )
