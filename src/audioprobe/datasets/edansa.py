"""EDANSA-2019 (Çoban et al., DCASE 2022) in the layout of its release."""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from audioprobe.datasets.in_memory import InMemoryDataset
from audioprobe.errors import InvalidInputError
from audioprobe.io.table_row import TableRow, refuse_repeated
from audioprobe.io.tables import read_rows
from audioprobe.metrics.hierarchy import Hierarchy
from audioprobe.types import Clip

SITES: Mapping[str, Mapping[str, str]] = {
    "release": {},
    "baseline": {"valid": "test", "test": "valid"},
}
"""Published assignments of sites to the splits "valid" and "test".

"release" is the assignment in the table. "baseline" is the assignment of the authors' later model,
which swaps both splits. The training sites are the same.
"""

SHORTEST = 2.0
"""Default minimum length of clips in seconds, as in the authors' baseline
(`SAMPLE_LENGTH_LIMIT`).
"""

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

_LABELS = Path(__file__).parent / "edansa.csv"
_COLUMNS = ("set", "region", "Site ID", "Date", "Length", "Clip Path")
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")


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
    with _LABELS.open(encoding="utf-8", newline="") as stream:
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


class EDANSA(InMemoryDataset):
    """EDANSA-2019: clips of up to 10 s from 76 sites in Arctic Alaska, with 28 labels.

    No site is in two splits. Rows of the table that are not used as clips are listed in `left_out`,
    with the cause. 379 training rows were not recorded in 2019, and 1,688 rows are shorter than 10
    s.

    Args:
        folder: published folder, which contains `labels.csv` and `data/`.
        table: path of the table; None means `labels.csv` in `folder`.
        sites: assignment of sites to "valid" and "test": "release" or "baseline", see `SITES`.
        shortest: minimum length of clips in seconds; 0 uses all clips.
        unlabelled: use the two rows that have no positive label, as clips to which no label
            applies. By default these rows are left out, because silence has its own label.
        years: years of recording to use; empty uses all years.
        names: "plain" for label texts that suit prompts, "columns" for the column names of the
            table.

    Raises:
        InvalidInputError: if the table is missing or invalid, or an option is unknown.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        table: str | Path | None = None,
        sites: Literal["release", "baseline"] = "release",
        shortest: float = SHORTEST,
        unlabelled: bool = False,
        years: Sequence[int] = (),
        names: Literal["plain", "columns"] = "plain",
    ) -> None:
        if sites not in SITES or names not in ("plain", "columns"):
            raise InvalidInputError(
                f"sites must be one of {', '.join(SITES)}, and names must be plain or columns; got "
                f"{sites!r} and {names!r}."
            )
        self.folder = Path(folder).expanduser()
        self._use_columns = names == "columns"
        self._labels = {
            label.column: label.column if self._use_columns else label.name
            for label in edansa_labels()
        }
        path = self.folder / "labels.csv" if table is None else Path(table).expanduser()
        rows = read_rows(path, [*_COLUMNS, *self._labels])
        refuse_repeated(rows, "Clip Path")
        clips: dict[str, list[Clip]] = {"train": [], "valid": [], "test": []}
        left_out: dict[str, str] = {}
        for row in rows:
            clip, split = self._clip(row), row.choice("set", clips)
            cause = _exclusion(row, clip, shortest, unlabelled, years)
            if cause:
                left_out[clip.id] = cause
            else:
                clips[SITES[sites].get(split, split)].append(clip)
        super().__init__(
            "EDANSA-2019",
            clips,
            tuple(self._labels.values()),
            left_out=left_out,
            options={
                "sites": sites,
                "shortest": shortest,
                "unlabelled": unlabelled,
                "years": tuple(map(str, years)),
                "names": names,
            },
        )

    @property
    def hierarchy(self) -> Hierarchy:
        """Parents of each label."""
        return Hierarchy(edansa_parents(columns=self._use_columns))

    def _clip(self, row: TableRow) -> Clip:
        name = row.text("Clip Path")
        return Clip(
            id=name,
            path=self.folder / "data" / name,
            labels=tuple(label for column, label in self._labels.items() if row.flag(column)),
            group=f"{row.text('region')} {row.identifier('Site ID')}",
        )


def _exclusion(
    row: TableRow, clip: Clip, shortest: float, unlabelled: bool, years: Sequence[int]
) -> str:
    """Return why a row is left out; "" if the row is used as a clip."""
    if _length(row) < shortest:
        return f"shorter than {shortest:g} s"
    if not unlabelled and not clip.labels:
        return "no label is set"
    if years and (year := _year(row)) not in years:
        return f"recorded in {year}"
    return ""


def _length(row: TableRow) -> float:
    """Return the length in seconds, parsed from "HH:MM:SS.ffffff" in the column "Length"."""
    text = row.text("Length")
    try:
        hours, minutes, seconds = text.split(":")
        length = timedelta(hours=int(hours), minutes=int(minutes), seconds=float(seconds))
    except ValueError:
        raise InvalidInputError(
            f"{row.place}: column 'Length': expected HH:MM:SS.ffffff, got {text!r}."
        ) from None
    return length.total_seconds()


def _year(row: TableRow) -> int:
    years = _YEAR.findall(row.text("Date"))
    if len(years) != 1:
        raise InvalidInputError(
            f"{row.place}: column 'Date': expected a date with a year of four digits, got "
            f"{row['Date']!r}."
        )
    return int(years[0])
