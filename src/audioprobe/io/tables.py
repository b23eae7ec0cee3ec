"""Reading of tables with named columns from CSV, TSV, JSON lines and Parquet files."""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

from audioprobe.errors import InvalidInputError, did_you_mean, optional_import
from audioprobe.io.table_row import TableRow
from audioprobe.parsing import parse_json
from audioprobe.texts import nfc

DELIMITERS = (",", ";", "\t", "|")
TEXT_SUFFIXES: Mapping[str, str] = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
"""Usual delimiter of text tables, by suffix."""

_SUFFIXES = (*TEXT_SUFFIXES, ".jsonl", ".parquet")
_SPREADSHEETS = (".xlsx", ".xls", ".ods", ".numbers")
_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)  # first line that Excel may write


def read_rows(path: str | Path, columns: Sequence[str] = ()) -> list[TableRow]:
    """Read a table, and return its rows.

    Cells of text tables may be separated by commas, semicolons, tabs or vertical bars. The encoding
    must be UTF-8, or UTF-16 with a byte order mark. Blank rows are skipped.

    Args:
        path: file ending in ".csv", ".tsv", ".txt", ".jsonl" or ".parquet" (extra `data`).
        columns: required columns; differences in case, spaces and underscores are ignored.

    Raises:
        InvalidInputError: if the file cannot be read or has another suffix, if a column is missing
            or repeated, or if the number of cells in a row differs from the header.
    """
    file = Path(path)
    suffix = file.suffix.lower()
    if suffix not in _SUFFIXES:
        advice = " Save the sheet as CSV in UTF-8." if suffix in _SPREADSHEETS else ""
        raise InvalidInputError(
            f"{file}: expected a table ending in {', '.join(_SUFFIXES)}.{advice}"
        )
    if not file.exists():
        names = [p.name for p in file.parent.glob("*") if p.suffix.lower() in _SUFFIXES]
        raise InvalidInputError(f"{file}: no such file.{did_you_mean(file.name, names)}")
    try:
        if suffix == ".jsonl":
            rows = _json_lines(file)
        elif suffix == ".parquet":
            rows = _parquet(file)
        else:
            rows = list(table_rows(file, *read_records(file, TEXT_SUFFIXES[suffix], columns)))
    except OSError as error:
        raise InvalidInputError(f"{file}: cannot be read as a table ({error}).") from error
    if not rows:
        raise InvalidInputError(f"{file}: expected at least one row below the header.")
    for row in rows:
        _require(row, columns, f"{file}, row 1" if suffix in TEXT_SUFFIXES else row.place)
    return rows


def read_records(
    file: Path, usual: str, columns: Sequence[str] = ()
) -> tuple[Iterator[list[str]], str]:
    """Return an iterator over the cells of each line of a text table, and the file's delimiter.

    Cells are stripped and in Unicode NFC. Lines are read one at a time, because a list of millions
    would take gigabytes.

    Args:
        file: path of the table.
        usual: delimiter to use unless the header indicates another delimiter.
        columns: columns expected in the header, used to detect the delimiter.

    Raises:
        InvalidInputError: if the file has another encoding, or, in the iteration, for unbalanced
            quotes.
    """
    text = _decoded(file)
    line = _SEPARATOR_LINE.match(text)
    if line:
        text = text[line.end() :]
    delimiter = line[1] if line else _detect_delimiter(text, usual, columns)
    records = _records(file, text, delimiter)
    if delimiter == "\t" and _has_unusual_quotes(records):
        records = csv.reader(io.StringIO(text, newline=""), delimiter="\t", quoting=csv.QUOTE_NONE)
    else:
        records = _records(file, text, delimiter)
    return ([_normalized(cell) for cell in cells] for cells in records), delimiter


def with_header(records: Iterator[list[str]]) -> tuple[list[str], Iterator[list[str]]]:
    """Return the first line with text, [] if there is none, and an iterator over all lines."""
    before: list[list[str]] = []
    for cells in records:
        before.append(cells)
        if any(cells):
            return cells, chain(before, records)
    return [], iter(before)


def table_rows(file: Path, records: Iterable[Sequence[str]], delimiter: str) -> Iterator[TableRow]:
    """Convert the result of `read_records` to rows; the first line with text is the header.

    Raises:
        InvalidInputError: if two columns have the same name, or if a row has more or fewer cells
            than the header.
    """
    header: Sequence[str] = ()
    for number, cells in enumerate(records, 1):
        place = f"{file}, row {number}"
        if not any(cells):
            continue
        if not header:
            header = cells
            _refuse_repeated_columns(header, place)
        elif len(cells) < len(header) or any(cells[len(header) :]):
            advice = " Put quotes around cells that contain commas." if delimiter == "," else ""
            raise InvalidInputError(
                f"{place}: expected {len(header)} cells as in the header, separated by "
                f"{delimiter!r}, got {len(cells)}.{advice}"
            )
        else:
            named = zip(header, cells[: len(header)], strict=True)
            yield TableRow(named, place, delimiter)


def _records(file: Path, text: str, delimiter: str) -> Iterator[list[str]]:
    """Yield the cells of each line, which may be in quotes."""
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True
    )
    try:
        yield from reader
    except csv.Error as error:
        raise InvalidInputError(
            f"{file}, line {reader.line_num}: cannot be read as CSV ({error})."
        ) from error


def _has_unusual_quotes(records: Iterable[list[str]]) -> bool:
    """Return whether quotes are part of the text, as often in tables separated by tabs."""
    try:
        return any("\n" in cell for cells in records for cell in cells)
    except InvalidInputError:
        return True


@lru_cache(maxsize=4096)  # equal labels and groups of many rows become one object
def _normalized(cell: str) -> str:
    return nfc(cell.strip())


def plain_name(name: str) -> str:
    """Return a column name in lower case; spaces, underscores and hyphens are removed."""
    return re.sub(r"[\s_-]+", "", name).casefold()


def _decoded(file: Path) -> str:
    """Read a text file in UTF-8, or in UTF-16 with a byte order mark."""
    content = file.read_bytes()
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        near = content[max(0, error.start - 8) : error.start + 8].decode("cp1252", "replace")
        raise InvalidInputError(
            f"{file}, line {line}: expected text in UTF-8, got the byte "
            f"0x{content[error.start]:02x} ({near!r} in Windows-1252). Save the table "
            "as UTF-8; Excel calls it 'CSV UTF-8'."
        ) from error
    if "\0" in text:
        raise InvalidInputError(
            f"{file}: expected text in UTF-8, got zero bytes (another encoding, or a binary file). "
            "Save the table as CSV in UTF-8."
        )
    return text


def _detect_delimiter(text: str, usual: str, columns: Sequence[str]) -> str:
    """Return the delimiter of a table.

    It is the one with which the header contains all expected columns. If there is none, it is
    `usual`, provided that it divides the header; otherwise the one that gives the most columns.
    """
    required = {plain_name(column) for column in columns}
    headers: dict[str, list[str]] = {}
    for delimiter in dict.fromkeys((usual, *DELIMITERS)):
        stream = io.StringIO(text.lstrip("\r\n"), newline="")
        header = next(csv.reader(stream, delimiter=delimiter, skipinitialspace=True), [])
        if required and required <= {plain_name(cell) for cell in header}:
            return delimiter
        headers[delimiter] = header
    longest = max(headers, key=lambda delimiter: len(headers[delimiter]))
    return usual if len(headers[usual]) > 1 else longest


def _json_lines(file: Path) -> list[TableRow]:
    """Read a file that contains one JSON object per line."""
    rows = []
    # Only a newline ends a line; JSON text may contain other line separators, such as U+2028.
    for number, line in enumerate(_decoded(file).split("\n"), 1):
        if not line.strip():
            continue
        place = f"{file}, line {number}"
        try:
            pairs = parse_json(line, object_pairs_hook=_JsonPairs)
        except ValueError as error:
            raise InvalidInputError(f"{place}: cannot be read as JSON ({error}).") from error
        if not isinstance(pairs, _JsonPairs):
            raise InvalidInputError(f"{place}: expected a JSON object, got {line:.60}.")
        _refuse_repeated_columns([name for name, _ in pairs], place)
        rows.append(TableRow(pairs, place))
    return rows


class _JsonPairs(list[tuple[str, Any]]):
    """JSON object as a list of (key, value), because a dictionary would hide repeated keys."""


def _parquet(file: Path) -> list[TableRow]:
    parquet = optional_import("audioprobe.io.parquet", "data")
    rows = enumerate(parquet.read_parquet(file), 1)
    return [TableRow(row.items(), f"{file}, row {number}") for number, row in rows]


def _refuse_repeated_columns(header: Sequence[str], place: str) -> None:
    repeated = [name for name, n in Counter(filter(None, header)).items() if n > 1]
    if repeated:
        numbers = [str(n) for n, name in enumerate(header, 1) if name == repeated[0]]
        raise InvalidInputError(
            f"{place}: expected columns with different names, got {repeated[0]!r} as the name of "
            f"the columns {' and '.join(numbers)}. Rename or remove one."
        )


def _require(row: TableRow, columns: Sequence[str], where: str) -> None:
    """Check that a row has the required columns, and rename cells to the required spelling.

    Raises:
        InvalidInputError: if a column is missing. Differences in case, spaces, underscores and
            hyphens are ignored.
    """
    for column in columns:
        if column in row:
            continue
        similar = [name for name in row if plain_name(name) == plain_name(column)]
        if len(similar) != 1:
            raise InvalidInputError(
                f"{where}: expected the columns {', '.join(columns)}; {column!r} is not among "
                f"{', '.join(row)}.{did_you_mean(column, row)}"
            )
        row[column] = row.pop(similar[0])
