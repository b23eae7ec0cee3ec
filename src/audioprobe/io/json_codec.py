"""Frozen dataclasses to JSON and back, without loss.

The type annotations are the schema. Numbers that are not finite are refused: in JSON they would
come back as something else, and missing is never zero.
"""

import json
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from audioprobe.errors import InvalidInputError

T = TypeVar("T")


def to_json(value: object, *, indent: int | None = 2) -> str:
    """A dataclass as JSON text, keys in the order of its fields.

    Raises:
        InvalidInputError: if it holds NaN, infinity, or something that is not data.
    """
    try:
        return json.dumps(_plain(value), indent=indent, allow_nan=False)
    except ValueError as error:
        raise InvalidInputError(
            f"A {type(value).__name__} with NaN or infinity cannot be written: {error}."
        ) from error


def from_json(cls: type[T], text: str) -> T:
    """The dataclass that `to_json` wrote.

    Args:
        cls: the dataclass wanted.
        text: JSON.

    Raises:
        InvalidInputError: if the text is not JSON, or not of this class.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"Not JSON: {error}. Is the file complete?") from error
    built: T = _build(cls, data, cls.__name__)
    return built


def _plain(value: object) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, np.ndarray):
        return {
            "dtype": value.dtype.str,
            "shape": list(value.shape),
            "data": value.ravel().tolist(),
        }
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    raise InvalidInputError(f"A {type(value).__name__} is not data and cannot be written as JSON.")


def _build(hint: Any, data: Any, where: str) -> Any:
    origin = get_origin(hint)
    if is_dataclass(hint) and isinstance(hint, type):
        return _build_dataclass(hint, data, where)
    if origin is not None or isinstance(hint, types.UnionType):
        return _build_generic(hint, origin, data, where)
    if hint is float and type(data) is int:
        return float(data)
    if hint is Path and isinstance(data, str):
        return Path(data)
    if type(data) is hint or hint is Any:
        return data
    raise InvalidInputError(f"{where}: expected {hint}, got {data!r:.80}.")


def _build_generic(hint: Any, origin: Any, data: Any, where: str) -> Any:
    arguments = get_args(hint)
    if origin in (Union, types.UnionType):
        return _build_union(arguments, data, where)
    if origin is np.ndarray:
        return _build_array(data, where)
    if origin is Literal and data in arguments:
        return data
    if origin is tuple and isinstance(data, list):
        return _build_tuple(arguments, data, where)
    if origin is Mapping and isinstance(data, dict):
        return {key: _build(arguments[1], item, f"{where}.{key}") for key, item in data.items()}
    raise InvalidInputError(f"{where}: expected {hint}, got {data!r:.80}.")


def _build_array(data: Any, where: str) -> Any:
    """Only arrays of floats are written by this library, and only those are read."""
    try:
        dtype = np.dtype(data["dtype"])
        values = np.array(data["data"], dtype=np.float64).reshape(data["shape"])
    except (TypeError, KeyError, ValueError) as error:
        raise InvalidInputError(f"{where}: not an array ({error!s:.100}).") from error
    if dtype.kind != "f":
        raise InvalidInputError(f"{where}: expected an array of floats, got {dtype}.")
    return values.astype(dtype)


def _build_dataclass(cls: Any, data: Any, where: str) -> Any:
    if not isinstance(data, dict):
        raise InvalidInputError(f"{where}: expected {cls.__name__}, got {data!r:.80}.")
    hints = get_type_hints(cls)
    names = {f.name for f in fields(cls)}
    # What files of earlier versions lack has its default value.
    needed = {f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING}
    if not needed <= set(data) <= names:
        odd = ", ".join(sorted((needed - set(data)) | (set(data) - names)))
        raise InvalidInputError(
            f"{where}: not a {cls.__name__} of this version, these keys differ: {odd}."
        )
    return cls(**{name: _build(hints[name], data[name], f"{where}.{name}") for name in data})


def _build_union(hints: tuple[Any, ...], data: Any, where: str) -> Any:
    if data is None and type(None) in hints:
        return None
    # An exact type first, so that an int in `int | float` stays one.
    if type(data) in hints:
        return data
    for hint in hints:
        try:
            return _build(hint, data, where)
        except InvalidInputError:
            continue
    raise InvalidInputError(f"{where}: expected one of {hints}, got {data!r:.80}.")


def _build_tuple(hints: tuple[Any, ...], data: Sequence[Any], where: str) -> tuple[Any, ...]:
    each = [hints[0]] * len(data) if hints[-1] is Ellipsis else list(hints)
    if len(each) != len(data):
        raise InvalidInputError(f"{where}: expected {len(each)} items, got {len(data)}.")
    return tuple(
        _build(hint, item, f"{where}[{n}]")
        for n, (hint, item) in enumerate(zip(each, data, strict=True))
    )
