"""Rows of files that people keep tables in: CSV, TSV, JSON lines, Parquet."""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.io.delimited import decoded, delimited_records, plain
from audioprobe.normalization import nfc

_SHEETS = (".xlsx", ".xls", ".ods", ".numbers")


class TableRow(dict[str, Any]):
    """A row of a table: a cell per column; text, but for JSON lines and Parquet.

    Texts are in Unicode NFC, without spaces around them; NaN is None. Lists hold no empty items.

    Attributes:
        place: file and row, for messages. Rows count as in a spreadsheet: the header is row 1.
    """

    def __init__(self, cells: Iterable[tuple[str, Any]], place: str) -> None:
        super().__init__((nfc(name.strip()), _cleaned(cell)) for name, cell in cells)
        self.place = place


def read_rows(path: str | Path, columns: Sequence[str] = ()) -> list[TableRow]:
    """Read a table.

    CSV may be separated by commas, semicolons, tabs or bars, and be UTF-8 or UTF-16 with a byte
    order mark. Blank rows and columns without a name are left out.

    Args:
        path: ".csv", ".tsv", ".txt", ".jsonl" or ".parquet" (extra `data`).
        columns: that it must have; case, spaces and underscores may differ.

    Raises:
        InvalidInputError: if it cannot be read, is of another kind, a column is missing or there
            twice, or a row has not as many cells as the header; names the row.
    """
    file = Path(path)
    readers = {".jsonl": _jsonl, ".parquet": _parquet}
    usual = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
    suffix = file.suffix.lower()
    if suffix not in {**readers, **usual}:
        hint = " Save the sheet as CSV in UTF-8." if suffix in _SHEETS else ""
        known = ", ".join((*usual, *readers))
        raise InvalidInputError(f"{file}: expected a table ending in {known}.{hint}")
    try:
        if suffix in usual:
            rows = table_rows(file, *delimited_records(file, usual[suffix], columns))
        else:
            rows = readers[suffix](file)
    except OSError as error:
        raise InvalidInputError(f"{file}: cannot be read as a table ({error}).") from error
    if not rows:
        raise InvalidInputError(f"{file}: has no rows.")
    for row in rows:
        where = f"{file}, row 1" if suffix in usual else row.place
        _require(row, columns, where)
    return rows


def table_rows(file: Path, records: Sequence[Sequence[str]], delimiter: str) -> list[TableRow]:
    """Return rows of records that begin with a header.

    Args:
        file: for messages.
        records: as `delimited_records` returns them.
        delimiter: between cells.

    Raises:
        InvalidInputError: for two columns of one name, or a row with more or fewer cells.
    """
    header: Sequence[str] = ()
    rows = []
    for number, cells in enumerate(records, 1):
        place = f"{file}, row {number}"
        if not any(cells):
            continue
        if not header:
            header = cells
            _refuse_repeated_columns(header, place)
        elif len(cells) < len(header) or any(cells[len(header) :]):
            hint = " Put quotes around a cell with a comma in it." if delimiter == "," else ""
            raise InvalidInputError(
                f"{place}: not as many cells as the header has: expected {len(header)}, separated "
                f"by {delimiter!r}, got {len(cells)}.{hint}"
            )
        else:
            named = zip(header, cells[: len(header)], strict=True)
            rows.append(TableRow(((name, cell) for name, cell in named if name), place))
    return rows


def fingerprint(rows: Iterable[str]) -> str:
    """16 hexadecimal digits of SHA-256 over texts in order: what pins a table."""
    content = hashlib.sha256()
    for row in rows:
        content.update(row.encode("utf-8", "surrogatepass") + b"\n")
    return content.hexdigest()[:16]


def _cleaned(cell: object) -> Any:  # noqa: ANN401 - any cell
    if isinstance(cell, str):
        return nfc(cell.strip())
    if isinstance(cell, float) and math.isnan(cell):
        return None
    if isinstance(cell, list):
        return [item for item in map(_cleaned, cell) if item not in (None, "")]
    return cell


def _refuse_repeated_columns(header: Sequence[str], place: str) -> None:
    again = [name for name, n in Counter(filter(None, header)).items() if n > 1]
    if again:
        numbers = [str(n) for n, name in enumerate(header, 1) if name == again[0]]
        raise InvalidInputError(
            f"{place}: the columns {' and '.join(numbers)} are both called {again[0]!r}. Rename or "
            "remove one."
        )


def _jsonl(file: Path) -> list[TableRow]:
    rows = []
    # Other line ends, such as U+2028, may stand inside a JSON text.
    for number, line in enumerate(decoded(file).split("\n"), 1):
        if not line.strip():
            continue
        place = f"{file}, line {number}"
        try:
            pairs = json.loads(line, object_pairs_hook=_JsonPairs)
        except ValueError as error:
            raise InvalidInputError(f"{place}: not JSON ({error}).") from error
        if not isinstance(pairs, _JsonPairs):
            raise InvalidInputError(f"{place}: expected an object, got {line:.60}.")
        _refuse_repeated_columns([name for name, _ in pairs], place)
        rows.append(TableRow(pairs, place))
    return rows


class _JsonPairs(list[tuple[str, Any]]):
    """The keys and values of a JSON object, repeated keys included."""


def _parquet(file: Path) -> list[TableRow]:
    from audioprobe.io.parquet import read  # noqa: PLC0415 - needs an extra

    return [TableRow(row.items(), f"{file}, row {n}") for n, row in enumerate(read(file), 1)]


def _require(row: TableRow, columns: Sequence[str], where: str) -> None:
    for column in columns:
        if column in row:
            continue
        near = [name for name in row if plain(name) == plain(column)]
        if len(near) != 1:
            hint = did_you_mean(column, row)
            raise InvalidInputError(
                f"{where}: needs the columns {', '.join(columns)}; {column!r} is not among "
                f"{', '.join(row)}.{hint}"
            )
        row[column] = row.pop(near[0])
