"""Parsers of JSON and TOML that report every damaged text as `ValueError`."""

import json
import tomllib
from typing import Any

_TOO_DEEP = "nested too deeply"


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
        ValueError: if the text is not TOML, or is nested too deeply for Python's parser.
    """
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error
