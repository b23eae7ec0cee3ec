"""Parquet files; importing this module requires the extra `data`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audioprobe.errors import InvalidInputError, needs_extra
from audioprobe.io.atomic import atomic_open

with needs_extra("data"):
    import pyarrow as pa
    from pyarrow import parquet


def read_parquet(path: Path) -> list[dict[str, Any]]:
    """Read the rows of a file.

    Raises:
        InvalidInputError: if it is not Parquet.
        OSError: if it cannot be read.
    """
    try:
        rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    except pa.ArrowException as error:
        raise InvalidInputError(f"{path}: cannot be read as Parquet ({error}).") from error
    return rows


def write_parquet(path: Path, columns: Mapping[str, Sequence[object]]) -> Path:
    """Write columns of equal length; the same columns give the same bytes.

    Args:
        path: the file, written atomically; its folder exists.
        columns: values by column, in order.
    """
    with atomic_open(path) as stream:
        parquet.write_table(pa.table(dict(columns)), stream)
    return path
