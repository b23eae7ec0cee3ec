"""Cells of people's own tables: labels, seconds, and what says that a value is missing."""

import ast
import json
import math
import re
from collections.abc import Iterable, Mapping

from audioprobe.errors import InvalidInputError

_MISSING = frozenset(  # what pandas writes or reads for a missing value
    ("", "NaN", "nan", "NA", "N/A", "n/a", "<NA>", "#N/A", "NULL", "null", "None", "NaT")
)
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_NO_COMMA = re.compile(r"""['"]\s+['"]""")  # a list as numpy prints it
_QUOTE = re.compile(r"""['"]""")


def is_missing(cell: object) -> bool:
    """Whether a cell is empty or says that its value is missing, as "NaN" does."""
    return cell is None or (isinstance(cell, str) and cell in _MISSING)


def labels_of(cell: object, separator: str | None) -> tuple[str, ...] | None:
    """Return the labels of a cell: () where it is empty, None where its value is missing.

    Args:
        cell: labels with a separator between them, a list, or a list as Python or JSON writes it.
        separator: None is ";", and refuses a cell that seems to have another.

    Raises:
        InvalidInputError: for a list that cannot be read, or another separator.
    """
    if isinstance(cell, list):
        return tuple(str(item) for item in cell if not is_missing(item))
    if cell is None or (cell != "" and is_missing(cell)):
        return None
    text = str(cell)
    if text.startswith("[") and text.endswith("]") and (text == "[]" or _QUOTE.search(text)):
        return tuple(_listed(text))
    if separator is None and "|" in text:
        raise InvalidInputError(
            f"expected labels with ';' between them, got {text!r}. If '|' is between labels, pass "
            "separator='|'; if it is part of a label, pass separator=';'."
        )
    return tuple(part for part in map(str.strip, text.split(separator or ";")) if part)


def refuse_commas(places: Mapping[str, str], known: Iterable[str]) -> None:
    """Refuse a label that is other labels with commas between them.

    Args:
        places: of labels: file and row.
        known: every label.

    Raises:
        InvalidInputError: names the row, and the separator to pass.
    """
    labels = set(known)
    for label, place in places.items():
        parts = [part.strip() for part in label.split(",")]
        if len(parts) > 1 and labels.issuperset(parts):
            raise InvalidInputError(
                f"{place}: the label {label!r} is several labels with commas between them, all of "
                "which there are. Pass separator=',', or separator=';' if it is one label."
            )


def seconds_of(cell: object, column: str, delimiter: str) -> float | None:
    """Return a time in seconds, None where it is missing.

    A comma is a decimal comma, unless it may separate thousands, as in "12,345".

    Args:
        cell: a number, or a text.
        column: its name, for messages.
        delimiter: of the table; where it is ";", every comma is a decimal comma.

    Raises:
        InvalidInputError: for anything else.
    """
    if is_missing(cell):
        return None
    text = str(cell)
    if _DECIMAL_COMMA.fullmatch(text):
        if delimiter != ";" and _THOUSANDS.fullmatch(text):
            raise InvalidInputError(
                f"the column {column!r} needs seconds, got {text!r}: write "
                f"{text.replace(',', '.')} or {text.replace(',', '')}."
            )
        text = text.replace(",", ".")
    if isinstance(cell, bool) or not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        raise InvalidInputError(f"the column {column!r} needs seconds, got {cell!r}.")
    return float(text)


def _listed(text: str) -> list[str]:
    refusal = InvalidInputError(
        f"expected labels with ';' between them, got a list that cannot be read, {text!r:.80}."
    )
    if _NO_COMMA.search(text):  # Python would join the texts
        raise refusal
    try:
        items = json.loads(text)
    except ValueError:
        try:
            items = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            raise refusal from None
    if not isinstance(items, list):
        raise refusal
    return [str(item).strip() for item in items if not is_missing(item) and str(item).strip()]
