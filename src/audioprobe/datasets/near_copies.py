"""Find near copies: recordings that contain the same part of one original recording.

`leakage.duplicates` finds identical samples. Recordings are also reused with another level, sample
rate, codec, start or end; such copies in two splits are leaks, too.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from audioprobe.audio.alignment import aligned_similarity
from audioprobe.audio.fingerprints import RATE_HZ, ComparableSound, FingerprintMatch, matches
from audioprobe.audio.windowing import read_waveform
from audioprobe.errors import AudioReadError, InvalidInputError, UnsupportedInputError
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress
from audioprobe.protocols import Dataset
from audioprobe.types import Clip

THRESHOLD = 0.5
"""Default minimum similarity of near copies."""

_MIN_INDEPENDENT = 400  # common parts with fewer independent values need a higher similarity
_MAX_OFFSETS = 3  # offsets that are tried per pair
_SURE = 0.9  # no other offset is tried at this similarity


@dataclass(frozen=True, slots=True, kw_only=True)
class NearCopy:
    """Two clips that contain the same part of one original recording.

    Attributes:
        first: id of a clip.
        second: id of the other clip; `first` is before `second` in the order of texts.
        similarity: similarity of the loudest common part, from the threshold to 1.
        offset: seconds to add to a time in the first clip to get the time in the second clip. Times
            are counted from the start of the clip, not of its file.
    """

    first: str
    second: str
    similarity: float
    offset: float


@dataclass(frozen=True, slots=True)
class NearCopies:
    """Result of a search for near copies.

    Attributes:
        pairs: the pairs, the most similar first.
        not_compared: clips that were not compared: the reason, keyed by clip id.
    """

    pairs: tuple[NearCopy, ...]
    not_compared: Mapping[str, str]


def near_copies(
    clips: Iterable[Clip],
    *,
    parts: Mapping[str, str] | None = None,
    threshold: float = THRESHOLD,
    progress: ProgressCallback = ignore_progress,
) -> NearCopies:
    """Return the pairs of clips that contain the same part of one original recording.

    A copy may have another level, polarity, sample rate (at least 8 kHz) or lossy codec, its ends
    may be cut, faded or padded with silence, and noise may be added (30 dB below the sound, or
    less). Copies with changed speed or pitch are outside this promise, and so are mixtures with
    other sounds, echoes, copies without the loudest part of the original, clips below 0.1 s, and
    clicks. Different recordings of one source, such as two strokes of one drum, are not near
    copies. Exceptions are strokes of one cymbal or bell, whose similarity may reach 0.9, the same
    note of two synthesizers (0.7), and pure tones of the same frequency (1).

    A clip is compared with the 50 clips whose fingerprints are most similar, so a recording with
    more copies than this may not be in a pair with each of them. 2,400 clips (2.7 hours) take about
    two minutes on one core. All clips are in memory: 21 kB per second of audio.

    Args:
        clips: clips with unique ids, in any order; the order does not change the result.
        parts: part (such as split or package) of each clip id. Clips of the same part are not
            compared. None compares all clips.
        threshold: minimum similarity of a pair. Short or low sounds need (1 + threshold) / 2.
        progress: called with the number of clips read, and of pairs compared.

    Raises:
        InvalidInputError: if two clips have the same id, if a clip has no part, or if the threshold
            is not in (0, 1].
    """
    ordered = sorted(clips, key=lambda clip: clip.id)
    _check(ordered, parts, threshold)
    sounds: dict[str, ComparableSound] = {}
    not_compared: dict[str, str] = {}
    for n, clip in enumerate(ordered, 1):
        try:
            sounds[clip.id] = ComparableSound.from_waveform(read_waveform(clip))
        except (AudioReadError, UnsupportedInputError) as error:
            not_compared[clip.id] = str(error)
        progress(
            ProgressEvent(stage="read", done=n, total=len(ordered), n_failed=len(not_compared))
        )
    numbers = None
    if parts is not None:
        by_name = {part: n for n, part in enumerate(sorted(set(parts.values())))}
        numbers = [by_name[parts[clip_id]] for clip_id in sounds]
    candidates = matches(tuple(sounds.values()), numbers)
    pairs = _confirmed(sounds, candidates, threshold, progress)
    pairs.sort(key=lambda pair: (-pair.similarity, pair.first, pair.second))
    return NearCopies(tuple(pairs), not_compared)


def near_copies_between_splits(
    dataset: Dataset,
    splits: Sequence[str] | None = None,
    *,
    threshold: float = THRESHOLD,
    progress: ProgressCallback = ignore_progress,
) -> NearCopies:
    """Return the near copies that are in different splits; see `near_copies`.

    If `splits` is None, all splits are compared.

    Raises:
        InvalidInputError: for the reasons of `near_copies`, or for an unknown split.
    """
    clips = {
        split: dataset.clips(split) for split in (dataset.splits if splits is None else splits)
    }
    return near_copies(
        [clip for items in clips.values() for clip in items],
        parts={clip.id: split for split, items in clips.items() for clip in items},
        threshold=threshold,
        progress=progress,
    )


def _check(clips: Sequence[Clip], parts: Mapping[str, str] | None, threshold: float) -> None:
    if not 0 < threshold <= 1:
        raise InvalidInputError(f"threshold must be greater than 0 and at most 1, got {threshold}.")
    for clip_id, same in groupby(clip.id for clip in clips):
        if len(list(same)) > 1:
            raise InvalidInputError(
                f"Expected unique clip ids, but {clip_id!r} occurs several times. Pass each clip "
                "once."
            )
        if parts is not None and clip_id not in parts:
            raise InvalidInputError(
                f"Expected the part of each clip, but {clip_id!r} has none. Add it to `parts`."
            )


def _confirmed(
    sounds: Mapping[str, ComparableSound],
    candidates: Sequence[FingerprintMatch],
    threshold: float,
    progress: ProgressCallback,
) -> list[NearCopy]:
    """Return the pairs among the candidates whose waveforms are similar enough."""
    ids = tuple(sounds)
    pairs = []
    for (n, m), items in groupby(candidates, key=lambda c: (c.first, c.second)):
        first, second = sounds[ids[n]], sounds[ids[m]]
        best = _best_alignment(first, second, _distinct_offsets(items), threshold)
        if best is not None:
            similarity, offset = best
            pairs.append(
                NearCopy(first=ids[n], second=ids[m], similarity=similarity, offset=offset)
            )
        progress(ProgressEvent(stage="compare", done=n + 1, total=len(ids)))
    return pairs


def _distinct_offsets(candidates: Iterable[FingerprintMatch]) -> list[int]:
    """Return offsets in rows, that of the highest cosine first, without close neighbours."""
    offsets: list[int] = []
    for candidate in sorted(candidates, key=lambda c: -c.cosine):
        if all(abs(candidate.offset - offset) > 1 for offset in offsets):
            offsets.append(candidate.offset)
    return offsets[:_MAX_OFFSETS]


def _best_alignment(
    first: ComparableSound, second: ComparableSound, offsets: Sequence[int], threshold: float
) -> tuple[float, float] | None:
    """Return the highest similarity and its offset in seconds; None if none is high enough."""
    best: tuple[float, float] | None = None
    for offset in offsets:
        aligned = aligned_similarity(first, second, offset)
        if aligned is None:
            continue
        is_simple = aligned.n_independent < _MIN_INDEPENDENT
        minimum = (1 + threshold) / 2 if is_simple else threshold
        if aligned.similarity >= minimum and (best is None or aligned.similarity > best[0]):
            best = aligned.similarity, aligned.offset / RATE_HZ
        if best is not None and best[0] >= _SURE:
            break
    return best
