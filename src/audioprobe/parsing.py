"""Parsers of JSON and TOML that report every damaged text as `ValueError`."""

import json
import tomllib
from collections.abc import Iterable
from typing import Any

_TOO_DEEP = "nested too deeply"
_MOST_LEVELS = 100  # Python can print and copy such data; configurations need fewer than 10


def parse_json(text: str | bytes, **hooks: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return the content of a JSON text.

    Args:
        text: text that need not be trusted.
        hooks: other arguments of `json.loads`.

    Raises:
        ValueError: if the text is not JSON, or is nested too deeply for Python's parser, which
            raises `RecursionError`.
    """
    try:
        return json.loads(text, **hooks)
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error


def parse_toml(text: str) -> dict[str, Any]:
    """Return the content of a TOML text.

    Raises:
        ValueError: if the text is not TOML, or is nested too deeply. Dotted keys nest without a
            limit in Python's parser.
    """
    try:
        tables = tomllib.loads(text)
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error
    level: list[Any] = [tables]
    for _ in range(_MOST_LEVELS):
        level = [item for value in level for item in _items(value)]
        if not level:
            return tables
    raise ValueError(_TOO_DEEP)


def _items(value: object) -> Iterable[Any]:
    """Return the values in a table or list; () for other values."""
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
