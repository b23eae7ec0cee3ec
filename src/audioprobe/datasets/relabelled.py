"""Rename the labels of a data set, for comparisons of data sets with different labels."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.io.tables import read_rows
from audioprobe.protocols import Dataset
from audioprobe.texts import nfc
from audioprobe.types import Clip, ComponentInfo, InfoRepr


class RelabelledDataset(InfoRepr):
    """A data set whose labels have new names.

    Args:
        dataset: the data set with the original labels.
        names: new name of each label; several labels may get the same name. Labels that are not in
            `names` are removed from their clips.

    Raises:
        InvalidInputError: if `names` contains a label that the data set does not have.
    """

    def __init__(self, dataset: Dataset, names: Mapping[str, str]) -> None:
        names = {nfc(label): nfc(name) for label, name in names.items()}
        unknown = [label for label in names if label not in dataset.labels]
        if unknown:
            raise InvalidInputError(
                f"Expected labels of the data set {dataset.info.name}, got {unknown[0]!r}."
                f"{did_you_mean(unknown[0], dataset.labels)}"
            )
        self._dataset = dataset
        self._names = names
        self.labels = tuple(dict.fromkeys(names.values()))

    @property
    def info(self) -> ComponentInfo:
        """New name of each label, and `info` of the original data set; stored in results."""
        pairs = tuple(f"{label} -> {name}" for label, name in self._names.items())
        return ComponentInfo(
            "dataset", "mapped", options={"names": pairs}, parts={"dataset": self._dataset.info}
        )

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits, as in the original data set."""
        return self._dataset.splits

    def clips(self, split: str) -> tuple[Clip, ...]:
        """Return the clips of a split with new labels; unlabelled clips are unchanged.

        Raises:
            InvalidInputError: for an unknown split.
        """
        return tuple(self._relabelled(clip) for clip in self._dataset.clips(split))

    def _relabelled(self, clip: Clip) -> Clip:
        if clip.labels is None:
            return clip
        names = dict.fromkeys(self._names[label] for label in clip.labels if label in self._names)
        return replace(clip, labels=tuple(names))


def read_mapping(path: str | Path) -> dict[str, str]:
    """Read a table with the columns `label` and `name`; return the new name of each label.

    Raises:
        InvalidInputError: if the table cannot be read, or if a label occurs twice.
    """
    rows = read_rows(Path(path).expanduser(), ("label", "name"))
    names = {row["label"]: row["name"] for row in rows}
    if len(names) < len(rows):
        raise InvalidInputError(
            f"{path}: expected each label once, got {len(rows)} rows for {len(names)} labels. "
            "Remove the repeated rows."
        )
    return names
