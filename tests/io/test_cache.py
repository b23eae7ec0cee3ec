"""The SQLite cache: checksums, concurrent creation, foreign files."""

import sqlite3
from pathlib import Path

import pytest

from audioprobe.errors import InvalidInputError
from audioprobe.io.cache import SCHEMA_VERSION, SQLiteCache, open_cache


def test_first_value_of_a_key_is_kept(tmp_path: Path) -> None:
    cache = SQLiteCache(tmp_path / "deep" / "cache.sqlite")
    cache.write({b"a": b"1", b"b": b""})
    cache.write({b"a": b"2"})
    assert cache.read([b"a", b"b", b"c"]) == {b"a": b"1", b"b": b""}
    many = {f"{n}".encode(): b"x" for n in range(1200)}
    cache.write(many)
    assert cache.read(list(many)) == many
    assert open_cache(cache) is cache


def test_changed_bit_is_detected(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    SQLiteCache(path).write({b"a": b"1234"})
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE answers SET answer = x'31323335'")
    connection.close()
    with pytest.raises(InvalidInputError, match="damaged value"):
        SQLiteCache(path).read([b"a"])


def test_file_of_another_kind_is_refused_and_unchanged(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("these are notes, not a database " * 40)
    bookmarks = tmp_path / "bookmarks.sqlite"
    connection = sqlite3.connect(bookmarks)
    with connection:
        connection.execute("CREATE TABLE bookmarks (address TEXT)")
    connection.close()
    for path, message in ((notes, "a damaged file or"), (bookmarks, "another program")):
        before = path.read_bytes()
        with pytest.raises(InvalidInputError, match=message):
            SQLiteCache(path)
        assert path.read_bytes() == before


def test_other_schema_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    SQLiteCache(path)
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    connection.close()
    with pytest.raises(InvalidInputError, match=f"schema version {SCHEMA_VERSION}"):
        SQLiteCache(path)


def test_impossible_path_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInputError, match="cannot be created"):
        SQLiteCache(tmp_path / "file" / "cache.sqlite")
    with pytest.raises(InvalidInputError, match="cannot be read or written"):
        SQLiteCache(tmp_path)
