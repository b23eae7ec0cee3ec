"""Quality of captions: similarity with human captions, and with the audio itself."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from audioprobe.audio.windowing import Windowing, read_windows
from audioprobe.errors import AudioReadError, InvalidInputError
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.vectorized_metrics import mean
from audioprobe.protocols import JointEncoder, TextEmbedder
from audioprobe.scorers.embedding import unit_vectors
from audioprobe.texts import nfc
from audioprobe.types import Clip, Estimate, FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionQuality:
    """Similarity of captions with references: captions written by humans, or audio.

    Attributes:
        similarity: mean similarity over clips, in [-1, 1], with its confidence interval.
        chance: baseline: mean similarity of each caption with the references of the next clip;
            None for a single clip.
        by_clip: similarity of each caption, keyed by clip id.
        missing: ids of clips that have references but no caption; not included in the means.
        unreadable: causes by id of clips whose audio cannot be read; not included in the means.
    """

    similarity: Estimate
    chance: Estimate | None
    by_clip: Mapping[str, float]
    missing: tuple[str, ...]
    unreadable: Mapping[str, str] = field(default_factory=dict)


def caption_quality(
    captions: Mapping[str, str],
    references: Mapping[str, Sequence[str]],
    embedder: TextEmbedder,
    *,
    bootstrap: Bootstrap | None = None,
    groups: Mapping[str, Hashable] | None = None,
) -> CaptionQuality:
    """Compute the similarity of captions with references, that is, captions written by humans.

    It is the mean cosine of the sentence embeddings of a caption and its references, as in FENSE
    (Zhou et al. 2022). FENSE's second part, a detector of fluency errors, is left out because its
    weights must be downloaded. Word-based metrics, such as CIDEr or SPICE, need Java or give high
    scores to captions with common phrases but wrong sound sources.

    Args:
        captions: captions of a model, keyed by clip id.
        references: one or more human captions, keyed by clip id.
        embedder: model that computes the sentence embeddings.
        bootstrap: settings of the confidence intervals; None uses the defaults.
        groups: group of each clip, such as its recording site, keyed by clip id. The bootstrap
            resamples groups instead of clips.

    Raises:
        InvalidInputError: if no clip has both a caption and references, or if a list of references
            is empty.
    """
    empty = [clip for clip, texts in references.items() if not texts or isinstance(texts, str)]
    if empty:
        raise InvalidInputError(f"Expected at least one reference for clip {empty[0]!r}, got none.")
    captions = _normalized(captions)
    references = {nfc(clip): [nfc(text) for text in texts] for clip, texts in references.items()}
    clips = [clip for clip in references if clip in captions]
    _check_not_empty(clips, "references")
    texts = [text for clip in clips for text in references[clip]]
    ends = np.cumsum([len(references[clip]) for clip in clips])[:-1]
    return _quality(
        dict(zip(clips, unit_vectors(embedder, [captions[clip] for clip in clips]), strict=True)),
        np.split(unit_vectors(embedder, texts), ends),
        estimate=_estimator(bootstrap, groups, clips),
        missing=tuple(clip for clip in references if clip not in captions),
    )


def audio_similarity(
    captions: Mapping[str, str],
    clips: Iterable[Clip],
    encoder: JointEncoder,
    *,
    windowing: Windowing | None = None,
    bootstrap: Bootstrap | None = None,
) -> CaptionQuality:
    """Compute the similarity of captions with the audio of their clips; no references are needed.

    It is the cosine of the embeddings of caption and audio in a joint space such as that of CLAP
    ("CLAP similarity"); a clip with several windows has their mean. The encoder has limits of its
    own: a caption that names what the encoder does not know has a low similarity. Compare with
    `chance`, and not with other encoders.

    Args:
        captions: captions of a model, keyed by clip id.
        clips: clips with audio. Their groups, if any, are resampled by the bootstrap.
        encoder: joint encoder of audio and text.
        windowing: how recordings are cut into windows.
        bootstrap: settings of the confidence intervals; None uses the defaults.

    Raises:
        InvalidInputError: if no clip has both a caption and readable audio, or if an embedding is
            zero or not finite.
    """
    captions = _normalized(captions)
    items = list(clips)
    unreadable: dict[str, str] = {}
    n_windows: dict[str, int] = {}

    def waveforms() -> Iterator[FloatArray]:
        for clip in items:
            if clip.id not in captions:
                continue
            try:
                windows = [w.waveform for w in read_windows(clip, windowing or Windowing())]
            except AudioReadError as error:
                unreadable[clip.id] = str(error)
                continue
            n_windows[clip.id] = len(windows)
            yield from encoder.embed_audio(windows)

    vectors = list(waveforms())
    _check_not_empty(n_windows, "readable audio")
    audio = _units(np.stack(vectors), "audio")
    texts = _units(encoder.embed_texts([captions[clip] for clip in n_windows]), "captions")
    groups = {clip.id: clip.group for clip in items if clip.group is not None}
    return _quality(
        dict(zip(n_windows, texts, strict=True)),
        np.split(audio, np.cumsum(list(n_windows.values()))[:-1]),
        estimate=_estimator(bootstrap, groups, list(n_windows)),
        missing=tuple(clip.id for clip in items if clip.id not in captions),
        unreadable=unreadable,
    )


def _quality(
    captions: Mapping[str, FloatArray],
    references: Sequence[FloatArray],
    *,
    estimate: Callable[[list[float]], Estimate],
    missing: tuple[str, ...],
    unreadable: Mapping[str, str] | None = None,
) -> CaptionQuality:
    """Return the mean cosine of the unit vectors of captions and of their references."""

    def similarities(of_clips: Sequence[FloatArray]) -> list[float]:
        pairs = zip(captions.values(), of_clips, strict=True)
        return [float((vectors @ caption).mean()) for caption, vectors in pairs]

    matching = similarities(references)
    unrelated = similarities([*references[1:], references[0]])
    return CaptionQuality(
        similarity=estimate(matching),
        chance=estimate(unrelated) if len(captions) > 1 else None,
        by_clip=dict(zip(captions, matching, strict=True)),
        missing=missing,
        unreadable=unreadable or {},
    )


def _estimator(
    bootstrap: Bootstrap | None, groups: Mapping[str, Hashable] | None, clips: Sequence[str]
) -> Callable[[list[float]], Estimate]:
    """Return a function from values of the clips to their mean with its confidence interval."""
    resampling = bootstrap or Bootstrap()
    group_of = {nfc(clip): group for clip, group in (groups or {}).items()}
    clip_groups = [group_of.get(clip, clip) for clip in clips] if groups else None
    return lambda values: resampling.estimate(mean(values), len(clips), groups=clip_groups)


def _normalized(captions: Mapping[str, str]) -> dict[str, str]:
    return {nfc(clip): nfc(text) for clip, text in captions.items()}


def _check_not_empty(clips: Iterable[str], what: str) -> None:
    if not list(clips):
        raise InvalidInputError(f"No clip has both a caption and {what}. Check the clip ids.")


def _units(vectors: FloatArray, what: str) -> FloatArray:
    lengths = np.linalg.norm(np.asarray(vectors, dtype=np.float64), axis=1, keepdims=True)
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        raise InvalidInputError(f"An embedding of the {what} is zero or not finite.")
    units: FloatArray = vectors / lengths
    return units
