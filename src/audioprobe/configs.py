"""Configurations: frozen dataclasses from files of TOML, in which nothing can be misspelt."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
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
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        told = first.get("ctx", {})
        known = re.findall("'([^']*)'", str(told.get("expected_tags", told.get("expected", ""))))
        hint = did_you_mean(str(told.get("tag", first["input"])), known)
        raise InvalidInputError(f"{source}: {where}: {first['msg']}.{hint}") from error
    _refuse_unknown(data, config, source)
    return config


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
