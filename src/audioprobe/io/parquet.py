"""Reading and writing of Parquet files; importing this module requires the extra `data`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audioprobe.errors import InvalidInputError, needs_extra
from audioprobe.io.atomic import atomic_open

with needs_extra("data"):
    import pyarrow as pa
    from pyarrow import parquet


def read_parquet(path: Path) -> list[dict[str, Any]]:
    """Read all rows of a Parquet file.

    Raises:
        InvalidInputError: if the file is not in Parquet format.
        OSError: if the file cannot be opened.
    """
    try:
        rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    except pa.ArrowException as error:
        raise InvalidInputError(f"{path}: cannot be read as Parquet ({error}).") from error
    return rows


def write_parquet(path: Path, columns: Mapping[str, Sequence[object]]) -> Path:
    """Write columns of equal length to a Parquet file; equal columns give equal bytes.

    Args:
        path: file to write atomically; its folder must exist.
        columns: values of each column, in the order to write.
    """
    with atomic_open(path) as stream:
        parquet.write_table(pa.table(dict(columns)), stream)
    return path
