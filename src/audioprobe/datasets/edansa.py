"""Data set EDANSA-2019 (Çoban et al., DCASE 2022), as published, with its 28 labels."""

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
"""Phrases that follow "the sound of" in prompts, for labels whose name with "a" would be wrong."""

_LABELS = Path(__file__).parent / "edansa.csv"  # described in edansa.md
_SPLITS = {
    "release": {"train": "train", "valid": "valid", "test": "test"},
    "baseline": {"train": "train", "valid": "test", "test": "valid"},  # the authors' later model
}
_COLUMNS = ("set", "region", "Site ID", "Date", "Length", "Clip Path")
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")


@dataclass(frozen=True, slots=True, kw_only=True)
class EdansaLabel:
    """A label of EDANSA-2019.

    Attributes:
        column: column of the published table, such as "Grous".
        code: code in the published taxonomy, such as "1.1.8".
        parent: column of the parent label; "" for the four labels without a parent.
        taxonomy: name in the published taxonomy, such as "grouse-ptarmigan".
        name: text for prompts, such as "grouse or ptarmigan".
        synset: id of the noun synset in WordNet 3.0, its offset of eight digits; "" if none.
        audioset: display name of the most similar AudioSet class; "" if there is none.
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
    return tuple(EdansaLabel(**row) for row in read_rows(_LABELS))


def edansa_parents(*, columns: bool = False) -> dict[str, tuple[str, ...]]:
    """Return the parents of each label, to construct a `metrics.hierarchy.Hierarchy`.

    A label without parent has (). If `columns` is True, labels are columns of the published table
    ("Grous"), otherwise texts for prompts ("grouse or ptarmigan").
    """
    names = {label.column: label.column if columns else label.name for label in edansa_labels()}
    return {
        names[label.column]: (names[label.parent],) if label.parent else ()
        for label in edansa_labels()
    }


class EDANSA(InMemoryDataset):
    """EDANSA-2019: clips of up to 10 s from 76 sites in Arctic Alaska, with 28 labels.

    All clips of a site are in the same split. `left_out` lists the rows of the table that are not
    used as clips, with the cause. 379 training rows were not recorded in 2019, and 1,688 rows are
    shorter than 10 s.

    Args:
        folder: published folder with `labels.csv` and `data/`.
        table: path of the table; None means `labels.csv` in `folder`.
        sites: which sites are in the splits "valid" and "test". "release": as in the table.
            "baseline": both splits swapped, as in the authors' later model.
        shortest: minimum length of clips in seconds; 0 uses all clips. The default is that of the
            authors' baseline (`SAMPLE_LENGTH_LIMIT`).
        unlabelled: whether the two rows without any positive label are clips without labels. By
            default they are left out, because silence has a label of its own.
        years: years of recording to use; empty uses all years.
        names: label texts: "plain" texts for prompts, or the "columns" of the table.

    Raises:
        InvalidInputError: if the table is missing or invalid, or an option is unknown.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        table: str | Path | None = None,
        sites: Literal["release", "baseline"] = "release",
        shortest: float = 2.0,
        unlabelled: bool = False,
        years: Sequence[int] = (),
        names: Literal["plain", "columns"] = "plain",
    ) -> None:
        if sites not in _SPLITS or names not in ("plain", "columns"):
            raise InvalidInputError(
                f"sites must be one of {', '.join(_SPLITS)}, and names must be plain or columns; "
                f"got {sites!r} and {names!r}."
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
                clips[_SPLITS[sites][split]].append(clip)
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
        """Hierarchy of the labels, for hierarchical metrics."""
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
    """Return the reason why a row is not used as a clip; "" if the row is used."""
    if _length(row) < shortest:
        return f"shorter than {shortest:g} s"
    if not unlabelled and not clip.labels:
        return "no label is set"
    if years and (year := _year(row)) not in years:
        return f"recorded in {year}"
    return ""


def _length(row: TableRow) -> float:
    """Return the length of a clip in seconds; the table has it as "HH:MM:SS.ffffff"."""
    text = row.text("Length")
    try:
        hours, minutes, seconds = text.split(":")
        length = timedelta(hours=int(hours), minutes=int(minutes), seconds=float(seconds))
    except ValueError:
        raise InvalidInputError(
            f"{row.place}: column 'Length': expected HH:MM:SS.ffffff, got {text!r}. Use the table "
            "as published."
        ) from None
    return length.total_seconds()


def _year(row: TableRow) -> int:
    """Return the year in which a clip was recorded."""
    years = _YEAR.findall(row.text("Date"))
    if len(years) != 1:
        raise InvalidInputError(
            f"{row.place}: column 'Date': expected a date with a year of four digits, got "
            f"{row['Date']!r}. Use the table as published."
        )
    return int(years[0])
