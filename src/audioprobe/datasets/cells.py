"""Cells of published tables, also where a spreadsheet or pandas has saved them again."""

import re
from collections.abc import Iterable

from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.io.tables import TableRow

_WHOLE = re.compile(r"(\d+)(?:[.,]0{1,2})?")  # "5", "5.0" (pandas), "5,00" (a spreadsheet)
_ROUNDED = re.compile(r"\d+(?:[.,]\d+)?e\+?\d+", re.IGNORECASE)  # "1E+05": digits are lost
_FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def text_of(row: TableRow, column: str) -> str:
    """Return a cell as text.

    Raises:
        InvalidInputError: if it is empty; names the row.
    """
    cell = row[column]
    if cell is None or not str(cell):
        raise InvalidInputError(f"{row.place}: the column {column!r} is empty.")
    return str(cell)


def identifier_of(row: TableRow, column: str) -> str:
    """Return an identifier, without the ".0" that a number gets from pandas.

    Raises:
        InvalidInputError: if it is empty, or a number that a spreadsheet has rounded.
    """
    text = text_of(row, column)
    if _ROUNDED.fullmatch(text):
        raise InvalidInputError(
            f"{row.place}: the column {column!r} has {text!r}, a number that a spreadsheet has "
            "rounded. Use the table as published."
        )
    whole = _WHOLE.fullmatch(text)
    return whole[1] if whole else text


def whole_of(row: TableRow, column: str) -> int:
    """Return a whole number.

    Raises:
        InvalidInputError: if the cell is no whole number of at least 0; names the row.
    """
    whole = _WHOLE.fullmatch(text_of(row, column))
    if whole is None:
        raise InvalidInputError(
            f"{row.place}: the column {column!r} needs a whole number, got {row[column]!r}."
        )
    return int(whole[1])


def flag_of(row: TableRow, column: str) -> bool:
    """Return whether a cell says yes.

    Raises:
        InvalidInputError: unless it is true, false, yes, no, 1 or 0; names the row.
    """
    text = text_of(row, column).casefold()
    whole = _WHOLE.fullmatch(text)
    text = whole[1] if whole else text
    if text not in _FLAGS:
        raise InvalidInputError(
            f"{row.place}: the column {column!r} needs 1 or 0, true or false, got {row[column]!r}."
        )
    return _FLAGS[text]


def choice_of(row: TableRow, column: str, choices: Iterable[str]) -> str:
    """Return the one of `choices` that a cell names, in whatever case.

    Raises:
        InvalidInputError: if it names none; names the row.
    """
    text = text_of(row, column).casefold()
    known = tuple(choices)
    if text not in known:
        raise InvalidInputError(
            f"{row.place}: the column {column!r} needs one of {', '.join(known)}, got "
            f"{row[column]!r}.{did_you_mean(text, known)}"
        )
    return text


def refuse_repeated(rows: Iterable[TableRow], column: str) -> None:
    """Refuse rows that share the value of a column.

    Raises:
        InvalidInputError: names the value and both rows; or if a cell is empty.
    """
    places: dict[str, str] = {}
    for row in rows:
        value = identifier_of(row, column)
        if value in places:
            raise InvalidInputError(
                f"{row.place}: the column {column!r} has {value!r} again, after "
                f"{places[value]}. Leave one of them out."
            )
        places[value] = row.place


def refuse_case_variants(names: Iterable[str], what: str, advice: str) -> None:
    """Refuse names that differ in case alone: clips of one thing would count as two.

    Args:
        names: to compare.
        what: they are, for messages: "labels".
        advice: what to do, for messages.

    Raises:
        InvalidInputError: names two of them.
    """
    spellings: dict[str, str] = {}
    for name in sorted(set(names)):
        other = spellings.setdefault(name.casefold(), name)
        if other != name:
            raise InvalidInputError(
                f"The {what} {other!r} and {name!r} differ in case alone. {advice}"
            )
