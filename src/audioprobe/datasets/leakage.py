"""Find leaks between splits: identical audio, or clips of the same group in two splits."""

import hashlib
from collections.abc import Sequence

from audioprobe.audio.windowing import Windowing, read_windows
from audioprobe.errors import AudioReadError, InvalidInputError
from audioprobe.protocols import Dataset

_N_EXAMPLES = 3  # in messages


def duplicates(
    dataset: Dataset, splits: Sequence[str] | None = None
) -> tuple[tuple[str, ...], ...]:
    """Return the ids of clips with identical samples, one tuple for each group of duplicates.

    Clips that cannot be read are skipped. If `splits` is None, all splits are checked.
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
    """Raise if clips of one group, or clips with identical samples, are in different splits.

    A model could recognise such clips from training instead of generalising. Clips that cannot be
    read are skipped. If `splits` is None, all splits are compared.

    Raises:
        InvalidInputError: if a leak is found. The message names groups or clips with their splits.
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
    """Raise if there are leaks; each leak is a text that names a group or clips with splits."""
    if leaks:
        shown = "; ".join(leaks[:_N_EXAMPLES]) + ("; ..." if len(leaks) > _N_EXAMPLES else "")
        raise InvalidInputError(
            f"Expected each group and each recording in one split, but {len(leaks)} {what} are in "
            f"more than one split: {shown}. Move their clips to one split, or remove them."
        )
