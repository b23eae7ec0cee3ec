"""Reference labels of clips as a boolean matrix, with checks of ids and spellings."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.texts import nfc
from audioprobe.types import BoolArray

_SHOWN = 5  # maximum number of label names in a message


def targets_of(
    truth: Mapping[str, tuple[str, ...]], clip_ids: tuple[str, ...], labels: tuple[str, ...]
) -> BoolArray:
    """Return a boolean matrix, shape (n_clips, n_labels): True where a clip has a label.

    Ids and labels are compared in Unicode NFC and without surrounding spaces.

    Args:
        truth: reference labels by clip id; it may contain additional clips and labels.
        clip_ids: clip ids of the rows.
        labels: labels of the columns.

    Raises:
        InvalidInputError: if a clip is not in `truth`, if its labels are not texts, or if a label
            differs from a column only in spelling ("Crow" and "crow").
    """
    by_id = {_normalized(clip_id): names for clip_id, names in truth.items()}
    unknown = [clip_id for clip_id in clip_ids if by_id.get(_normalized(clip_id)) is None]
    if unknown:
        raise InvalidInputError(
            f"Expected reference labels for each of {len(clip_ids)} clips, but {len(unknown)} have "
            f"none; the first is {unknown[0]!r}. Pass () for a clip in which no label is present."
        )
    columns: dict[str, list[int]] = {}
    for column, text in enumerate(map(_normalized, labels)):
        columns.setdefault(text, []).append(column)
    targets = np.zeros((len(clip_ids), len(labels)), dtype=np.bool_)
    others: set[str] = set()
    for row, clip_id in enumerate(clip_ids):
        names = _label_set(clip_id, by_id[_normalized(clip_id)])
        others |= names - columns.keys()
        targets[row, [column for name in names for column in columns.get(name, ())]] = True
    by_spelling = {_spelling(label): label for label in columns}
    for name in sorted(others):
        label = by_spelling.get(_spelling(name))
        if label is not None:
            raise InvalidInputError(
                f"The label {label!r} is spelled {name!r} in the reference labels. Did you mean "
                f"{name!r}? Use one spelling, otherwise these clips would count as negatives."
            )
    return targets


def check_labels_occur(
    targets: BoolArray, truth: Iterable[Iterable[str]], labels: Sequence[str]
) -> None:
    """Raise `InvalidInputError` if none of `labels` is a reference label of any clip.

    It is not an error if no clip has reference labels.

    Args:
        targets: boolean matrix, shape (n_clips, n_labels).
        truth: reference labels of each clip.
        labels: labels of the columns.
    """
    names = sorted({name for of_clip in truth for name in of_clip})
    if targets.any() or not names or not labels:
        return
    shown = ", ".join(repr(name) for name in names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    raise InvalidInputError(
        f"None of the {len(labels)} labels, such as {labels[0]!r}, is a reference label of these "
        f"clips, which are {shown}{more}.{did_you_mean(labels[0], names)} Score the reference "
        "labels, or rename them."
    )


def _label_set(clip_id: str, labels: object) -> set[str]:
    if (
        not isinstance(labels, Collection)
        or isinstance(labels, str)
        or not all(isinstance(label, str) for label in labels)
    ):
        raise InvalidInputError(
            f"Labels of {clip_id!r} must be a tuple of texts, got {labels!r:.60}."
        )
    return {_normalized(label) for label in labels}


def _normalized(name: str) -> str:
    return nfc(name).strip()


def _spelling(text: str) -> str:
    """Return a label in lower case with single spaces instead of "_", to compare spellings."""
    return " ".join(text.casefold().replace("_", " ").split())
