"""The remote embedder with a local service that returns all kinds of errors."""

import pickle
import time
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.remote import embedder, expected, fail_first
from tests.remote_service import Answer, Service

from audioprobe.errors import InvalidInputError, RemoteError
from audioprobe.models.embedders.openai import MAX_TEXTS, OpenAIEmbedder
from audioprobe.models.remote.retry import Retry
from audioprobe.testing import check_embedder


def test_contract_holds(service: Service) -> None:
    check_embedder(embedder(service))


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(texts=st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=5), max_size=20))
def test_vectors_are_in_the_order_of_the_texts(service: Service, texts: list[str]) -> None:
    vectors = embedder(service).embed(texts)
    np.testing.assert_array_equal(vectors, expected(texts).reshape(vectors.shape))


def test_vectors_are_in_order_if_later_batches_are_faster(service: Service) -> None:
    texts = [f"text {n}" for n in range(3 * MAX_TEXTS)]
    service.plan = lambda number, _t: Answer(delay_s=0.3 if number == 0 else 0.0)
    np.testing.assert_array_equal(embedder(service).embed(texts), expected(texts))


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503])
def test_temporary_error_is_retried_without_repeating_finished_batches(
    service: Service, status: int
) -> None:
    texts = [f"{n}" for n in range(2 * MAX_TEXTS)]
    service.plan = fail_first(1, Answer(status, {"error": {"message": "busy"}}))
    np.testing.assert_array_equal(embedder(service, concurrency=1).embed(texts), expected(texts))
    sent = Counter(r["input"][0] for r in service.requests)
    assert sent == {"0": 2, str(MAX_TEXTS): 1}


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "environment variable OPENAI_API_KEY"), (403, "may not use"), (404, "model name 'm'")],
)
def test_refusal_is_not_retried_and_gives_advice(service: Service, status: int, words: str) -> None:
    service.plan = lambda *_: Answer(status, {"error": {"message": "no"}})
    with pytest.raises(RemoteError, match=words) as caught:
        embedder(service).embed(["a"])
    assert not caught.value.retryable
    assert len(service.requests) == 1


@pytest.mark.parametrize("field", ["code", "type"])
def test_empty_account_is_a_final_error(service: Service, field: str) -> None:
    body = {"error": {"message": "quota", field: "insufficient_quota"}}
    service.plan = lambda *_: Answer(429, body)
    with pytest.raises(RemoteError, match="out of credit") as caught:
        embedder(service).embed(["a"])
    assert caught.value.final
    assert not caught.value.retryable
    assert len(service.requests) == 1


def test_no_batch_is_sent_after_a_final_error(service: Service) -> None:
    service.plan = lambda *_: Answer(401, {})
    with pytest.raises(RemoteError, match="answered 401"):
        embedder(service, concurrency=1).embed([f"{n}" for n in range(4 * MAX_TEXTS)])
    assert len(service.requests) == 1


def test_final_error_ends_the_waiting_of_other_batches(service: Service) -> None:
    busy, refused = Answer(429, {}, {"Retry-After": "30"}), Answer(401, {}, delay_s=0.2)
    service.plan = lambda _n, texts: busy if texts[0] == "0" else refused
    start = time.monotonic()
    patient = embedder(service, retry=Retry(), concurrency=2)
    with pytest.raises(RemoteError, match="answered 401"):
        patient.embed([f"{n}" for n in range(2 * MAX_TEXTS)])
    assert time.monotonic() - start < 5


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
        {"data": [{"index": n, "embedding": [10**400]} for n in range(2)]},
        {"data": [{"index": n, "embedding": [1e300]} for n in range(2)]},
        {"data": [{"index": float("inf"), "embedding": VECTOR}] * 2},
        {"data": [{"index": 0, "embedding": "AACAPwAAAEA="}, {"index": 1, "embedding": VECTOR}]},
        {"data": [{"index": n, "embedding": [VECTOR]} for n in range(2)]},
        {"data": [{"embedding": VECTOR}] * 2},
        {"other": 1},
        [1, 2],
        b"[" * 100_000,
    ],
)
def test_unusable_answer_is_retried_and_then_an_error(service: Service, body: Any) -> None:
    service.plan = fail_first(2, Answer(body=body))
    np.testing.assert_array_equal(embedder(service).embed(["a", "b"]), expected(["a", "b"]))
    assert len(service.requests) == 3
    service.plan = lambda *_: Answer(body=body)
    with pytest.raises(RemoteError, match=r"Expected 2 vectors.*tried 4 times"):
        embedder(service).embed(["a", "b"])


def test_batches_of_unequal_widths_are_refused(service: Service) -> None:
    wide = {"data": [{"index": 0, "embedding": VECTOR}]}
    service.plan = lambda _n, texts: Answer(body=wide) if len(texts) == 1 else Answer()
    with pytest.raises(RemoteError, match="unequal widths"):
        embedder(service).embed([f"{n}" for n in range(MAX_TEXTS + 1)])


def test_limits_are_checked_before_sending(service: Service) -> None:
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
    assert poor.budget.n_tokens == 1
    assert service.texts == ["a"]


def test_repeated_attempts_count_against_the_limit(service: Service) -> None:
    service.plan = lambda *_: Answer(500, {})
    with pytest.raises(RemoteError, match="limit of 2 requests"):
        embedder(service, max_requests=2).embed(["a"])
    assert len(service.requests) == 2


def test_money_limit_needs_a_price() -> None:
    with pytest.raises(InvalidInputError, match="usd_per_million_tokens"):
        OpenAIEmbedder("unknown", max_usd=1.0)


def test_empty_texts_are_refused_before_sending(service: Service) -> None:
    with pytest.raises(InvalidInputError, match=r"positions \[1\]"):
        embedder(service).embed(["a", ""])
    assert not service.requests


def test_lone_surrogates_are_refused_before_sending(service: Service) -> None:
    with pytest.raises(InvalidInputError, match=r"positions \[2\]"):
        embedder(service).embed(["a", "Krähe 🐦", "\ud800"])
    assert not service.requests


def test_no_texts_need_no_request() -> None:
    assert OpenAIEmbedder("unknown").embed([]).shape == (0, 0)
    assert OpenAIEmbedder("text-embedding-3-large").embed([]).shape == (0, 3072)
    assert OpenAIEmbedder("text-embedding-3-large", dimensions=64).embed([]).shape == (0, 64)


def test_dimensions_are_sent_and_recorded(service: Service) -> None:
    short = embedder(service, dimensions=4)
    short.embed(["a"])
    assert service.requests[0]["dimensions"] == 4
    assert short.info != embedder(service).info


def test_service_that_ignores_dimensions_is_an_error(service: Service) -> None:
    with pytest.raises(RemoteError, match="Expected vectors of 3 dimensions, got 4"):
        embedder(service, dimensions=3).embed(["a"])
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    "options", [{"concurrency": 0}, {"timeout_s": 0}, {"dimensions": 0}], ids=str
)
def test_invalid_numbers_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match=r"must be at least 1|timeout_s > 0"):
        OpenAIEmbedder(**options)


@pytest.mark.parametrize("options", [{"attempts": 0}, {"first_wait_s": -1.0}], ids=str)
def test_invalid_retries_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match="Retry needs"):
        Retry(**options)


def test_address_in_the_environment_is_used_and_recorded(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", service.url)
    remote = OpenAIEmbedder("m")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    remote.embed(["a"])
    assert remote.info.options == {"base_url": service.url}
    pickle.loads(pickle.dumps(remote)).embed(["b"])
    assert service.texts == ["a", "b"]
