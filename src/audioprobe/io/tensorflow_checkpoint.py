"""Read the variables of a TensorFlow checkpoint without TensorFlow.

A checkpoint consists of an index, `variables.index`, and a file with the values,
`variables.data-00000-of-00001`. The index is a table in LevelDB's format: blocks of sorted keys
that share prefixes, and a footer that locates the block of blocks. Its values are protocol buffers
with data type, shape, offset and size of a variable.

Sources: https://github.com/google/leveldb/blob/main/doc/table_format.md, and
tensorflow/core/protobuf/tensor_bundle.proto (messages BundleHeaderProto and BundleEntryProto).
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from audioprobe.errors import WeightsError

INDEX, VALUES = "variables.index", "variables.data-00000-of-00001"

Variable: TypeAlias = npt.NDArray[np.number[Any]]
_Fields: TypeAlias = dict[int, list[int | bytes]]

_MAGIC = 0xDB4775248B80FB57  # last 8 bytes of a LevelDB table
_FOOTER = 48  # bytes
_UNCOMPRESSED = 0
_DTYPES: dict[int, type[np.number[Any]]] = {
    1: np.float32,
    2: np.float64,
    3: np.int32,
    9: np.int64,
}
# Field numbers of BundleEntryProto, TensorShapeProto and its dimensions
_DTYPE, _SHAPE, _SHARD, _OFFSET, _SIZE = 1, 2, 3, 4, 5
_DIMENSION, _DIMENSION_SIZE = 2, 1


def read_variables(folder: Path) -> dict[str, Variable]:
    """Return the numeric variables of a checkpoint by name; text variables are skipped.

    Args:
        folder: folder with `variables.index` and `variables.data-00000-of-00001`.

    Raises:
        WeightsError: if a file is missing or damaged, or the checkpoint has several data files.
    """
    try:
        index, values = ((folder / name).read_bytes() for name in (INDEX, VALUES))
    except OSError as error:
        raise WeightsError(
            f"{folder}: expected the files {INDEX} and {VALUES} of a TensorFlow checkpoint "
            f"({error})."
        ) from error
    variables = {}
    try:
        for name, entry in _entries(index):
            array = _array(entry, values) if name else None  # the header has the name ""
            if array is not None:
                variables[name.decode()] = array
    except (ValueError, TypeError, IndexError, OverflowError, struct.error) as error:
        raise WeightsError(
            f"{folder}: the TensorFlow checkpoint is damaged ({error}). Download it again."
        ) from error
    return variables


def _entries(index: bytes) -> Iterator[tuple[bytes, _Fields]]:
    """Yield (name of a variable, its fields) for each entry of an index file."""
    if len(index) < _FOOTER or struct.unpack("<Q", index[-8:])[0] != _MAGIC:
        raise ValueError(f"{INDEX} does not end with the magic number of a table")
    # The footer contains offset and size of the metadata block, then those of the block of blocks.
    footer, position, numbers = index[-_FOOTER:], 0, []
    for _ in range(4):
        number, position = _varint(footer, position)
        numbers.append(number)
    for _, handle in _block(index, *numbers[2:]):
        offset, position = _varint(handle, 0)
        size, _ = _varint(handle, position)
        for key, value in _block(index, offset, size):
            yield key, _fields(value)


def _block(index: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield (key, value) of each entry of a block.

    A key is stored as the number of bytes it shares with the previous key, and the other bytes.
    """
    block = index[offset : offset + size]
    if len(block) < size or index[offset + size] != _UNCOMPRESSED:
        raise ValueError(f"the block at byte {offset} is incomplete or compressed")
    (n_restarts,) = struct.unpack("<I", block[-4:])
    end, position, key = size - 4 - 4 * n_restarts, 0, b""
    while position < end:
        n_shared, position = _varint(block, position)
        n_new, position = _varint(block, position)
        n_value, position = _varint(block, position)
        key = key[:n_shared] + block[position : position + n_new]
        position += n_new
        yield key, block[position : position + n_value]
        position += n_value


def _array(entry: _Fields, values: bytes) -> Variable | None:
    """Return the values of a variable as an array; None if they are not numbers, such as text."""
    dtype = _DTYPES.get(_number(entry, _DTYPE))
    if dtype is None:
        return None
    if _number(entry, _SHARD):
        raise ValueError("its values are in several files")
    dimensions = _fields(_message(entry, _SHAPE)).get(_DIMENSION, [])
    shape = tuple(
        _number(_fields(dimension), _DIMENSION_SIZE)
        for dimension in dimensions
        if isinstance(dimension, bytes)
    )
    offset, size = _number(entry, _OFFSET), _number(entry, _SIZE)
    content = values[offset : offset + size]
    if len(content) < size:
        raise ValueError(f"{VALUES} ends after {len(values)} bytes, expected {offset + size}")
    little_endian = np.dtype(dtype).newbyteorder("<")
    array: Variable = np.frombuffer(content, little_endian).reshape(shape)
    return array


def _fields(message: bytes) -> _Fields:
    """Decode a protocol buffer: return a dictionary from field number to the list of values."""
    fields: _Fields = {}
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        number, wire_type = tag >> 3, tag & 7
        value: int | bytes
        if wire_type == 0:
            value, position = _varint(message, position)
        elif wire_type == 2:
            n_bytes, position = _varint(message, position)
            value = message[position : position + n_bytes]
            position += n_bytes
        elif wire_type == 5:
            value, position = struct.unpack_from("<I", message, position)[0], position + 4
        else:
            raise ValueError(f"unexpected wire type {wire_type} of field {number}")
        fields.setdefault(number, []).append(value)
    return fields


def _number(fields: _Fields, number: int) -> int:
    """Return the value of an integer field; 0, the default of the format, if it is absent."""
    value = fields.get(number, [0])[-1]
    if not isinstance(value, int):
        raise TypeError(f"field {number} is not an integer")
    return value


def _message(fields: _Fields, number: int) -> bytes:
    """Return the bytes of a nested message; b"" if it is absent."""
    value = fields.get(number, [b""])[-1]
    return value if isinstance(value, bytes) else b""


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """Decode an integer of variable length; return it and the position after it."""
    number = shift = 0
    while True:
        byte = message[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
        shift += 7
