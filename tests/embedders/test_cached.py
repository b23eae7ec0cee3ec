"""The store: equal to asking, never twice, safe from other processes, honest about damage."""

import multiprocessing
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.scripted import CharacterEmbedder

from audioprobe.embedders.cached import SCHEMA_VERSION, CachedEmbedder
from audioprobe.errors import InvalidInputError, RemoteError
from audioprobe.testing import check_embedder
from audioprobe.types import ComponentInfo, FloatArray


class Recording(CharacterEmbedder):
    """Remembers what it was asked, and fails when told to."""

    def __init__(self, *, name: str = "characters", fail_after: int | None = None) -> None:
        self.asked: list[str] = []
        self._name = name
        self._fail_after = fail_after

    @property
    def info(self) -> ComponentInfo:
        return ComponentInfo("embedder", self._name)

    def embed(self, texts: Sequence[str]) -> FloatArray:
        if self._fail_after is not None and len(self.asked) >= self._fail_after:
            raise RemoteError("the line went dead")
        self.asked += texts
        return super().embed(texts)


def test_it_keeps_the_contract_of_embedders(tmp_path: Path) -> None:
    check_embedder(CachedEmbedder(CharacterEmbedder(), tmp_path / "store.sqlite"))


@given(
    calls=st.lists(st.lists(st.text(max_size=4), max_size=8), max_size=4), chunk=st.integers(1, 5)
)
def test_it_answers_as_the_inner_embedder_and_asks_each_text_once(
    tmp_path_factory: pytest.TempPathFactory, calls: list[list[str]], chunk: int
) -> None:
    inner = Recording()
    path = tmp_path_factory.mktemp("cache") / "store.sqlite"
    for texts in calls:
        found = CachedEmbedder(inner, path, chunk=chunk).embed(texts)
        np.testing.assert_array_equal(found, CharacterEmbedder().embed(texts))
    assert len(inner.asked) == len(set(inner.asked))


def test_vectors_come_back_bit_for_bit(tmp_path: Path) -> None:
    class Noisy(CharacterEmbedder):
        def embed(self, texts: Sequence[str]) -> FloatArray:
            random = np.random.default_rng(0)
            return random.standard_normal((len(texts), 300)).astype(np.float32)

    cached = CachedEmbedder(Noisy(), tmp_path / "store.sqlite")
    first = cached.embed(["a", "b", "c"])
    again = CachedEmbedder(CharacterEmbedder(), tmp_path / "store.sqlite").embed(["a", "b", "c"])
    assert first.tobytes() == again.tobytes()
    assert (cached.n_hits, cached.n_misses) == (0, 3)


def test_models_do_not_share_vectors(tmp_path: Path) -> None:
    for name in ("one", "other"):
        inner = Recording(name=name)
        CachedEmbedder(inner, tmp_path / "store.sqlite").embed(["a"])
        assert inner.asked == ["a"]


def test_finished_chunks_survive_a_failure(tmp_path: Path) -> None:
    texts = [f"text {n}" for n in range(10)]
    failing = Recording(fail_after=4)
    with pytest.raises(RemoteError):
        CachedEmbedder(failing, tmp_path / "store.sqlite", chunk=2).embed(texts)
    inner = Recording()
    CachedEmbedder(inner, tmp_path / "store.sqlite", chunk=2).embed(texts)
    assert inner.asked == texts[4:]


def _embed_many(path: Path, first: int) -> bytes:
    texts = [f"text {n}" for n in range(first, first + 400)]
    return CachedEmbedder(CharacterEmbedder(), path, chunk=7).embed(texts).tobytes()


def test_several_processes_share_one_store(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "store.sqlite"
    tasks = [(path, first) for first in (0, 100, 200, 300)]
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        found = pool.starmap(_embed_many, tasks)
    assert found == [_embed_many(path, first) for _, first in tasks]
    with sqlite3.connect(path) as store:
        assert store.execute("SELECT count(*) FROM vectors").fetchone() == (700,)
    store.close()


def test_what_is_no_store_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("these are notes, not a data base " * 40)
    with pytest.raises(InvalidInputError, match="not usable as a store"):
        CachedEmbedder(CharacterEmbedder(), path)
    assert path.read_text().startswith("these are notes")


def test_a_newer_store_and_a_damaged_vector_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    cached = CachedEmbedder(CharacterEmbedder(), path)
    cached.embed(["a"])
    store = sqlite3.connect(path)
    with store:
        store.execute("UPDATE vectors SET vector = x'010203'")
    with pytest.raises(InvalidInputError, match="damaged vector"):
        cached.embed(["a"])
    with store:
        store.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    store.close()
    with pytest.raises(InvalidInputError, match="newer audioprobe"):
        CachedEmbedder(CharacterEmbedder(), path)


def test_its_info_is_that_of_the_inner_embedder(tmp_path: Path) -> None:
    assert CachedEmbedder(Recording(), tmp_path / "s").info == Recording().info
    with pytest.raises(InvalidInputError, match="chunk"):
        CachedEmbedder(Recording(), tmp_path / "s", chunk=0)
