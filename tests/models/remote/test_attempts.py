"""Time limit and redirects of an attempt; limits of rate, requests and money."""

import email.utils
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.remote import QUICK, chat, embedder, expected, fail_first, response_texts
from tests.remote_service import KEY, Answer, Service, reply, serve
from tests.scripted import sound

from audioprobe.errors import RemoteError
from audioprobe.models.embedders.openai import OpenAIEmbedder
from audioprobe.models.remote.connections import MAX_REDIRECTS
from audioprobe.models.remote.retry import Retry, retry_after
from audioprobe.types import Prompt

ONCE = Retry(attempts=1)
PROMPT = [Prompt("a")]
LIMIT_S = 0.3


def ask_chat(service: Service, **options: Any) -> Any:
    return response_texts(chat(service, **options), PROMPT)


def ask_embedder(service: Service, **options: Any) -> Any:
    return embedder(service, **options).embed(["a"]).tolist()


CORRECT = {ask_chat: [reply("a", None)], ask_embedder: expected(["a"]).tolist()}


both = pytest.mark.parametrize("ask", [ask_chat, ask_embedder])


@both
@pytest.mark.parametrize(
    "slow",
    [
        Answer(drip_s=0.05),
        Answer(drip_s=0.05, drips_headers=True),
        Answer(delay_s=2.0),
        Answer(307, {}, {"Location": "/v1/again"}, delay_s=0.15),
    ],
    ids=["body", "headers", "nothing", "redirects"],
)
def test_attempt_ends_at_the_time_limit(
    service: Service, slow: Answer, ask: Callable[..., Any]
) -> None:
    service.plan = lambda *_: slow
    start = time.monotonic()
    with pytest.raises(RemoteError, match=rf"No answer within {LIMIT_S:g} s") as caught:
        ask(service, timeout_s=LIMIT_S, retry=ONCE)
    assert LIMIT_S <= time.monotonic() - start < LIMIT_S + 1
    assert caught.value.retryable


@both
def test_time_limit_applies_to_each_attempt(service: Service, ask: Callable[..., Any]) -> None:
    slow = (Answer(drip_s=0.05), Answer(delay_s=2.0), Answer())
    service.plan = lambda number, _: slow[number]
    assert ask(service, timeout_s=LIMIT_S) == CORRECT[ask]
    assert len(service.requests) == 3


@both
def test_permanent_error_reports_the_number_of_attempts(
    service: Service, ask: Callable[..., Any]
) -> None:
    service.plan = lambda *_: Answer(500, {"error": {"message": "broken"}})
    with pytest.raises(
        RemoteError, match=r"service answered 500: 'broken'.*tried 4 times"
    ) as caught:
        ask(service)
    assert (caught.value.status, caught.value.retryable) == (500, True)
    assert len(service.requests) == QUICK.attempts


@both
@pytest.mark.parametrize(("header", "value"), [("Retry-After", "0.4"), ("Retry-After-Ms", "400")])
def test_requested_wait_is_respected(
    service: Service, header: str, value: str, ask: Callable[..., Any]
) -> None:
    service.plan = fail_first(1, Answer(429, {}, {header: value}))
    start = time.monotonic()
    ask(service)
    assert 0.4 <= time.monotonic() - start < 2


def test_requested_wait_that_is_too_long_is_an_error(service: Service) -> None:
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
    wrong = {
        "retry-after": "Wed, 21 Oct 2015 07:28:30 GMT",
        "date": "Wed, 21 Oct 2015 07:28:00 GMT",
    }
    assert retry_after(wrong) == 30  # the clock of this machine has no effect
    assert retry_after({}) is None
    assert retry_after({"retry-after-ms": "soon", "retry-after": "2"}) == 2.0


def test_missing_connection_is_a_retryable_error() -> None:
    unreachable = OpenAIEmbedder("m", base_url="http://127.0.0.1:9/v1", retry=QUICK)
    with pytest.raises(RemoteError, match="No connection") as caught:
        unreachable.embed(["a"])
    assert caught.value.retryable


def test_ended_attempt_closes_its_connection(service: Service) -> None:
    service.plan = lambda *_: Answer(drip_s=0.05)
    n_threads = threading.active_count()
    with pytest.raises(RemoteError, match="No answer"):
        ask_chat(service, timeout_s=LIMIT_S)
    deadline = time.monotonic() + 5
    while service.n_in_progress and time.monotonic() < deadline:
        time.sleep(0.02)  # the server notices at the next byte
    assert service.n_in_progress == 0
    assert threading.active_count() <= n_threads + 1  # the event loop


def test_redirects_count_as_requests(service: Service) -> None:
    moved = Answer(307, {}, {"Location": "/v2/chat/completions"})
    service.plan = lambda number, _: moved if number % 2 == 0 else Answer()
    model = chat(service)
    for n in (1, 2):
        assert [r.text for r in model.generate(PROMPT)] == [reply("a", None)]
        assert model.budget.n_requests == len(service.requests) == 2 * n


@pytest.mark.parametrize("most", [1, 2])
def test_redirect_beyond_the_request_limit_is_not_followed(service: Service, most: int) -> None:
    service.plan = lambda *_: Answer(307, {}, {"Location": "/v1/chat/completions"})
    model = chat(service, max_requests=most)
    with pytest.raises(RemoteError, match=f"limit of {most} requests") as caught:
        list(model.generate(PROMPT))
    assert caught.value.final
    assert model.budget.n_requests == len(service.requests) == most


@pytest.mark.parametrize(
    ("ask", "path"), [(ask_chat, "chat/completions"), (ask_embedder, "embeddings")]
)
def test_endless_redirects_are_a_final_error(
    service: Service, ask: Callable[..., Any], path: str
) -> None:
    service.plan = lambda *_: Answer(307, {}, {"Location": f"/v1/{path}?token=secret"})
    with pytest.raises(RemoteError, match=r"does not stop redirecting.*base URL") as caught:
        ask(service, retry=QUICK)
    assert f"{service.url}/{path}" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert (caught.value.retryable, caught.value.final) == (False, True)
    assert len(service.requests) == 1 + MAX_REDIRECTS


def test_error_after_a_redirect_names_its_address(service: Service) -> None:
    with serve() as other:
        other.plan = lambda *_: Answer(body=b"<html>login</html>")
        moved = {"Location": f"{other.url}/chat/completions"}
        service.plan = lambda *_: Answer(307, {}, moved)
        with pytest.raises(RemoteError, match=r"<html>login.*after 1 redirect, to ") as caught:
            ask_chat(service, retry=ONCE)
        assert other.url in str(caught.value)
        assert KEY in service.headers[0]["authorization"]
        assert "authorization" not in other.headers[0]  # another host does not get the key


def test_redirect_to_another_protocol_is_not_followed(service: Service) -> None:
    service.plan = lambda *_: Answer(307, {}, {"Location": "ftp://127.0.0.1/x"})
    with pytest.raises(
        RemoteError, match=r"UnsupportedProtocol.*to ftp://127\.0\.0\.1/x"
    ) as caught:
        ask_chat(service)
    assert not caught.value.retryable
    assert len(service.requests) == 1


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_forked_process_opens_new_connections(service: Service) -> None:
    model = chat(service)
    assert len(list(model.generate(PROMPT))) == 1
    child = os.fork()
    if not child:  # pragma: no cover - another process
        texts = [r.text for r in model.generate(PROMPT)]
        os._exit(0 if texts == [reply("a", None)] else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert len(list(model.generate(PROMPT))) == 1


TEXTS = [f"question {n}" for n in range(12)]
PROMPTS = [Prompt(text) for text in TEXTS]
ANSWERS = [reply(text, None) for text in TEXTS]


def test_rate_limit_spaces_requests(service: Service) -> None:
    start = time.monotonic()
    response_texts(chat(service, requests_per_minute=600), PROMPTS[:5])
    assert [moment - start >= 0.1 * n for n, moment in enumerate(sorted(service.times))] == [
        True
    ] * 5


def test_request_limit_is_checked_before_sending(service: Service) -> None:
    limited = chat(service, max_requests=2, concurrency=1)
    stream = limited.generate(PROMPTS)
    assert [next(stream).text for _ in range(2)] == ANSWERS[:2]
    with pytest.raises(RemoteError, match="limit of 2 requests") as caught:
        next(stream)
    assert caught.value.final
    assert len(service.requests) == limited.budget.n_requests == 2


def test_money_limit_is_checked_before_sending_and_uses_reported_counts(
    service: Service,
) -> None:
    prices = {"usd_per_million_input_tokens": 1e6, "usd_per_million_output_tokens": 2e6}
    free = chat(service, **prices)
    [response] = free.generate([Prompt("?", sound(seconds=4))])
    n_in, n_out = (response.details[f"{kind}_tokens"] for kind in ("prompt", "completion"))
    assert (free.budget.n_input_tokens, free.budget.n_output_tokens) == (n_in, n_out)
    assert free.budget.usd_spent == pytest.approx(n_in + 2 * n_out)  # type: ignore[operator]
    service.requests.clear()
    poor = chat(service, max_usd=900.0, **prices)  # bounds: 400 * 2 USD out, about 75 USD in
    with pytest.raises(RemoteError, match=r"limit is 900\.0 \(max_usd\)"):
        list(poor.generate(PROMPTS))
    assert 0 < len(service.requests) < 12
    assert poor.budget.usd_spent <= 900
    dear = chat(service, max_usd=870.0, **prices)
    with pytest.raises(RemoteError, match="Stopped before spending"):
        list(dear.generate([Prompt("?", sound(seconds=4))]))  # the audio counts at least 1500 USD


def test_refused_requests_cost_nothing_and_failed_ones_their_bound(service: Service) -> None:
    prices = {"usd_per_million_input_tokens": 1.0, "usd_per_million_output_tokens": 1.0}
    service.plan = lambda *_: Answer(429, {})
    model = chat(service, **prices)
    with pytest.raises(RemoteError):
        response_texts(model, PROMPTS[:1])
    assert (model.budget.n_requests, model.budget.n_tokens) == (4, 0)
    service.plan = lambda *_: Answer(500, {})
    with pytest.raises(RemoteError):
        response_texts(model, PROMPTS[:1])
    assert model.budget.n_tokens > 4 * 400
