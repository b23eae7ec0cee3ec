"""Rows of files that people keep tables in: CSV, TSV, JSON lines, Parquet."""

import csv
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from audioprobe.errors import InvalidInputError, did_you_mean

Row = dict[str, Any]
"""A cell per column; text, but for JSON lines and Parquet."""


def read_rows(path: str | Path, columns: Sequence[str] = ()) -> list[Row]:
    """Read a table.

    Args:
        path: ".csv", ".tsv", ".jsonl" or ".parquet" (extra `data`).
        columns: that it must have.

    Raises:
        InvalidInputError: if it cannot be read, is of another kind, or a column is missing; names
            the line where there is one.
    """
    file = Path(path)
    readers = {".csv": _csv, ".tsv": _tsv, ".jsonl": _jsonl, ".parquet": _parquet}
    if file.suffix.lower() not in readers:
        raise InvalidInputError(f"{file}: expected a table ending in {', '.join(readers)}.")
    try:
        rows = readers[file.suffix.lower()](file)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInputError(f"{file}: cannot be read as a table ({error}).") from error
    if not rows:
        raise InvalidInputError(f"{file}: has no rows.")
    for number, row in enumerate(rows, 1):
        _require(row, columns, f"{file}, row {number}")
    return rows


def fingerprint(rows: Iterable[str]) -> str:
    """16 hexadecimal digits of SHA-256 over texts in order: what pins a table."""
    content = hashlib.sha256()
    for row in rows:
        content.update(row.encode("utf-8", "surrogatepass") + b"\n")
    return content.hexdigest()[:16]


def _csv(file: Path) -> list[Row]:
    return _delimited(file, ",")


def _tsv(file: Path) -> list[Row]:
    return _delimited(file, "\t")


def _delimited(file: Path, delimiter: str) -> list[Row]:
    with file.open(encoding="utf-8-sig", newline="") as stream:
        rows: list[Row] = list(csv.DictReader(stream, delimiter=delimiter, strict=True))
    for number, row in enumerate(rows, 1):
        if None in row or None in row.values():
            raise InvalidInputError(f"{file}, row {number}: not as many cells as the header has.")
    return rows


def _jsonl(file: Path) -> list[Row]:
    rows = []
    for number, line in enumerate(file.read_text(encoding="utf-8-sig").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InvalidInputError(f"{file}, line {number}: not JSON ({error}).") from error
        if not isinstance(row, dict):
            raise InvalidInputError(f"{file}, line {number}: expected an object, got {line:.60}.")
        rows.append(row)
    return rows


def _parquet(file: Path) -> list[Row]:
    from audioprobe.parquet import read  # noqa: PLC0415 - needs an extra

    return read(file)


def _require(row: Row, columns: Sequence[str], where: str) -> None:
    for column in columns:
        if column not in row:
            hint = did_you_mean(column, row)
            raise InvalidInputError(
                f"{where}: needs the columns {', '.join(columns)}; {column!r} is not among "
                f"{', '.join(row)}.{hint}"
            )
