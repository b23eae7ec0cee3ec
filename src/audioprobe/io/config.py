"""Reading of TOML configuration files into dataclasses; unknown keys are errors."""

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.parsing import parse_toml

T = TypeVar("T")

_UNKNOWN_KEY = "unexpected_keyword_argument"


def configs_in(folder: Path) -> dict[str, Path]:
    """Return a dictionary from name (without ".toml") to path of all configurations in a folder."""
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def find_config(name: str | Path, shipped: Path) -> Path:
    """Return the path of a configuration.

    Args:
        name: path of a file, or name (without ".toml") of a configuration in `shipped`.
        shipped: folder of the configurations that are installed with audioprobe.

    Raises:
        InvalidInputError: if there is no such configuration. The message lists the available names.
    """
    names = configs_in(shipped)
    path = names.get(str(name), Path(name).expanduser())
    if not path.is_file():
        hint = did_you_mean(str(name), names)
        raise InvalidInputError(
            f"{name}: expected a file or one of the shipped configurations "
            f"{', '.join(names)}.{hint}"
        )
    return path


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        InvalidInputError: if the file cannot be read or is not valid TOML.
    """
    try:
        return parse_toml(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise _not_toml(str(path), error) from error


def read_config(cls: type[T], path: str | Path) -> T:
    """Read a TOML file into a dataclass, with the checks of `parse_config`."""
    return parse_config(cls, read_toml(Path(path)), str(path))


def parse_config_text(cls: type[T], text: str, source: str) -> T:
    """Convert a text in TOML into a dataclass, with the checks of `parse_config`."""
    try:
        data = parse_toml(text)
    except ValueError as error:
        raise _not_toml(source, error) from error
    return parse_config(cls, data, source)


def parse_config(cls: type[T], data: Mapping[str, Any], source: str) -> T:
    """Convert parsed TOML or JSON into a dataclass.

    Args:
        cls: dataclass to create.
        data: parsed content.
        source: name of the file, for error messages.

    Raises:
        InvalidInputError: for an unknown key, a missing key or an invalid value. The message names
            the file and the key, and suggests a similar key.
    """
    try:
        value: T = TypeAdapter(cls).validate_python(data, extra="forbid")
    except ValidationError as error:
        raise InvalidInputError(error_message(error, cls, data, source)) from error
    return value


def _not_toml(source: str, error: Exception) -> InvalidInputError:
    return InvalidInputError(f"{source}: cannot be read as TOML ({error}).")


def error_message(error: ValidationError, cls: type, data: Any, source: str) -> str:  # noqa: ANN401 - parsed TOML or JSON
    """Return a message about the first error of a validation that is not an unknown key.

    If all errors are unknown keys, the message is about the first one.

    Args:
        error: the failed validation.
        cls: dataclass that the content was converted to.
        data: parsed content.
        source: name of the file.
    """
    first = min(error.errors(), key=lambda item: item["type"] == _UNKNOWN_KEY)
    about_key = first["type"] in ("missing", _UNKNOWN_KEY)
    where, table = source, data
    for part in first["loc"][: -1 if about_key else None]:
        if isinstance(table, list) and isinstance(part, int):
            where, table = f"{where}, number {part + 1}", table[part]
        elif isinstance(table, Mapping) and part in table:
            where, table = f"{where}: {part}", table[part]
        # otherwise `part` is pydantic's name for a member of a union
    if first["type"] == _UNKNOWN_KEY:
        known = _known_keys(cls, data, first["loc"])
        hint = did_you_mean(str(first["loc"][-1]), known)
        listed = f" Known keys: {', '.join(sorted(known))}." if known else ""
        return f"{where}: unknown key {first['loc'][-1]!r}.{hint}{listed}"
    if first["type"] == "missing":
        key = str(first["loc"][-1])
        near = get_close_matches(key, map(str, table), 1) if isinstance(table, Mapping) else []
        hint = f" Is {near[0]!r} a misspelling?" if near else ""
        return f"{where}: the key {key!r} is missing.{hint}"
    if first["type"] == "value_error":
        return f"{where}: {first['msg'].removeprefix('Value error, ')}"
    context = first.get("ctx", {})
    allowed = re.findall("'([^']*)'", str(context.get("expected_tags", context.get("expected"))))
    hint = did_you_mean(str(context.get("tag", first["input"])), allowed)
    return f"{where}: {first['msg']}, got {first['input']!r:.80}.{hint}"


def _known_keys(cls: type, data: object, location: tuple[int | str, ...]) -> list[str]:
    """Return the valid keys of the table that contains an unknown key; [] if not found.

    `location` is the path to the unknown key, as in pydantic's errors.
    """
    try:
        value: Any = TypeAdapter(cls).validate_python(data, extra="ignore")
    except ValidationError:  # some checks are made only when there is no unknown key
        return []
    for part in location[:-1]:
        if is_dataclass(value):
            value = getattr(value, str(part), value)
        elif isinstance(value, tuple) == isinstance(part, int):
            value = value[part]
    return [field.name for field in fields(value)] if is_dataclass(value) else []
