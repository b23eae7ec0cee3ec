"""The 28 labels of EDANSA-2019 with their parents and with texts for prompts."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

TABLE = Path(__file__).parent / "edansa.csv"

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
"""Phrases for labels that have no article, or that name a sound instead of its source.

Prompts insert the phrase into a sentence, such as "This is the sound of ...".
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class EdansaLabel:
    """A label of EDANSA-2019.

    Attributes:
        column: column of the published table, such as "Grous".
        code: code in the published taxonomy, such as "1.1.8".
        parent: column of the parent label; "" for the four top-level labels.
        taxonomy: name in the published taxonomy, such as "grouse-ptarmigan".
        name: text for prompts, such as "grouse or ptarmigan".
        synset: offset in WordNet 3.0, eight digits; "" if WordNet has no such synset.
        audioset: display name of the nearest AudioSet class; "" if there is none.
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
    """Return the 28 labels, sorted by their codes."""
    with TABLE.open(encoding="utf-8", newline="") as stream:
        return tuple(EdansaLabel(**row) for row in csv.DictReader(stream))


def edansa_parents(*, columns: bool = False) -> dict[str, tuple[str, ...]]:
    """Return the parents of each label, in the format of `metrics.hierarchy.Hierarchy`.

    Args:
        columns: whether labels are given as column names of the published table instead of texts
            for prompts.
    """
    names = {label.column: label.column if columns else label.name for label in edansa_labels()}
    return {
        names[label.column]: (names[label.parent],) if label.parent else ()
        for label in edansa_labels()
    }
