"""Whether a data set's splits are apart: no sound twice, no group in two of them."""

import hashlib
from collections.abc import Sequence

from audioprobe.audio.windowing import Windowing, read_windows
from audioprobe.errors import AudioReadError, InvalidInputError
from audioprobe.protocols import Dataset
from audioprobe.types import Clip

_SHOWN = 3


def duplicates(
    dataset: Dataset, splits: Sequence[str] | None = None
) -> tuple[tuple[str, ...], ...]:
    """Ids of clips that sound exactly the same, one tuple for each sound that comes again.

    Every clip is decoded for it; what is compared is the hash of the samples. A clip that cannot be
    read takes no part.

    Args:
        dataset: with one or more splits.
        splits: those to look at; None takes all.
    """
    ids: dict[str, list[str]] = {}
    for split in dataset.splits if splits is None else splits:
        for clip in dataset.clips(split):
            try:
                digest = _digest(clip)
            except AudioReadError:  # what cannot be heard cannot leak; its use will tell of it
                continue
            ids.setdefault(digest, []).append(clip.id)
    return tuple(tuple(same) for same in ids.values() if len(same) > 1)


def _digest(clip: Clip) -> str:
    """Hash of a clip's samples, of which a window at a time is in memory."""
    content = hashlib.sha256()
    for window in read_windows(clip, Windowing()):
        content.update(f"{window.start}\t{window.waveform.digest()}\n".encode())
    return content.hexdigest()


def refuse_leaks(dataset: Dataset, splits: Sequence[str] | None = None) -> None:
    """Refuse a data set in which two splits share a group or a sound.

    What is learned from one split could then be recognised in the other, rather than known. A clip
    that cannot be read takes no part.

    Args:
        dataset: with two or more splits.
        splits: those to compare; None takes all.

    Raises:
        InvalidInputError: names groups, or clips, and their splits.
    """
    split_of: dict[str, str] = {}
    splits_of: dict[str, dict[str, None]] = {}  # of a group, in order
    for split in dataset.splits if splits is None else splits:
        for clip in dataset.clips(split):
            split_of[clip.id] = split
            if clip.group is not None:
                splits_of.setdefault(clip.group, {})[split] = None
    _refuse("groups are", [f"{g} ({', '.join(s)})" for g, s in splits_of.items() if len(s) > 1])
    again = duplicates(dataset, splits)
    shared = [ids for ids in again if len({split_of[name] for name in ids}) > 1]
    _refuse("sounds are", [", ".join(f"{n} ({split_of[n]})" for n in ids) for ids in shared])


def _refuse(what: str, leaks: Sequence[str]) -> None:
    if leaks:
        shown = "; ".join(leaks[:_SHOWN]) + ("; ..." if len(leaks) > _SHOWN else "")
        raise InvalidInputError(
            f"{len(leaks)} {what} in more than one split: {shown}. Keep each in one of them."
        )
