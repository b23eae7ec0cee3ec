"""Components (backends with options) and data sets that the config of an experiment names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audioprobe.datasets.relabelled import RelabelledDataset, read_mapping
from audioprobe.errors import InvalidInputError
from audioprobe.protocols import Dataset
from audioprobe.registry import load
from audioprobe.types import Clip, ComponentInfo

SHIPPED_CONFIGS = Path(__file__).parent / "configs"
MAPPINGS = Path(__file__).parent / "mappings"


@dataclass(frozen=True, slots=True)
class ComponentSpec:
    """A backend that a config names, with its options.

    Attributes:
        name: name as `audioprobe backends` lists it: "NAME" or "NAME:ARGUMENT".
        options: keyword arguments of the backend.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationClips:
    """Clips of an evaluation set.

    Attributes:
        name: name of the evaluation set.
        clips: clips, in the order of the data set.
        info: description of the data set; for a folder, its path.
        familiar: whether the model was trained on such audio; None if unknown.
        allow_training_clips: whether to continue if `familiar` is false and a model was trained on
            some of these clips.
    """

    name: str
    clips: tuple[Clip, ...]
    info: ComponentInfo
    familiar: bool | None
    allow_training_clips: bool


def load_dataset(spec: ComponentSpec, mapping: str = "") -> Dataset:
    """Load a data set, and rename its labels if there is a mapping.

    Args:
        spec: name and options of the data set.
        mapping: table with the columns label and name (see `datasets.relabelled`): a path, or the
            name of a shipped table; "" keeps the labels.

    Raises:
        AudioProbeError: if the data set is unknown or cannot be loaded, or if the mapping cannot
            be read or does not fit the labels.
    """
    dataset = load("dataset", spec.name, **spec.options)
    if mapping:
        return RelabelledDataset(dataset, read_mapping(find_table(mapping, MAPPINGS)))
    return dataset


def find_table(name: str, folder: Path) -> Path:
    """Return the path of a table: `name`.csv in `folder` if it exists, otherwise `name` itself.

    Args:
        name: name of a table that audioprobe ships, or a path.
        folder: folder of the shipped tables.
    """
    shipped = folder / f"{name}.csv"
    return shipped if shipped.is_file() else Path(name).expanduser()


def check_names(kind: str, names: Sequence[str]) -> None:
    """Raise `InvalidInputError` if a name occurs twice, or contains a character not allowed.

    Args:
        kind: kind of the named objects, such as "models", for the error message.
        names: names; letters, digits, "-" and "_" are allowed.
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
