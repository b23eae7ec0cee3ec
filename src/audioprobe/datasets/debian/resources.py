"""Files inside a compiled Qt resource file (.rcc), in which GCompris keeps its sounds.

The layout is that of Qt's `rcc` and `QResource`: a header, a tree of nodes, names in UTF-16, and
data; all numbers are big-endian.
"""

import struct
import zlib
from collections.abc import Iterator

SUFFIX = ".rcc"

_MAGIC = b"qres"
_HEADER = struct.Struct(">4s4I")  # magic, version, and where tree, data and names begin
_NODE = struct.Struct(">IHII")  # name, flags; children and the first one, or locale and data
_STAMP = 8  # bytes of a time behind each node, from version 2 on
_ZLIB, _FOLDER, _ZSTD = 1, 2, 4  # flags of a node


def files(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Paths and contents of the files in a resource file; those packed with zstd are left out.

    Raises:
        ValueError: if it is not such a file, or damaged.
    """
    try:
        magic, version, tree, data, names = _HEADER.unpack_from(content)
        if magic != _MAGIC:
            raise ValueError(f"begins with {magic!r}, a Qt resource file with {_MAGIC!r}")
        size = _NODE.size + (_STAMP if version >= 2 else 0)
        todo = [("", 0)]
        for path, number in todo:  # grows while it is gone through
            name, flags, first, second = _NODE.unpack_from(content, tree + number * size)
            here = f"{path}/{_name(content, names + name)}" if number else ""
            if flags & _FOLDER:
                _refuse_loop(number, second)
                todo += [(here, child) for child in range(second, second + first)]
            elif not flags & _ZSTD:
                yield here.lstrip("/"), _data(content, data + second, packed=bool(flags & _ZLIB))
    except (struct.error, zlib.error, UnicodeDecodeError) as error:
        raise ValueError(f"damaged: {error}") from error


def _name(content: bytes, offset: int) -> str:
    (length,) = struct.unpack_from(">H", content, offset)
    return _slice(content, offset + 6, 2 * length).decode("utf-16-be")  # behind length and hash


def _data(content: bytes, offset: int, *, packed: bool) -> bytes:
    (length,) = struct.unpack_from(">I", content, offset)
    payload = _slice(content, offset + 4, length)
    return zlib.decompress(payload[4:]) if packed else payload


def _slice(content: bytes, begin: int, length: int) -> bytes:
    piece = content[begin : begin + length]
    if len(piece) < length:
        raise ValueError("damaged: it ends too soon")
    return piece


def _refuse_loop(number: int, first_child: int) -> None:
    """Children stand behind their folder; anything else would never end."""
    if first_child <= number:
        raise ValueError("damaged: a folder that holds itself")
