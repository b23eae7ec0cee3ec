"""Reading of compiled Qt resource files (.rcc), in which GCompris stores its sounds.

Qt's `rcc` writes a header, a tree of nodes, names in UTF-16, and data. All numbers are big-endian.
"""

import struct
import zlib
from collections.abc import Iterator

SUFFIX = ".rcc"

_MAGIC = b"qres"
_HEADER = struct.Struct(">4s4I")  # magic, version, offsets of tree, data and names
_NODE = struct.Struct(">IHII")  # name, flags; then child count and first child, or locale and data
_TIMESTAMP = 8  # bytes after each node; since version 2
_ZLIB, _FOLDER, _ZSTD = 1, 2, 4  # flags of a node


def resource_files(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of each file in a resource file; skip zstd-compressed files.

    Raises:
        ValueError: if the content is damaged or not a resource file.
    """
    try:
        magic, version, tree, data, names = _HEADER.unpack_from(content)
        if magic != _MAGIC:
            raise ValueError(f"expected {_MAGIC!r} at the beginning, got {magic!r}")
        size = _NODE.size + (_TIMESTAMP if version >= 2 else 0)
        queue = [("", 0)]
        for parent, index in queue:  # the loop appends children
            name, flags, first, second = _NODE.unpack_from(content, tree + index * size)
            path = f"{parent}/{_name(content, names + name)}" if index else ""
            if flags & _FOLDER:
                if second <= index:  # a child before its parent would cause an endless loop
                    raise ValueError("damaged: a folder that contains itself")
                queue += [(path, child) for child in range(second, second + first)]
            elif not flags & _ZSTD:
                payload = _data(content, data + second)
                yield path.lstrip("/"), zlib.decompress(payload[4:]) if flags & _ZLIB else payload
    except (struct.error, zlib.error, UnicodeDecodeError) as error:
        raise ValueError(f"damaged: {error}") from error


def _name(content: bytes, offset: int) -> str:
    (length,) = struct.unpack_from(">H", content, offset)
    return _slice(content, offset + 6, 2 * length).decode("utf-16-be")  # after length and hash


def _data(content: bytes, offset: int) -> bytes:
    (length,) = struct.unpack_from(">I", content, offset)
    return _slice(content, offset + 4, length)


def _slice(content: bytes, begin: int, length: int) -> bytes:
    piece = content[begin : begin + length]
    if len(piece) < length:
        raise ValueError("damaged: unexpected end of file")
    return piece
