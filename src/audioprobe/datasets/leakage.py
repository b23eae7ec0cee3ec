"""Detection of leaks between splits: identical audio or shared groups."""

import hashlib
from collections.abc import Sequence

from audioprobe.audio.windowing import Windowing, read_windows
from audioprobe.errors import AudioReadError, InvalidInputError
from audioprobe.protocols import Dataset

_N_EXAMPLES = 3  # in messages


def duplicates(
    dataset: Dataset, splits: Sequence[str] | None = None
) -> tuple[tuple[str, ...], ...]:
    """Return the ids of clips that have identical samples, one tuple per set of duplicates.

    Every clip is decoded, and hashes of the samples are compared. Unreadable clips are skipped.

    Args:
        dataset: the data set to check.
        splits: splits to check; None checks all.
    """
    ids: dict[str, list[str]] = {}
    for split in dataset.splits if splits is None else splits:
        for clip in dataset.clips(split):
            content = hashlib.sha256()
            try:
                for window in read_windows(clip, Windowing()):
                    content.update(f"{window.start}\t{window.waveform.digest()}\n".encode())
            except AudioReadError:
                continue
            ids.setdefault(content.hexdigest(), []).append(clip.id)
    return tuple(tuple(same) for same in ids.values() if len(same) > 1)


def refuse_leaks(dataset: Dataset, splits: Sequence[str] | None = None) -> None:
    """Raise if two splits share a group of clips or identical audio.

    A model could recognise leaked clips instead of generalising. Unreadable clips are skipped.

    Args:
        dataset: a data set with two or more splits.
        splits: splits to compare; None compares all.

    Raises:
        InvalidInputError: if a leak is found. The message names the groups or clips, and the
            splits.
    """
    split_of_clip: dict[str, str] = {}
    splits_of_group: dict[str, dict[str, None]] = {}
    for split in dataset.splits if splits is None else splits:
        for clip in dataset.clips(split):
            split_of_clip[clip.id] = split
            if clip.group is not None:
                splits_of_group.setdefault(clip.group, {})[split] = None
    groups = [f"{g} ({', '.join(s)})" for g, s in splits_of_group.items() if len(s) > 1]
    _refuse("groups", groups)
    leaks = [
        ", ".join(f"{name} ({split_of_clip[name]})" for name in ids)
        for ids in duplicates(dataset, splits)
        if len({split_of_clip[name] for name in ids}) > 1
    ]
    _refuse("recordings", leaks)


def _refuse(what: str, leaks: Sequence[str]) -> None:
    if leaks:
        shown = "; ".join(leaks[:_N_EXAMPLES]) + ("; ..." if len(leaks) > _N_EXAMPLES else "")
        raise InvalidInputError(
            f"{len(leaks)} {what} are in more than one split: {shown}. Keep each group and each "
            "recording in one split."
        )
