"""Reading and writing of Parquet files; importing this module requires the extra `data`."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from audioprobe.errors import InvalidInputError, needs_extra
from audioprobe.io.atomic import atomic_open

with needs_extra("data"):
    import pyarrow as pa
    from pyarrow import parquet

ROW_GROUP = 2**20
"""Maximum number of rows of a row group; the default of pyarrow."""


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


def write_batches(
    path: Path, types: Mapping[str, str], batches: Iterable[Mapping[str, Sequence[object]]]
) -> Path:
    """Write a table in batches, of which only one row group is in memory.

    Batches are joined to row groups of at most `ROW_GROUP` rows, so that a table with no more rows
    than this gives the same bytes as with `write_parquet`.

    Args:
        path: file to write atomically; its folder must exist.
        types: Arrow type of each column, such as "string", in the order to write.
        batches: values of each column, for consecutive rows.
    """
    schema = pa.schema({name: pa.type_for_alias(alias) for name, alias in types.items()})
    group: list[Any] = []
    with atomic_open(path) as stream, parquet.ParquetWriter(stream, schema) as writer:

        def flush() -> None:
            writer.write_table(pa.concat_tables(group) if group else schema.empty_table())
            group.clear()

        for columns in batches:
            table = pa.table(dict(columns), schema=schema)
            if sum(map(len, group)) + len(table) > ROW_GROUP:
                flush()
            group.append(table)
        flush()
    return path


def write_parquet(path: Path, columns: Mapping[str, Sequence[object]]) -> Path:
    """Write columns of equal length to a Parquet file; equal columns give equal bytes.

    Args:
        path: file to write atomically; its folder must exist.
        columns: values of each column, in the order to write.
    """
    with atomic_open(path) as stream:
        parquet.write_table(pa.table(dict(columns)), stream)
    return path
