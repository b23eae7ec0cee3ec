"""Tidy tables of data, with one row per observation, for pandas, Arrow and Parquet.

They contain values, missing values included. For tables of text to read, see `text_table`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from audioprobe.errors import InvalidInputError, optional_import
from audioprobe.io.text_table import Displayed, Table

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_EXTRA = "data"  # extra of audioprobe that installs pyarrow and pandas


class TidyData(ABC):
    """Base of objects whose content is a tidy table of data.

    The methods need the extra `data`: `pip install 'audioprobe[data]'`.
    """

    __slots__ = ()

    @abstractmethod
    def data(self) -> "DataTable":
        """Return the data as a tidy table."""

    def to_arrow(self) -> "pa.Table":
        """Return the data as an Arrow table.

        Raises:
            MissingDependencyError: if pyarrow is not installed.
        """
        return self.data().to_arrow()

    def to_pandas(self) -> "pd.DataFrame":
        """Return the data as a data frame.

        Raises:
            MissingDependencyError: if pyarrow or pandas is not installed.
        """
        optional_import("pandas", _EXTRA)
        frame: pd.DataFrame = self.to_arrow().to_pandas()
        return frame

    def to_parquet(self, path: str | Path) -> Path:
        """Write the data to a Parquet file; equal data give equal bytes.

        Args:
            path: file to write atomically; its folder must exist.

        Raises:
            MissingDependencyError: if pyarrow is not installed.
        """
        parquet = optional_import("audioprobe.io.parquet", _EXTRA)
        written: Path = parquet.write_parquet(Path(path), self.data().columns)
        return written


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class DataTable(TidyData, Displayed):
    """A tidy table of data: columns of equal length, with None for missing values.

    Attributes:
        columns: values of each column by its name, in order.

    Raises:
        InvalidInputError: if the columns have different lengths.
    """

    columns: Mapping[str, Sequence[object]]

    def __post_init__(self) -> None:
        lengths = {name: len(values) for name, values in self.columns.items()}
        if len(set(lengths.values())) > 1:
            raise InvalidInputError(f"Expected columns of equal length, got {lengths}.")

    @classmethod
    def from_rows(cls, names: Sequence[str], rows: Iterable[Sequence[object]]) -> "DataTable":
        """Return the table with these rows, whose values are in the order of `names`."""
        values = list(rows)
        return cls({name: [row[n] for row in values] for n, name in enumerate(names)})

    @classmethod
    def joined(cls, tables: Iterable[tuple[Mapping[str, object], "DataTable"]]) -> "DataTable":
        """Return the rows of several tables with the same columns, one below the other.

        Args:
            tables: pairs of values for additional first columns, such as {"model": "mini"}, and a
                table; at least one.
        """
        parts = [
            {**{name: [value] * len(table) for name, value in first.items()}, **table.columns}
            for first, table in tables
        ]
        return cls({name: [v for part in parts for v in part[name]] for name in parts[0]})

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def data(self) -> "DataTable":
        """Return this table."""
        return self

    def to_arrow(self) -> "pa.Table":
        """Return the table as an Arrow table; see `TidyData.to_arrow`."""
        return optional_import("pyarrow", _EXTRA).table(dict(self.columns))

    def displayed(self) -> tuple[tuple[Table, ...], tuple[str, ...]]:
        """Return the table as text, and the number of its rows."""
        rows = zip(*self.columns.values(), strict=True)
        cells = tuple(tuple("" if v is None else str(v) for v in row) for row in rows)
        return (Table(tuple(self.columns), cells),), (f"{len(self)} rows",)
