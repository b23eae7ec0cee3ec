"""Your own clips, listed in a table of your own."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from audioprobe.datasets.listed import Listed
from audioprobe.datasets.tables import Row, read_rows
from audioprobe.errors import InvalidInputError
from audioprobe.types import Clip

ALL = "all"
"""The split of a table without one."""

_COLUMNS = ("path", "labels", "id", "start", "end", "duration", "group", "split")


class Manifest(Listed):
    """Clips of a table: CSV, TSV, JSON lines or Parquet (extra `data`).

    Columns: `path` (relative to `folder`, or absolute); and if they are there `labels` (several of
    them with ";" between, or a list), `id` (else the path, with the start where there is one),
    `start` and `end` or `duration` in seconds, `group` (site, recorder, source recording) and
    `split`. Without a column `labels` nobody has said what is heard; an empty cell says that
    nothing is.

    Args:
        table: the file.
        folder: where paths begin; None is the folder of the table.
        columns: other names of these columns: `{"path": "filename", "labels": "species"}`.
        labels: every label, in order; empty takes those of the table, sorted.
        separator: between labels of one cell.

    Raises:
        InvalidInputError: for a table that cannot be read, an unknown column, a time that is not
            one, a label that is not among `labels`, or two clips of one id; names the row.
    """

    def __init__(
        self,
        table: str | Path,
        folder: str | Path | None = None,
        *,
        columns: Mapping[str, str] | None = None,
        labels: Sequence[str] = (),
        separator: str = ";",
    ) -> None:
        file = Path(table).expanduser()
        self.folder = file.parent if folder is None else Path(folder).expanduser()
        self._columns = _named(columns or {})
        self._separator = separator
        rows = read_rows(file, [self._columns["path"], *(columns or {}).values()])
        clips: dict[str, list[Clip]] = {}
        for number, row in enumerate(rows, 1):
            try:
                clip = self._clip(row)
            except (InvalidInputError, ValueError) as error:
                raise InvalidInputError(f"{file}, row {number}: {error}") from error
            clips.setdefault(str(self._cell(row, "split") or ALL), []).append(clip)
        heard = {x for items in clips.values() for clip in items for x in clip.labels or ()}
        super().__init__(file.stem, clips, tuple(labels) or tuple(sorted(heard)))

    def _cell(self, row: Row, column: str) -> object:
        return row.get(self._columns[column])

    def _clip(self, row: Row) -> Clip:
        path = str(self._cell(row, "path") or "")
        if not path:
            raise InvalidInputError(f"the column {self._columns['path']!r} is empty.")
        start = self._seconds(row, "start") or 0.0
        end, duration = self._seconds(row, "end"), self._seconds(row, "duration")
        if end is not None and duration is not None:
            raise InvalidInputError("has both an end and a duration; leave one of them out.")
        named = self._cell(row, "id")
        group = self._cell(row, "group")
        return Clip(
            id=str(named) if named else f"{path}#{start:g}" if start else path,
            path=self.folder / path,
            labels=self._labels(row),
            start=start,
            duration=duration if end is None else end - start,
            group=None if group in (None, "") else str(group),
        )

    def _seconds(self, row: Row, column: str) -> float | None:
        value = self._cell(row, column)
        if value in (None, ""):
            return None
        try:
            return float(str(value))
        except ValueError:
            raise InvalidInputError(
                f"the column {self._columns[column]!r} needs seconds, got {value!r}."
            ) from None

    def _labels(self, row: Row) -> tuple[str, ...] | None:
        if self._columns["labels"] not in row:
            return None
        value = self._cell(row, "labels")
        if value is None:
            return None
        if isinstance(value, list):
            return tuple(str(label) for label in value)
        parts = (part.strip() for part in str(value).split(self._separator))
        return tuple(part for part in parts if part)


def _named(columns: Mapping[str, str]) -> dict[str, str]:
    unknown = sorted(set(columns) - set(_COLUMNS))
    if unknown:
        raise InvalidInputError(
            f"A manifest has the columns {', '.join(_COLUMNS)}; {unknown[0]!r} is none of them."
        )
    return {column: columns.get(column, column) for column in _COLUMNS}
