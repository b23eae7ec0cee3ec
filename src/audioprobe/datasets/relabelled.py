"""A data set under other names: what makes two data sets comparable."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.io.tables import read_rows
from audioprobe.normalization import nfc
from audioprobe.protocols import Dataset
from audioprobe.types import Clip, ComponentInfo


class RelabelledDataset:
    """A data set whose labels are renamed, joined, or left out.

    Args:
        dataset: with labels of its own.
        names: the new name of each label; several may get the same one. A label that is not
            here is dropped, its clips stay.

    Raises:
        InvalidInputError: if a label is not one of the data set.
    """

    def __init__(self, dataset: Dataset, names: Mapping[str, str]) -> None:
        names = {nfc(label): nfc(name) for label, name in names.items()}
        unknown = [label for label in names if label not in dataset.labels]
        if unknown:
            raise InvalidInputError(
                f"The data set {dataset.info.name} has no label {unknown[0]!r}."
                f"{did_you_mean(unknown[0], dataset.labels)}"
            )
        self._dataset = dataset
        self._names = names
        self.labels = tuple(dict.fromkeys(names.values()))

    @property
    def info(self) -> ComponentInfo:
        """The data set within, and every renaming."""
        pairs = tuple(f"{label} -> {name}" for label, name in self._names.items())
        return ComponentInfo(
            "dataset", "mapped", options={"names": pairs}, parts={"dataset": self._dataset.info}
        )

    @property
    def splits(self) -> tuple[str, ...]:
        """Those of the data set within."""
        return self._dataset.splits

    def clips(self, split: str) -> tuple[Clip, ...]:
        """Its clips, in order; what has no annotation stays without.

        Raises:
            InvalidInputError: for an unknown split.
        """
        return tuple(self._renamed(clip) for clip in self._dataset.clips(split))

    def _renamed(self, clip: Clip) -> Clip:
        if clip.labels is None:
            return clip
        new = dict.fromkeys(self._names[label] for label in clip.labels if label in self._names)
        return replace(clip, labels=tuple(new))


def read_mapping(path: str | Path) -> dict[str, str]:
    """A table with the columns `label` (of the data set) and `name` (what it becomes).

    Raises:
        InvalidInputError: if it is no such table, or a label comes twice.
    """
    rows = read_rows(Path(path).expanduser(), ("label", "name"))
    names = {row["label"]: row["name"] for row in rows}
    if len(names) < len(rows):
        raise InvalidInputError(f"{path}: a label comes twice; it can become one name only.")
    return names
