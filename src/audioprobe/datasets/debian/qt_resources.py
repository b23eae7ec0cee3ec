"""Reading of compiled Qt resource files (.rcc), in which GCompris stores its sounds.

The layout is that of Qt's `rcc` and `QResource`: a header, a tree of nodes, names in UTF-16, and
data; all numbers are big-endian.
"""

import struct
import zlib
from collections.abc import Iterator

SUFFIX = ".rcc"

_MAGIC = b"qres"
_HEADER = struct.Struct(">4s4I")  # magic, version, offsets of tree, data and names
_NODE = struct.Struct(">IHII")  # name, flags; children and the first one, or locale and data
_TIMESTAMP = 8  # bytes after each node, from version 2 on
_ZLIB, _FOLDER, _ZSTD = 1, 2, 4  # flags of a node


def resource_files(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of the files in a resource file, without zstd-compressed ones.

    Raises:
        ValueError: if it is damaged or not a resource file.
    """
    try:
        magic, version, tree, data, names = _HEADER.unpack_from(content)
        if magic != _MAGIC:
            raise ValueError(f"begins with {magic!r}, a Qt resource file with {_MAGIC!r}")
        size = _NODE.size + (_TIMESTAMP if version >= 2 else 0)
        queue = [("", 0)]
        for parent, index in queue:  # the loop appends children
            name, flags, first, second = _NODE.unpack_from(content, tree + index * size)
            path = f"{parent}/{_name(content, names + name)}" if index else ""
            if flags & _FOLDER:
                if second <= index:  # children follow their parent; otherwise this would loop
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
