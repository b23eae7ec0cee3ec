"""The store: equal to asking, never twice, safe from other processes, honest about damage."""

import multiprocessing
import os
import pickle
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.scripted import CharacterEmbedder

from audioprobe.errors import ContractError, InvalidInputError, RemoteError
from audioprobe.io.cache import SCHEMA_VERSION
from audioprobe.models.embedders.cached import CachedEmbedder
from audioprobe.testing import check_embedder
from audioprobe.types import ComponentInfo, FloatArray


class Recording(CharacterEmbedder):
    """Remembers what it was asked, and fails when told to."""

    def __init__(self, info: ComponentInfo | None = None, *, fail_after: int | None = None) -> None:
        self.asked: list[str] = []
        self._info = info or super().info
        self._fail_after = fail_after

    @property
    def info(self) -> ComponentInfo:
        return self._info

    def embed(self, texts: Sequence[str]) -> FloatArray:
        if self._fail_after is not None and len(self.asked) >= self._fail_after:
            raise RemoteError("the line went dead")
        self.asked += texts
        return super().embed(texts)


def test_it_keeps_the_contract_of_embedders(tmp_path: Path) -> None:
    check_embedder(CachedEmbedder(CharacterEmbedder(), tmp_path / "store.sqlite"))


@settings(max_examples=40, deadline=None)  # a disk may be slow
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


def test_models_revisions_and_options_do_not_share_vectors(tmp_path: Path) -> None:
    different = [
        ComponentInfo("embedder", "one"),
        ComponentInfo("embedder", "other"),
        ComponentInfo("embedder", "one", "2"),
        ComponentInfo("embedder", "one", "2", {"dimensions": 3}),
        ComponentInfo("embedder", "one", "2", {"dimensions": 4, "base_url": "http://here"}),
    ]
    for info in different:
        inner = Recording(info)
        CachedEmbedder(inner, tmp_path / "store.sqlite").embed(["a"])
        assert inner.asked == ["a"]
    same = Recording(
        ComponentInfo("embedder", "one", "2", {"base_url": "http://here", "dimensions": 4})
    )
    CachedEmbedder(same, tmp_path / "store.sqlite").embed(["a"])
    assert not same.asked


class Answering(CharacterEmbedder):
    """Answers what it is told to."""

    def __init__(self, answer: Callable[[Sequence[str]], FloatArray]) -> None:
        self._answer = answer

    def embed(self, texts: Sequence[str]) -> FloatArray:
        return self._answer(texts)


def test_where_two_ask_at_once_the_first_answer_counts_for_both(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"

    def late(texts: Sequence[str]) -> FloatArray:
        quicker = Answering(lambda texts: np.full((len(texts), 2), 1, np.float32))
        CachedEmbedder(quicker, path).embed(texts)
        return np.full((len(texts), 2), 2, np.float32)

    cached = CachedEmbedder(Answering(late), path)
    np.testing.assert_array_equal(cached.embed(["a"]), [[1, 1]])
    np.testing.assert_array_equal(cached.embed(["a"]), [[1, 1]])


@pytest.mark.parametrize(
    "bad",
    [
        np.ones((1, 3), np.float32),
        np.ones((2, 0), np.float32),
        np.ones(2, np.float32),
        np.array([[1.0], [np.nan]], np.float32),
        np.array([[1.0], [1e300]]),
    ],
)
def test_what_breaks_the_contract_is_not_stored(tmp_path: Path, bad: FloatArray) -> None:
    path = tmp_path / "store.sqlite"
    with pytest.raises(ContractError, match="'characters'"):
        CachedEmbedder(Answering(lambda _: bad), path).embed(["a", "b"])
    inner = Recording()
    CachedEmbedder(inner, path).embed(["a", "b"])
    assert inner.asked == ["a", "b"]


def test_a_model_that_changed_its_width_under_its_name_is_told(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    CachedEmbedder(Answering(lambda texts: np.ones((len(texts), 3), np.float32)), path).embed(["a"])
    with pytest.raises(InvalidInputError, match=r"unequal width \[3, 13\]"):
        CachedEmbedder(CharacterEmbedder(), path).embed(["a", "b"])


def test_no_texts_go_to_the_inner_embedder(tmp_path: Path) -> None:
    assert CachedEmbedder(CharacterEmbedder(), tmp_path / "s").embed([]).shape == (0, 13)


def test_finished_chunks_survive_a_failure(tmp_path: Path) -> None:
    texts = [f"text {n}" for n in range(10)]
    failing = Recording(fail_after=4)
    with pytest.raises(RemoteError):
        CachedEmbedder(failing, tmp_path / "store.sqlite", chunk=2).embed(texts)
    inner = Recording()
    CachedEmbedder(inner, tmp_path / "store.sqlite", chunk=2).embed(texts)
    assert inner.asked == texts[4:]


class Dying(CharacterEmbedder):
    """Takes its process with it, as a kill does, at the third chunk."""

    def __init__(self) -> None:
        self._n_calls = 0

    def embed(self, texts: Sequence[str]) -> FloatArray:
        self._n_calls += 1
        if self._n_calls == 3:
            os._exit(9)
        return super().embed(texts)


def _embed_and_die(path: Path, texts: list[str]) -> None:
    CachedEmbedder(Dying(), path, chunk=2).embed(texts)


def test_finished_chunks_survive_a_kill(tmp_path: Path) -> None:
    path, texts = tmp_path / "store.sqlite", [f"text {n}" for n in range(10)]
    process = multiprocessing.get_context("spawn").Process(
        target=_embed_and_die, args=(path, texts)
    )
    process.start()
    process.join()
    assert process.exitcode == 9
    inner = Recording()
    CachedEmbedder(inner, path, chunk=2).embed(texts)
    assert inner.asked == texts[4:]


def test_threads_share_one_embedder(tmp_path: Path) -> None:
    cached = CachedEmbedder(CharacterEmbedder(), tmp_path / "store.sqlite", chunk=3)
    calls = [[f"text {n % 10}" for n in range(first, first + 8)] for first in range(40)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(cached.embed, calls))
    for texts, vectors in zip(calls, found, strict=True):
        np.testing.assert_array_equal(vectors, CharacterEmbedder().embed(texts))
    assert cached.n_hits + cached.n_misses == 40 * 8
    copy = pickle.loads(pickle.dumps(cached))
    copy.embed(["text 0"])
    assert (copy.n_hits, copy.n_misses) == (cached.n_hits + 1, cached.n_misses)


def test_several_processes_make_one_store_at_once(tmp_path: Path) -> None:
    tasks = [(tmp_path / f"{n // 8}.sqlite", 0) for n in range(80)]
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        found = pool.starmap(_embed_few, tasks, chunksize=1)
    assert len(set(found)) == 1


def _embed_few(path: Path, first: int) -> bytes:
    texts = [f"text {n}" for n in range(first, first + 9)]
    return CachedEmbedder(CharacterEmbedder(), path, chunk=3).embed(texts).tobytes()


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
        assert store.execute("SELECT count(*) FROM answers").fetchone() == (700,)
    store.close()


def test_what_is_no_store_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("these are notes, not a data base " * 40)
    with pytest.raises(InvalidInputError, match="not usable as a store"):
        CachedEmbedder(CharacterEmbedder(), path)
    assert path.read_text().startswith("these are notes")


def test_the_data_base_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "bookmarks.sqlite"
    store = sqlite3.connect(path)
    with store:
        store.execute("CREATE TABLE bookmarks (address TEXT)")
    store.close()
    before = path.read_bytes()
    with pytest.raises(InvalidInputError, match="something else"):
        CachedEmbedder(CharacterEmbedder(), path)
    assert path.read_bytes() == before


def test_a_path_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInputError, match="cannot be made"):
        CachedEmbedder(CharacterEmbedder(), tmp_path / "file" / "store.sqlite")
    with pytest.raises(InvalidInputError, match="cannot be read or written"):
        CachedEmbedder(CharacterEmbedder(), tmp_path)


def test_a_newer_store_and_a_damaged_vector_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    cached = CachedEmbedder(CharacterEmbedder(), path)
    cached.embed(["a"])
    store = sqlite3.connect(path)
    for damage in ("010203", "00000000", "0000c07f" * 13, ""):
        with store:
            store.execute(f"UPDATE answers SET answer = x'{damage}'")
        with pytest.raises(InvalidInputError, match="damaged answer"):
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
