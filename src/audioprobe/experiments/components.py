"""Components and data sets that a configuration names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audioprobe.datasets.relabelled import RelabelledDataset, read_mapping
from audioprobe.errors import InvalidInputError
from audioprobe.protocols import Dataset
from audioprobe.registry import load

SHIPPED_CONFIGS = Path(__file__).parent / "configs"
MAPPINGS = Path(__file__).parent / "mappings"


@dataclass(frozen=True, slots=True)
class ComponentSpec:
    """A backend and its options.

    Attributes:
        name: as `audioprobe backends` lists it, "NAME" or "NAME:ARGUMENT".
        options: its keyword arguments.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


def load_dataset(spec: ComponentSpec, mapping: str = "") -> Dataset:
    """Load a data set and rename its labels.

    Args:
        spec: the data set.
        mapping: a table with the columns label and name (see `datasets.relabelled`): its path, or
            the name of one that ships; "" keeps the labels.

    Raises:
        AudioProbeError: as `registry.load` and `datasets.relabelled`.
    """
    dataset = load("dataset", spec.name, **spec.options)
    if mapping:
        return RelabelledDataset(dataset, read_mapping(find_table(mapping, MAPPINGS)))
    return dataset


def find_table(name: str, folder: Path) -> Path:
    """Return the path of a table that ships in a folder, or else `name` as a path."""
    shipped = folder / f"{name}.csv"
    return shipped if shipped.is_file() else Path(name).expanduser()


def check_names(kind: str, names: Sequence[str]) -> None:
    """Check that names are unique and can be file names.

    Raises:
        InvalidInputError: if two are equal, or one has characters other than letters, digits, "-"
            and "_".
    """
    if len(set(names)) < len(names):
        raise InvalidInputError(
            f"The names of {kind} must be unique; received {', '.join(names)}. Rename the copies."
        )
    for name in names:
        if not name.replace("-", "").replace("_", "").isalnum():
            raise InvalidInputError(
                f"The name {name!r} becomes a file name: use letters, digits, - and _."
            )
