"""Files are read again only if their size or time of change differs."""

import hashlib
import os
from pathlib import Path

import pytest

from audioprobe.errors import InvalidInputError
from audioprobe.io.file_digests import DIGITS, FileDigests, file_digest

HOUR_NS = 3_600_000_000_000


def write(path: Path, content: bytes, mtime_ns: int) -> None:
    path.write_bytes(content)
    os.utime(path, ns=(mtime_ns, mtime_ns))


def digests_of(table: Path, *files: Path) -> list[str]:
    digests = FileDigests(table)
    values = [digests(file) for file in files]
    digests.save()
    return values


def test_digest_is_the_start_of_the_sha256_or_the_cause(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert file_digest(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()[:DIGITS]
    assert file_digest(tmp_path / "b") == file_digest(tmp_path) == "no such file"


@pytest.mark.parametrize(
    ("content", "mtime_ns", "is_read"),
    [(b"xyz", HOUR_NS, False), (b"xyz", HOUR_NS + 1, True), (b"abcd", HOUR_NS, True)],
)
def test_file_is_read_again_if_size_or_time_changed(
    content: bytes, mtime_ns: int, is_read: bool, tmp_path: Path
) -> None:
    file, table = tmp_path / "a", tmp_path / "table.json"
    write(file, b"abc", HOUR_NS)
    first = digests_of(table, file, tmp_path / "missing")
    assert first == [file_digest(file), "no such file"]
    write(file, content, mtime_ns)
    (again,) = digests_of(table, file)
    assert again == (file_digest(file) if is_read else first[0])


def test_files_that_just_changed_are_not_stored(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    digests_of(tmp_path / "table.json", tmp_path / "a")
    assert not (tmp_path / "table.json").exists()


@pytest.mark.parametrize("content", ["", "{", "[1]"])
def test_damaged_table_is_an_error(content: str, tmp_path: Path) -> None:
    (tmp_path / "table.json").write_text(content)
    with pytest.raises(InvalidInputError, match="Delete the file"):
        FileDigests(tmp_path / "table.json")
