"""Limits of rate, requests and money are checked before a request is sent."""

import time

import pytest
from tests.remote import chat, response_texts
from tests.remote_service import Answer, Service, reply
from tests.scripted import sound

from audioprobe.errors import RemoteError
from audioprobe.types import Prompt

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
