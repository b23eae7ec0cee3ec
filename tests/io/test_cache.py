"""The file under the caches: check sums, and files of older versions."""

import sqlite3
from pathlib import Path

import numpy as np
import pytest
from tests.scripted import CharacterEmbedder

from audioprobe.errors import InvalidInputError
from audioprobe.io.cache import SQLiteCache, key_of, scope_of
from audioprobe.models.embedders.cached import CachedEmbedder


def test_the_first_answer_to_a_key_stays(tmp_path: Path) -> None:
    store = SQLiteCache(tmp_path / "deep" / "store.sqlite")
    store.write({b"a": b"1", b"b": b""})
    store.write({b"a": b"2"})
    assert store.read([b"a", b"b", b"c"]) == {b"a": b"1", b"b": b""}
    many = {f"{n}".encode(): b"x" for n in range(1200)}
    store.write(many)
    assert store.read(list(many)) == many


def test_a_single_changed_bit_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    SQLiteCache(path).write({b"a": b"1234"})
    file = sqlite3.connect(path)
    with file:
        file.execute("UPDATE answers SET answer = x'31323335'")
    file.close()
    with pytest.raises(InvalidInputError, match="damaged answer"):
        SQLiteCache(path).read([b"a"])


def test_embeddings_of_an_older_version_are_taken_over(tmp_path: Path) -> None:
    path, embedder = tmp_path / "old.sqlite", CharacterEmbedder()
    vector = np.full(13, 7, "<f4")
    file = sqlite3.connect(path)
    with file:
        file.execute(
            "CREATE TABLE vectors (key BLOB PRIMARY KEY, width INTEGER NOT NULL, "
            "vector BLOB NOT NULL) WITHOUT ROWID"
        )
        key = key_of(scope_of(embedder.info), "a")
        file.execute("INSERT INTO vectors VALUES (?, 13, ?)", (key, vector.tobytes()))
        file.execute("PRAGMA user_version=1")
    file.close()
    for _ in range(2):
        np.testing.assert_array_equal(CachedEmbedder(embedder, path).embed(["a"]), [vector])
