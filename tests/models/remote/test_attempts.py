"""Time limit and redirects of one attempt."""

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.remote import QUICK, chat, embedder
from tests.remote_service import KEY, Answer, Service, reply, serve

from audioprobe.errors import RemoteError
from audioprobe.models.remote.connections import MAX_REDIRECTS
from audioprobe.models.remote.retry import Retry
from audioprobe.types import Prompt

ONCE = Retry(attempts=1)
PROMPT = [Prompt("a")]
LIMIT_S = 0.3


def ask_chat(service: Service, **options: Any) -> Any:
    return list(chat(service, **options).generate(PROMPT))


def ask_embedder(service: Service, **options: Any) -> Any:
    return embedder(service, **options).embed(["a"])


@pytest.mark.parametrize("ask", [ask_chat, ask_embedder])
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


def test_time_limit_applies_to_each_attempt(service: Service) -> None:
    service.plan = lambda number, _: Answer(drip_s=0.05) if number < 2 else Answer()
    [response] = ask_chat(service, timeout_s=LIMIT_S)
    assert response.text == reply("a", None)
    assert len(service.requests) == 3


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
