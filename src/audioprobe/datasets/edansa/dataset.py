"""EDANSA-2019 in the layout of its release."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Literal

from audioprobe.datasets.cells import (
    choice_of,
    flag_of,
    identifier_of,
    refuse_repeated,
    text_of,
)
from audioprobe.datasets.edansa.taxonomy import edansa_hierarchy, edansa_labels
from audioprobe.datasets.in_memory import InMemoryDataset
from audioprobe.errors import InvalidInputError
from audioprobe.io.tables import TableRow, read_rows
from audioprobe.metrics.hierarchy import Hierarchy
from audioprobe.types import Clip

SITES: Mapping[str, Mapping[str, str]] = {
    "release": {},
    "baseline": {"valid": "test", "test": "valid"},
}
"""Two published versions of which sites validate and which test: that of the release's table, and
that of its authors' later model, with both exchanged. Training sites are the same."""

SHORTEST = 2.0
"""Seconds; the authors' baseline leaves out what is shorter (`SAMPLE_LENGTH_LIMIT`)."""

_COLUMNS = ("set", "region", "Site ID", "Date", "Length", "Clip Path")
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")


class EDANSA(InMemoryDataset):
    """Clips of up to 10 s from 76 sites on the North Slope of Alaska; no site is in two splits.

    What of the table is no clip is in `left_out`, with its cause. 379 of the training rows are not
    of 2019, and 1,688 rows are shorter than 10 s.

    Args:
        folder: with `labels.csv` and `data/`, as the archive unpacks to.
        table: the table, where it lies elsewhere.
        sites: which sites are in "valid" and which in "test": "release" or "baseline", see `SITES`.
        shortest: rows of less than so many seconds are left out; 0 takes all.
        unlabelled: take the two rows that no label is set in, as clips in which nothing is heard;
            by default they are left out, for silence has a label of its own.
        years: only rows of these years; empty takes all.
        names: labels as "plain" text for prompts, or by the "columns" of the table.

    Raises:
        InvalidInputError: if the table is not there or is another one, or an option is unknown.
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
                f"sites must be one of {', '.join(SITES)} and names plain or columns, got "
                f"{sites!r} and {names!r}."
            )
        self.folder = Path(folder).expanduser()
        self._columns = names == "columns"
        self._labels = {
            label.column: label.name if names == "plain" else label.column
            for label in edansa_labels()
        }
        path = self.folder / "labels.csv" if table is None else Path(table).expanduser()
        clips: dict[str, list[Clip]] = {"train": [], "valid": [], "test": []}
        left_out: dict[str, str] = {}
        exchanged: Mapping[str, str] = SITES[sites]
        rows = read_rows(path, [*_COLUMNS, *self._labels])
        refuse_repeated(rows, "Clip Path")
        for row in rows:
            clip, split = self._clip(row), choice_of(row, "set", clips)
            cause = _cause(row, clip, shortest, unlabelled, years)
            if cause:
                left_out[clip.id] = cause
            else:
                clips[exchanged.get(split, split)].append(clip)
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
        """What lies above each label."""
        return edansa_hierarchy(columns=self._columns)

    def _clip(self, row: TableRow) -> Clip:
        name = text_of(row, "Clip Path")
        return Clip(
            id=name,
            path=self.folder / "data" / name,
            labels=tuple(name for column, name in self._labels.items() if flag_of(row, column)),
            group=f"{text_of(row, 'region')} {identifier_of(row, 'Site ID')}",
        )


def _cause(
    row: TableRow, clip: Clip, shortest: float, unlabelled: bool, years: Sequence[int]
) -> str:
    """Why a row is no clip; empty where it is one."""
    try:
        length = seconds(text_of(row, "Length"))
    except InvalidInputError as error:
        raise InvalidInputError(f"{row.place}: {error}") from error
    if length < shortest:
        return f"shorter than {shortest:g} s"
    if not unlabelled and not clip.labels:
        return "no label is set"
    if not years:
        return ""
    year = _year(row)
    return "" if year in years else f"of {year}"


def _year(row: TableRow) -> int:
    found = _YEAR.findall(text_of(row, "Date"))
    if len(found) != 1:
        raise InvalidInputError(
            f"{row.place}: the column 'Date' needs a date with a year of four digits, got "
            f"{row['Date']!r}."
        )
    return int(found[0])


def seconds(length: str) -> float:
    """Seconds of "HH:MM:SS.ffffff".

    Raises:
        InvalidInputError: if it is no such time.
    """
    try:
        hours, minutes, rest = length.split(":")
        whole = timedelta(hours=int(hours), minutes=int(minutes), seconds=float(rest))
    except ValueError:
        raise InvalidInputError(f"Expected HH:MM:SS.ffffff, got {length!r}.") from None
    return whole.total_seconds()
