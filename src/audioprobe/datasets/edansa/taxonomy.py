"""The 28 labels of EDANSA and what lies above each."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from audioprobe.metrics.hierarchy import Hierarchy

_TABLE = Path(__file__).parent / "labels.csv"

EDANSA_PHRASES: Mapping[str, str] = MappingProxyType(
    {
        "animal sound": "an animal",
        "human-made sound": "something made by people",
        "machinery": "machinery",
        "rain": "rain",
        "running water": "running water",
        "silence": "silence",
        "wind": "wind",
        "wind, rain or water": "weather or water",
    }
)
"""Labels in a sentence that take no article, or that name a sound instead of its source."""


@dataclass(frozen=True, slots=True)
class EdansaLabel:
    """One label.

    Attributes:
        column: of the table: "Grous".
        code: of the taxonomy: "1.1.8".
        parent: column of the label above; "" for the four at the top.
        taxonomy: name in the taxonomy: "grouse-ptarmigan".
        name: as prompts say it: "grouse or ptarmigan".
        synset: offset in WordNet 3.0, eight digits; "" where there is none.
        audioset: display name of the nearest class of AudioSet; "" where there is none.
    """

    column: str
    code: str
    parent: str
    taxonomy: str
    name: str
    synset: str
    audioset: str


@cache
def edansa_labels() -> tuple[EdansaLabel, ...]:
    """All 28, by their codes."""
    with _TABLE.open(encoding="utf-8", newline="") as stream:
        return tuple(EdansaLabel(**row) for row in csv.DictReader(stream))


def edansa_hierarchy(*, columns: bool = False) -> Hierarchy:
    """What lies above each label.

    Args:
        columns: labels by the columns of the table, not by their plain names.
    """
    name = {label.column: label.column if columns else label.name for label in edansa_labels()}
    return Hierarchy(
        {name[each.column]: (name[each.parent],) if each.parent else () for each in edansa_labels()}
    )
