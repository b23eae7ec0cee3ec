"""Lossless conversion between dataclasses and JSON, based on type annotations.

NaN and infinity are rejected, because JSON cannot represent them.
"""

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import PlainValidator, TypeAdapter, ValidationError

from audioprobe.errors import InvalidInputError, located
from audioprobe.io.config import error_message, parse_config
from audioprobe.types import Float64Array

T = TypeVar("T")

_TOKENS = 4096  # number of JSON tokens, or of numbers of an array, in memory at once


def to_json(value: object, *, indent: int | None = 2) -> str:
    """Return a dataclass as JSON text, with keys in the order of its fields.

    Raises:
        InvalidInputError: for NaN, infinity, or an object that cannot be converted to JSON.
    """
    try:
        # Pydantic is not used here, because it writes NaN as null.
        return json.dumps(value, indent=indent, allow_nan=False, default=_encode)
    except InvalidInputError:
        raise
    except ValueError as error:
        raise _not_finite(value, error) from error


def json_pieces(value: object, *, indent: int = 2) -> Iterator[str]:
    """Yield the text of `to_json` in pieces, so that a large dataclass is written to a file.

    Raises:
        InvalidInputError: for NaN, infinity, or an object that cannot be converted to JSON.
    """
    encoder = json.JSONEncoder(indent=indent, allow_nan=False, default=_encode_lazily)
    tokens = encoder.iterencode(value)
    try:
        while piece := "".join(islice(tokens, _TOKENS)):
            yield piece
    except InvalidInputError:
        raise
    except ValueError as error:
        raise _not_finite(value, error) from error


def canonical_json(value: object) -> str:
    """Return a dataclass as JSON text with sorted keys: equal contents give equal texts."""
    return json.dumps(json.loads(to_json(value)), sort_keys=True)


def from_json(cls: type[T], text: str) -> T:
    """Create a dataclass from the JSON text that `to_json` returned.

    Raises:
        InvalidInputError: if the text is not valid JSON, or does not match the fields of the class.
    """
    try:
        value: T = _adapter(cls).validate_json(text, strict=True, extra="forbid")  # type: ignore[arg-type]
    except ValidationError as error:
        data = _parsed(text)
        if error.errors()[0]["type"] == "json_invalid":
            # Only Python's parser reads lone surrogates (from file names that are not UTF-8).
            return parse_config(cls, data, cls.__name__)
        raise InvalidInputError(error_message(error, cls, data, cls.__name__)) from error
    return value


def read_json(cls: type[T], path: str | Path, name: str) -> T:
    """Create a dataclass from a file with the JSON text that `to_json` returned.

    Args:
        cls: the dataclass.
        path: the file, or a folder that contains it; a name that ends with ".gz" means gzip.
        name: name of the file in a folder.

    Raises:
        InvalidInputError: if the file cannot be read or is invalid; the message names the file.
    """
    file = Path(path) / name if Path(path).is_dir() else Path(path)
    try:
        content = file.read_bytes()
        text = (gzip.decompress(content) if file.suffix == ".gz" else content).decode("utf-8")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{file}: cannot read the result ({error}).") from error
    with located(str(file)):
        return from_json(cls, text)


@cache
def _adapter(cls: type[object]) -> TypeAdapter[Any]:
    return TypeAdapter(cls)


def _parsed(text: str) -> Any:
    """Parse JSON; raise `InvalidInputError` if it is invalid."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"Not valid JSON: {error}. Is the file complete?") from error


def _not_finite(value: object, error: ValueError) -> InvalidInputError:
    return InvalidInputError(
        f"A {type(value).__name__} with NaN or infinity cannot be written: {error}."
    )


class _LazyNumbers(list[float]):
    """A list for the JSON encoder that takes its numbers from an array, a few at a time."""

    def __init__(self, values: npt.NDArray[Any]) -> None:
        super().__init__()
        self._values = values.ravel()

    def __len__(self) -> int:
        return self._values.size

    def __iter__(self) -> Iterator[float]:
        for start in range(0, len(self), _TOKENS):
            yield from self._values[start : start + _TOKENS].tolist()


def _encode_lazily(value: object) -> object:
    """Convert an object like `_encode`, without a copy of all numbers of an array."""
    if isinstance(value, np.ndarray):
        shape = list(value.shape)
        return {"dtype": value.dtype.str, "shape": shape, "data": _LazyNumbers(value)}
    return _encode(value)


def _encode(value: object) -> object:
    """Convert an object that Python's `json` module does not support into a JSON value."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, np.ndarray):
        shape, data = list(value.shape), value.ravel().tolist()
        return {"dtype": value.dtype.str, "shape": shape, "data": data}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Path):
        return value.as_posix()
    raise InvalidInputError(f"A {type(value).__name__} cannot be written as JSON.")


def _decode_array(data: Any) -> Float64Array:
    """Convert a JSON object {"dtype", "shape", "data"} to the array of floats that it describes."""
    try:
        dtype = np.dtype(data["dtype"])
        values = np.array(data["data"], dtype=np.float64).reshape(data["shape"])
    except (TypeError, KeyError, ValueError, OverflowError) as error:
        raise ValueError(f"not an array ({error!s:.100})") from error
    if dtype.kind != "f":
        raise ValueError(f"expected an array of floats, got {dtype}")
    return values.astype(dtype)


JsonArray: TypeAlias = Annotated[Float64Array, PlainValidator(_decode_array)]
"""Type of a dataclass field with an array of floats, which pydantic alone cannot read."""
