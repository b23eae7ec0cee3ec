"""Cached embedder: equal to the embedder, each text embedded once, safe with other processes."""

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
from audioprobe.models.embedders.cached import CachedEmbedder
from audioprobe.testing import check_embedder
from audioprobe.types import ComponentInfo, FloatArray


class Recording(CharacterEmbedder):
    """Records the texts that it embeds, and fails after a number of them."""

    def __init__(self, info: ComponentInfo | None = None, *, fail_after: int | None = None) -> None:
        self.texts: list[str] = []
        self._info = info or super().info
        self._fail_after = fail_after

    @property
    def info(self) -> ComponentInfo:
        return self._info

    def embed(self, texts: Sequence[str]) -> FloatArray:
        if self._fail_after is not None and len(self.texts) >= self._fail_after:
            raise RemoteError("connection lost")
        self.texts += texts
        return super().embed(texts)


class Returning(CharacterEmbedder):
    """Returns the result of a function."""

    def __init__(self, function: Callable[[Sequence[str]], FloatArray]) -> None:
        self._function = function

    def embed(self, texts: Sequence[str]) -> FloatArray:
        return self._function(texts)


def test_contract_holds(tmp_path: Path) -> None:
    check_embedder(CachedEmbedder(CharacterEmbedder(), tmp_path / "cache.sqlite"))


@settings(max_examples=20, deadline=None)  # a disk may be slow
@given(
    calls=st.lists(st.lists(st.text(max_size=4), max_size=8), max_size=4), chunk=st.integers(1, 5)
)
def test_vectors_equal_those_of_the_embedder_and_each_text_is_embedded_once(
    tmp_path_factory: pytest.TempPathFactory, calls: list[list[str]], chunk: int
) -> None:
    inner = Recording()
    path = tmp_path_factory.mktemp("cache") / "cache.sqlite"
    for texts in calls:
        vectors = CachedEmbedder(inner, path, chunk=chunk).embed(texts)
        np.testing.assert_array_equal(vectors, CharacterEmbedder().embed(texts))
    assert len(inner.texts) == len(set(inner.texts))


def test_stored_vectors_are_equal_bit_for_bit(tmp_path: Path) -> None:
    def noise(texts: Sequence[str]) -> FloatArray:
        random = np.random.default_rng(0)
        return random.standard_normal((len(texts), 300)).astype(np.float32)

    cached = CachedEmbedder(Returning(noise), tmp_path / "cache.sqlite")
    first = cached.embed(["a", "b", "c"])
    again = CachedEmbedder(CharacterEmbedder(), tmp_path / "cache.sqlite").embed(["a", "b", "c"])
    assert first.tobytes() == again.tobytes()
    assert (cached.n_hits, cached.n_misses) == (0, 3)


def test_keys_include_model_revision_and_options(tmp_path: Path) -> None:
    different = [
        ComponentInfo("embedder", "one"),
        ComponentInfo("embedder", "other"),
        ComponentInfo("embedder", "one", "2"),
        ComponentInfo("embedder", "one", "2", {"dimensions": 3}),
        ComponentInfo("embedder", "one", "2", {"dimensions": 4, "base_url": "http://here"}),
    ]
    for info in different:
        inner = Recording(info)
        CachedEmbedder(inner, tmp_path / "cache.sqlite").embed(["a"])
        assert inner.texts == ["a"]
    same = Recording(
        ComponentInfo("embedder", "one", "2", {"base_url": "http://here", "dimensions": 4})
    )
    CachedEmbedder(same, tmp_path / "cache.sqlite").embed(["a"])
    assert not same.texts


def test_first_stored_vector_is_returned_by_concurrent_embedders(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"

    def late(texts: Sequence[str]) -> FloatArray:
        quicker = Returning(lambda texts: np.full((len(texts), 2), 1, np.float32))
        CachedEmbedder(quicker, path).embed(texts)
        return np.full((len(texts), 2), 2, np.float32)

    cached = CachedEmbedder(Returning(late), path)
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
def test_vectors_that_break_the_contract_are_not_stored(tmp_path: Path, bad: FloatArray) -> None:
    path = tmp_path / "cache.sqlite"
    with pytest.raises(ContractError, match="'characters'"):
        CachedEmbedder(Returning(lambda _: bad), path).embed(["a", "b"])
    inner = Recording()
    CachedEmbedder(inner, path).embed(["a", "b"])
    assert inner.texts == ["a", "b"]


def test_stored_vectors_of_unequal_width_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    CachedEmbedder(Returning(lambda texts: np.ones((len(texts), 3), np.float32)), path).embed(["a"])
    with pytest.raises(InvalidInputError, match=r"unequal widths \[3, 13\]"):
        CachedEmbedder(CharacterEmbedder(), path).embed(["a", "b"])


def test_finished_chunks_survive_an_error(tmp_path: Path) -> None:
    texts = [f"text {n}" for n in range(10)]
    failing = Recording(fail_after=4)
    with pytest.raises(RemoteError):
        CachedEmbedder(failing, tmp_path / "cache.sqlite", chunk=2).embed(texts)
    inner = Recording()
    CachedEmbedder(inner, tmp_path / "cache.sqlite", chunk=2).embed(texts)
    assert inner.texts == texts[4:]


class Exiting(CharacterEmbedder):
    """Ends its process, as a kill does, at the third chunk."""

    def __init__(self) -> None:
        self._n_calls = 0

    def embed(self, texts: Sequence[str]) -> FloatArray:
        self._n_calls += 1
        if self._n_calls == 3:
            os._exit(9)
        return super().embed(texts)


def _embed_and_exit(path: Path, texts: list[str]) -> None:
    CachedEmbedder(Exiting(), path, chunk=2).embed(texts)


def test_finished_chunks_survive_a_kill(tmp_path: Path) -> None:
    path, texts = tmp_path / "cache.sqlite", [f"text {n}" for n in range(10)]
    process = multiprocessing.get_context("spawn").Process(
        target=_embed_and_exit, args=(path, texts)
    )
    process.start()
    process.join()
    assert process.exitcode == 9
    inner = Recording()
    CachedEmbedder(inner, path, chunk=2).embed(texts)
    assert inner.texts == texts[4:]


def test_threads_and_pickled_copies_share_one_cache(tmp_path: Path) -> None:
    cached = CachedEmbedder(CharacterEmbedder(), tmp_path / "cache.sqlite", chunk=3)
    calls = [[f"text {n % 10}" for n in range(first, first + 8)] for first in range(40)]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(cached.embed, calls))
    for texts, vectors in zip(calls, results, strict=True):
        np.testing.assert_array_equal(vectors, CharacterEmbedder().embed(texts))
    assert cached.n_hits + cached.n_misses == 40 * 8
    copy = pickle.loads(pickle.dumps(cached))
    copy.embed(["text 0"])
    assert (copy.n_hits, copy.n_misses) == (cached.n_hits + 1, cached.n_misses)


def _embed(path: Path, first: int, n_texts: int) -> bytes:
    texts = [f"text {n}" for n in range(first, first + n_texts)]
    return CachedEmbedder(CharacterEmbedder(), path, chunk=7).embed(texts).tobytes()


def test_processes_create_and_share_one_cache(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "cache.sqlite"
    created = [(tmp_path / f"{n // 4}.sqlite", 0, 9) for n in range(16)]
    shared = [(path, first, 100) for first in (0, 25, 50, 75)]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert len(set(pool.starmap(_embed, created, chunksize=1))) == 1
        vectors = pool.starmap(_embed, shared, chunksize=1)
    assert vectors == [_embed(*task) for task in shared]
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM answers").fetchone() == (175,)
    connection.close()


@pytest.mark.parametrize("content", ["010203", "00000000", "0000c07f" * 13, ""])
def test_damaged_vector_is_an_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "cache.sqlite"
    cached = CachedEmbedder(CharacterEmbedder(), path)
    cached.embed(["a"])
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(f"UPDATE answers SET answer = x'{content}'")
    connection.close()
    with pytest.raises(InvalidInputError, match="damaged value"):
        cached.embed(["a"])


def test_info_and_empty_input_are_those_of_the_embedder(tmp_path: Path) -> None:
    cached = CachedEmbedder(Recording(), tmp_path / "s")
    assert cached.info == Recording().info
    assert cached.embed([]).shape == (0, 13)
    with pytest.raises(InvalidInputError, match="chunk"):
        CachedEmbedder(Recording(), tmp_path / "s", chunk=0)
