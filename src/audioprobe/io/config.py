"""Configurations: frozen dataclasses from files of TOML, in which nothing can be misspelt."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from audioprobe.errors import InvalidInputError, did_you_mean

T = TypeVar("T")


def configs_in(folder: Path) -> dict[str, Path]:
    """The configurations of a folder, by name, sorted."""
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def find_config(name: str | Path, shipped: Path) -> Path:
    """The file of a configuration: one that ships with the library by its name, or any other.

    Args:
        name: a name without ".toml", or a path.
        shipped: the folder of those that ship.

    Raises:
        InvalidInputError: if there is neither; lists those that ship.
    """
    names = configs_in(shipped)
    path = names.get(str(name), Path(name).expanduser())
    if not path.is_file():
        hint = did_you_mean(str(name), names)
        raise InvalidInputError(
            f"{name}: neither a file nor one of {', '.join(names)}, which ship.{hint}"
        )
    return path


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a file of TOML.

    Raises:
        InvalidInputError: if it cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidInputError(f"{path}: not readable as TOML ({error}).") from error


def read_config(cls: type[T], path: str | Path) -> T:
    """Read a configuration.

    Args:
        cls: the frozen dataclass that it is.
        path: the file.

    Raises:
        InvalidInputError: if it cannot be read, is not TOML, has an unknown key (suggests the
            nearest), or a value that cannot be; names file and key.
    """
    file = Path(path)
    return parse_config(cls, read_toml(file), str(file))


def parse_config(cls: type[T], data: Mapping[str, Any], source: str) -> T:
    """A configuration from the tables of a file of TOML.

    Args:
        cls: the frozen dataclass that it is.
        data: the tables.
        source: where they come from, for messages.

    Raises:
        InvalidInputError: for an unknown key (suggests the nearest), or a value that cannot be;
            names source and key.
    """
    try:
        config: T = TypeAdapter(cls).validate_python(data)
    except ValidationError as error:
        raise InvalidInputError(_message(error, data, source)) from error
    _refuse_unknown(data, config, source)
    return config


def _message(error: ValidationError, data: Any, source: str) -> str:  # noqa: ANN401 - parsed TOML
    """Name the place and the cause of the first fault."""
    first = error.errors()[0]
    missing = first["type"] == "missing"
    where, table = source, data
    for part in first["loc"][: -1 if missing else None]:
        if isinstance(table, list) and isinstance(part, int):
            where, table = f"{where}, number {part + 1}", table[part]
        elif isinstance(table, Mapping) and part in table:
            where, table = f"{where}: {part}", table[part]
        # any other part is a name that pydantic gives to one of several types
    if missing:
        key = str(first["loc"][-1])
        near = get_close_matches(key, map(str, table), 1) if isinstance(table, Mapping) else []
        hint = f" Is {near[0]!r} a misspelling of it?" if near else ""
        return f"{where}: the key {key!r} is missing.{hint}"
    told = first.get("ctx", {})
    known = re.findall("'([^']*)'", str(told.get("expected_tags", told.get("expected", ""))))
    hint = did_you_mean(str(told.get("tag", first["input"])), known)
    if first["type"] == "value_error":
        return f"{where}: {first['msg'].removeprefix('Value error, ')}"
    return f"{where}: {first['msg']}, got {first['input']!r:.80}.{hint}"


def _refuse_unknown(data: Any, value: object, where: str) -> None:  # noqa: ANN401 - parsed TOML
    """A misspelt key would otherwise leave a default in its place."""
    if isinstance(value, tuple) and isinstance(data, list):
        for n, (item, built) in enumerate(zip(data, value, strict=True), 1):
            _refuse_unknown(item, built, f"{where}, number {n}")
    if not (is_dataclass(value) and isinstance(data, Mapping)):
        return
    known = [f.name for f in fields(value)]
    for key, item in data.items():
        if key not in known:
            hint = did_you_mean(key, known)
            raise InvalidInputError(
                f"{where}: unknown key {key!r}.{hint} There are {', '.join(sorted(known))}."
            )
        _refuse_unknown(item, getattr(value, key), f"{where}: {key}")
