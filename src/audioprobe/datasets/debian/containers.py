"""Files inside the containers in which games store their sounds.

A container is read as untrusted data: every offset is checked, and only names that the caller
asks for are written to the disk.
"""

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from audioprobe.errors import RemoteError

MAX_BYTES = 1 << 28  # decompressed; the largest container in the table has 45 MB
MAX_ENTRIES = 100_000  # files and folders; the largest container in the table has 3000
_QT_MAGIC = b"qres"
_QT_HEADER = struct.Struct(">4s4I")  # magic, version, offsets of tree, data and names
_QT_NODE = struct.Struct(">IHII")  # name, flags; then child count and first child, or locale, data
_TIMESTAMP = 8  # bytes after each node; since version 2
_ZLIB, _FOLDER, _ZSTD = 1, 2, 4  # flags of a node
_GZIP_MAGIC, _CLONK_MAGIC = b"\x1f\x8b", b"\x1e\x8c"
_CLONK_ID = b"RedWolf Design GrpFolder"
_CLONK_HEADER = struct.Struct("<24s12xi164x")  # identification, number of entries
_CLONK_ENTRY = struct.Struct("<260s4xii4xi36x")  # name, 1 for a group, size, offset
_CLONK_XOR = 237
_CAT_ENTRY = struct.Struct("<II")  # offset, size
_CAT_OFFSET = 0x7FFFFFFF  # all bits but the flag


def qt_files(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of each file in a compiled resource file of Qt (.rcc).

    GCompris stores its sounds in such files. They consist of a header, a tree of nodes, names in
    UTF-16, and data; all numbers are big-endian. Files compressed with zstd are skipped.

    Raises:
        ValueError: if the content is damaged or is not a resource file.
    """
    try:
        magic, version, tree, data, names = _QT_HEADER.unpack_from(content)
        if magic != _QT_MAGIC:
            raise ValueError(f"expected a file that begins with {_QT_MAGIC!r}, got {magic!r}")
        size = _QT_NODE.size + (_TIMESTAMP if version >= 2 else 0)
        queue = [("", 0)]
        for parent, index in queue:  # the loop body appends the children of folders
            name, flags, first, second = _QT_NODE.unpack_from(content, tree + index * size)
            path = f"{parent}/{_qt_name(content, names + name)}" if index else ""
            if flags & _FOLDER:
                if second <= index:  # a child at or before its parent causes an endless loop
                    raise ValueError("damaged: a folder that contains itself")
                if len(queue) + first > MAX_ENTRIES:  # folders that overlap could be without end
                    raise ValueError(f"damaged: more than {MAX_ENTRIES} files")
                queue += [(path, child) for child in range(second, second + first)]
            elif not flags & _ZSTD:
                (length,) = struct.unpack_from(">I", content, data + second)
                payload = _slice(content, data + second + 4, length)
                yield path.lstrip("/"), _decompress(payload[4:]) if flags & _ZLIB else payload
    except (struct.error, zlib.error, UnicodeDecodeError) as error:
        raise ValueError(f"damaged: {error}") from error


def clonk_files(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of each file in a group of OpenClonk (.ocd, .ocf, .ocg).

    A group is compressed with gzip; its first two bytes differ from those of gzip. It consists of
    a header, entries of 316 bytes, and data; numbers are little-endian. Groups inside a group are
    folders.

    Raises:
        ValueError: if the content is damaged or is not a group.
    """
    if content[:2] != _CLONK_MAGIC:
        raise ValueError(f"expected a file that begins with {_CLONK_MAGIC!r}, got {content[:2]!r}")
    try:
        group = _decompress(_GZIP_MAGIC + content[2:], zlib.MAX_WBITS | 16)  # 16: header of gzip
        yield from _clonk_group(group)
    except (struct.error, zlib.error, UnicodeDecodeError) as error:
        raise ValueError(f"damaged: {error}") from error


def cat_files(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of each sound in a set of sounds of OpenTTD (.cat).

    The file begins with the offset and the size of each sound; numbers are little-endian, and the
    highest bit of an offset is a flag. At an offset are a title, the sound, a zero byte, and the
    path from which the sound was built. Title and path have their length as first byte and end
    with a zero byte. The first offset is the length of the table.

    Raises:
        ValueError: if the content is damaged or is not a set of sounds.
    """
    try:
        length = _CAT_ENTRY.unpack_from(content)[0] & _CAT_OFFSET
        if length == 0 or length % _CAT_ENTRY.size:
            raise ValueError(f"expected a table of sounds, got one with {length} bytes")
        for position in range(0, length, _CAT_ENTRY.size):
            offset, size = _CAT_ENTRY.unpack_from(content, position)
            begin = _after_text(content, offset & _CAT_OFFSET)
            end = begin + size
            path = _slice(content, end + 2, _after_text(content, end + 1) - end - 2)
            yield path.rstrip(b"\0").decode("utf-8"), _slice(content, begin, size)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ValueError(f"damaged: {error}") from error


CONTAINERS: Mapping[str, Callable[[bytes], Iterator[tuple[str, bytes]]]] = {
    ".cat": cat_files,
    ".rcc": qt_files,
    ".ocd": clonk_files,
    ".ocf": clonk_files,
    ".ocg": clonk_files,
}
"""Functions that yield path and content of the files in a container, keyed by file suffix."""


def extract_containers(files: Iterable[str], unpacked: Path) -> None:
    """Replace each container in a folder by a folder with those of its files that are in `files`.

    Args:
        files: paths relative to `unpacked`; a container is a folder in such a path. Paths without
            a container, and containers that do not exist, are skipped.
        unpacked: folder of an unpacked package.

    Raises:
        RemoteError: if a container is damaged; the message names the container.
    """
    members: dict[str, set[str]] = {}
    for file in files:
        if container := _container(file, unpacked):
            members.setdefault(container, set()).add(file.removeprefix(f"{container}/"))
    for container, names in members.items():
        path = unpacked / container
        try:
            reader = CONTAINERS[path.suffix]
            contents = {name: data for name, data in reader(path.read_bytes()) if name in names}
        except ValueError as error:
            raise RemoteError(
                f"{container}: cannot be read as a container of sounds ({error}). Fetch the "
                "package again."
            ) from error
        path.unlink()
        for name, data in contents.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)


def _container(file: str, unpacked: Path) -> str | None:
    """Return the part of a path that is a container in the package; None if there is none."""
    for parent in reversed(PurePosixPath(file).parents):
        path = unpacked / parent
        if parent.suffix in CONTAINERS and path.is_file():
            # A link to a path outside the package would read a file of this computer.
            return str(parent) if path.resolve().is_relative_to(unpacked.resolve()) else None
    return None


def _qt_name(content: bytes, offset: int) -> str:
    (length,) = struct.unpack_from(">H", content, offset)
    return _slice(content, offset + 6, 2 * length).decode("utf-16-be")  # after length and hash


def _clonk_group(group: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of each file in a decompressed group, and in the groups inside it."""
    n_total = 0
    queue = [("", group)]
    for folder, content in queue:  # the loop body appends the groups inside a group
        header = _unscrambled(content[: _CLONK_HEADER.size])
        identification, n_entries = _CLONK_HEADER.unpack(header)
        if identification != _CLONK_ID:
            raise ValueError(f"expected a group with {_CLONK_ID!r}, got {identification!r}")
        n_total += n_entries
        if n_entries < 0 or n_total > MAX_ENTRIES:  # groups that overlap could be without end
            raise ValueError(f"damaged: more than {MAX_ENTRIES} files, or a negative number")
        data = _CLONK_HEADER.size + n_entries * _CLONK_ENTRY.size
        for position in range(_CLONK_HEADER.size, data, _CLONK_ENTRY.size):
            name, is_group, size, offset = _CLONK_ENTRY.unpack_from(content, position)
            path = folder + name.split(b"\0", 1)[0].decode("utf-8")
            if offset < 0:
                raise ValueError("damaged: negative offset")
            piece = _slice(content, data + offset, size)
            if is_group:
                queue.append((f"{path}/", piece))
            else:
                yield path, piece


def _unscrambled(header: bytes) -> bytes:
    """Return the header of a group: xor of each byte, then bytes 0 and 2 of each three swapped."""
    plain = bytearray(byte ^ _CLONK_XOR for byte in header)
    plain[0:-2:3], plain[2::3] = plain[2::3], plain[0:-2:3]
    return bytes(plain)


def _after_text(content: bytes, offset: int) -> int:
    """Return the offset after a text whose length is its first byte."""
    return offset + 1 + content[offset]


def _decompress(content: bytes, wbits: int = zlib.MAX_WBITS) -> bytes:
    decompressor = zlib.decompressobj(wbits)
    data = decompressor.decompress(content, MAX_BYTES)
    if not decompressor.eof:
        raise ValueError(
            f"damaged: unexpected end of file, or more than {MAX_BYTES / 1e6:.0f} MB of data"
        )
    return data


def _slice(content: bytes, begin: int, length: int) -> bytes:
    piece = content[begin : begin + length]
    if begin < 0 or length < 0 or len(piece) < length:
        raise ValueError("damaged: unexpected end of file")
    return piece
