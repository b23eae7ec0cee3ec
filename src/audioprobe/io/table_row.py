"""Rows of tables, and the conversion of cells to text, numbers, truth values and labels."""

import ast
import math
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.parsing import parse_json
from audioprobe.texts import nfc

LONGEST_NAME = 200
"""Largest number of characters of a column name; a longer one is a damaged header."""

MOST_SECONDS = 1e9
"""Largest time in a recording, 32 years."""

_INTEGER = re.compile(r"(\d{1,18})(?:[.,]0{1,2})?")  # "5", "5.0" (pandas), "5,00" (a spreadsheet)
_ROUNDED = re.compile(r"\d+(?:[.,]\d+)?e\+?\d+", re.IGNORECASE)  # "1E+05"; digits were lost
_FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_MISSING = frozenset(  # texts that pandas writes or reads as a missing value
    ("", "NaN", "nan", "NA", "N/A", "n/a", "<NA>", "#N/A", "NULL", "null", "None", "NaT")
)
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_NUMPY_LIST = re.compile(r"""['"]\s+['"]""")  # "['a' 'b']"; Python would join the texts


class TableRow(dict[str, Any]):
    """A row of a table, as a dictionary from column name to cell.

    Cells of CSV and TSV files are text; cells of JSON lines and Parquet files may have any type.
    Text is stripped and in Unicode NFC; NaN becomes None; empty items of lists are removed. Columns
    without a name are dropped. Methods that convert a cell raise `InvalidInputError` for a cell
    with other content; the message names the row.

    Raises:
        InvalidInputError: if a column name is longer than `LONGEST_NAME`.

    Attributes:
        place: file name and row number, used in messages. The header is row 1, as in a spreadsheet.
        delimiter: separator of the cells in the file; "" for JSON lines and Parquet.
    """

    def __init__(self, cells: Iterable[tuple[str, Any]], place: str, delimiter: str = "") -> None:
        named = ((_column_name(name), _normalized(cell)) for name, cell in cells)
        try:
            super().__init__((name, cell) for name, cell in named if name)
        except InvalidInputError as error:
            raise InvalidInputError(f"{place}: {error}") from error
        self.place = place
        self.delimiter = delimiter

    def is_missing(self, column: str) -> bool:
        """Return True if a cell is absent, empty, or a text for a missing value such as "NaN"."""
        return _is_missing(self.get(column))

    def text(self, column: str) -> str:
        """Return a cell as text, which must not be empty."""
        cell = self[column]
        if cell is None or not str(cell):
            raise InvalidInputError(f"{self.place}: the column {column!r} is empty. Add a value.")
        return str(cell)

    def identifier(self, column: str) -> str:
        """Return a cell as an identifier; "5.0", as pandas writes numbers, becomes "5"."""
        text = self.text(column)
        if _ROUNDED.fullmatch(text):
            raise self._invalid(
                column,
                "an identifier",
                "A spreadsheet program rounded this number. Use the table as published.",
            )
        integer = _INTEGER.fullmatch(text)
        return integer[1] if integer else text

    def integer(self, column: str) -> int:
        """Return a cell as an integer of at least 0."""
        integer = _INTEGER.fullmatch(self.text(column))
        if integer is None:
            raise self._invalid(column, "an integer of at least 0")
        return int(integer[1])

    def flag(self, column: str) -> bool:
        """Return True for "true", "yes", "1"; False for "false", "no", "0"; in any letter case."""
        text = self.identifier(column).casefold()
        if text not in _FLAGS:
            raise self._invalid(column, "1 or 0, true or false")
        return _FLAGS[text]

    def choice(self, column: str, choices: Iterable[str]) -> str:
        """Return a cell in lower case, which must be one of `choices`."""
        text, known = self.text(column).casefold(), tuple(choices)
        if text not in known:
            hint = did_you_mean(text, known).strip()
            raise self._invalid(column, f"one of {', '.join(known)}", hint)
        return text

    def seconds(self, column: str) -> float | None:
        """Return a cell as a time in seconds, or None if it is missing.

        A comma is read as a decimal comma. "12,345" could also mean 12345; it is an error unless
        the cells of the table are separated by ";".
        """
        if self.is_missing(column):
            return None
        cell = self[column]
        text = str(cell)
        if _DECIMAL_COMMA.fullmatch(text):
            if self.delimiter != ";" and _THOUSANDS.fullmatch(text):
                advice = f"Write {text.replace(',', '.')} or {text.replace(',', '')}."
                raise self._invalid(column, "seconds", advice)
            text = text.replace(",", ".")
        if isinstance(cell, bool) or not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
            raise self._invalid(column, "seconds")
        if abs(float(text)) > MOST_SECONDS:
            raise self._invalid(column, f"at most {MOST_SECONDS:g} seconds")
        return float(text)

    def labels(self, column: str, separator: str | None = None) -> tuple[str, ...] | None:
        """Return the labels in a cell: () for an empty cell, None for a missing value ("NaN").

        The cell contains a list, a list written as in Python or JSON, or text with separators.

        Args:
            column: name of the column.
            separator: text between labels; None means ";", and a cell with "|" is then an error.
        """
        cell = self.get(column)
        if isinstance(cell, list):
            return tuple(str(item) for item in cell if not _is_missing(item))
        if cell is None or (cell != "" and _is_missing(cell)):
            return None
        text = str(cell)
        if text == "[]" or (text.startswith("[") and text.endswith("]") and set(text) & set("'\"")):
            items = _parsed_list(text)
            if items is None:
                raise self._invalid(column, "labels with ';' between them, or a list")
            return tuple(items)
        if separator is None and "|" in text:
            raise self._invalid(
                column,
                "labels with ';' between them",
                "If '|' separates labels, pass separator='|'; if it is part of a label, pass "
                "separator=';'.",
            )
        return tuple(part for part in map(str.strip, text.split(separator or ";")) if part)

    def _invalid(self, column: str, expected: str, advice: str = "") -> InvalidInputError:
        """Return the error to raise for a cell with invalid content."""
        return InvalidInputError(
            f"{self.place}: column {column!r}: expected {expected}, got {self[column]!r:.80}. "
            f"{advice}".rstrip()
        )


def refuse_repeated(rows: Sequence[TableRow], column: str) -> None:
    """Raise `InvalidInputError` if two rows have the same identifier in a column."""
    places: dict[str, str] = {}
    for row in rows:
        value = row.identifier(column)
        if value in places:
            raise InvalidInputError(
                f"{row.place}: expected unique values in the column {column!r}, got {value!r} "
                f"again, as in {places[value]}. Remove one of these rows."
            )
        places[value] = row.place


def _is_missing(cell: object) -> bool:
    return cell is None or (isinstance(cell, str) and cell in _MISSING)


@lru_cache(maxsize=1024)  # all rows of a table have the same names
def _column_name(name: str) -> str:
    if len(name) > LONGEST_NAME:
        raise InvalidInputError(
            f"expected column names of at most {LONGEST_NAME} characters, got {len(name)} that "
            f"begin with {name[:40]!r}. Check the separators and quotes of the header."
        )
    return nfc(name.strip())


def _normalized(cell: object) -> Any:  # noqa: ANN401 - cells have any type
    if isinstance(cell, str):
        return nfc(cell.strip())
    if isinstance(cell, float) and math.isnan(cell):
        return None
    if isinstance(cell, list):
        return [item for item in map(_normalized, cell) if item not in (None, "")]
    return cell


def _parsed_list(text: str) -> list[str] | None:
    """Parse a list written as in Python or JSON; return None if it cannot be parsed."""
    if _NUMPY_LIST.search(text):
        return None
    try:
        items = parse_json(text)
    except ValueError:
        try:
            items = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None
    if not isinstance(items, list):
        return None
    return [str(item).strip() for item in items if not _is_missing(item) and str(item).strip()]
