"""Likelihoods from answers in the format of vLLM's `prompt_logprobs`."""

import math
from typing import Any

import pytest
from tests.remote import QUICK
from tests.remote_service import Answer, Service, log_probability, pieces
from tests.scripted import sound

from audioprobe.errors import InvalidInputError, RemoteError, UnsupportedInputError
from audioprobe.models.remote.openai_chat import OpenAIChat
from audioprobe.models.remote.retry import RequestFailedError
from audioprobe.models.remote.vllm_chat import VllmChat, read_likelihood
from audioprobe.protocols import LikelihoodModel
from audioprobe.testing import check_likelihood_model
from audioprobe.types import Decoding, Example, Prompt


def model(service: Service, **options: Any) -> VllmChat:
    return VllmChat("m", base_url=service.url, retry=QUICK, check_audio=False, **options)


def test_contract_holds(service: Service) -> None:
    check_likelihood_model(VllmChat("m", base_url=service.url))


def test_only_vllm_chat_is_a_likelihood_model(service: Service) -> None:
    assert isinstance(model(service), LikelihoodModel)
    assert not isinstance(OpenAIChat("m", base_url=service.url), LikelihoodModel)


def test_tokens_of_the_continuation_are_summed(service: Service) -> None:
    prompt = Prompt("What is it?", sound(0.25), (Example("And?", "rain", sound(0.5)),))
    [[value, short]] = model(service, concurrency=1).log_likelihood(
        [prompt], [" a crow calls", "rain"]
    )
    before = "800:0.5000;800:0.2500;<|im_start|>user\nAnd?<|im_start|>assistant\nrain"
    before += "<|im_start|>user\nWhat is it?<|im_start|>assistant\n"
    total = 0.0
    seen = before
    for token in pieces(" a crow calls"):
        total += log_probability(seen, token)
        seen += token
    assert value.total == pytest.approx(total)
    assert (value.n_tokens, short.n_tokens) == (3, 1)
    assert short.total == pytest.approx(log_probability(before, "rain"))
    request = service.requests[0]
    assert request["messages"][-1] == {"role": "assistant", "content": " a crow calls"}
    assert (request["max_tokens"], request["prompt_logprobs"]) == (1, 1)


def test_prompts_and_continuations_are_streamed(service: Service) -> None:
    prompts = (Prompt(f"{n}") for n in range(6))
    rows = list(model(service, concurrency=2).log_likelihood(prompts, [" a", " b", " c"]))
    assert [len(row) for row in rows] == [3] * 6
    assert len(service.requests) == 18
    assert list(model(service).log_likelihood([Prompt("a")], [])) == [()]


def entry(token: str | None, rank: int | None = 1, nats: float = -0.5) -> dict[str, Any]:
    return {"7": {"logprob": nats, "rank": rank, "decoded_token": token}}


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        (None, "Expected prompt_logprobs"),
        ([], "Expected prompt_logprobs"),
        ([None, entry("\n"), entry(" a"), entry(" crow"), entry("\n")], "chat template changes"),
        ([None, entry("\n a"), entry(" crow")], "includes text before it"),
        ([None, entry("a"), entry(" crow")], "Expected prompt_logprobs for the whole continuation"),
        (
            [None, entry("x"), entry(None), entry(" crow")],
            "Expected prompt_logprobs for the whole continuation",
        ),
        ([None, {}], "Expected prompt_logprobs for the whole continuation"),
        ([None, "text"], "Expected prompt_logprobs for the whole continuation"),
        (
            [None, entry(" a", nats=10**400), entry(" crow")],
            "Expected prompt_logprobs for the whole continuation",
        ),
        ([None, entry(" a"), entry(" crow", nats=math.nan)], "finite number of nats, got nan"),
        ([None, entry(" a"), entry(" crow", nats=-math.inf)], "finite number of nats, got -inf"),
        ([None, entry(" a"), entry(" crow", nats=-9999.0)], "finite number of nats, got -inf"),
        ([None, entry(" a"), entry(" crow", nats=1.5)], "at most 0 nats"),
        ([None, entry("\n"), entry(""), entry(" a"), entry(" crow")], "has no text"),
        ([None, entry("\n"), entry("\ufffd"), entry(" crow")], "parts of a character"),
    ],
)
def test_unidentified_tokens_are_an_error(service: Service, entries: Any, words: str) -> None:
    choices = [{"message": {"content": "."}, "finish_reason": "length"}]
    service.plan = lambda *_: Answer(body={"choices": choices, "prompt_logprobs": entries})
    with pytest.raises(RemoteError, match=words):
        list(model(service).log_likelihood([Prompt("?")], [" a crow"]))


def answer_of(entries: list[Any]) -> dict[str, Any]:
    return {"prompt_logprobs": [None, entry("\n", nats=-7.0), *entries]}


@pytest.mark.parametrize(
    ("entries", "continuation", "total", "n_tokens"),
    [
        ([entry(" a", nats=1e-9)], " a", 0.0, 1),
        ([entry("V"), entry(""), entry("ö"), entry("gel")], "Vögel", -2.0, 4),
        (
            [{**entry("Yes"), "8": {"logprob": -0.1, "rank": 1, "decoded_token": "No"}}],
            "Yes",
            -0.5,
            1,
        ),
    ],
)
def test_likelihood_of_identified_tokens(
    entries: list[Any], continuation: str, total: float, n_tokens: int
) -> None:
    if len(entries[0]) == 2:
        entries[0]["7"]["rank"] = 5
    value = read_likelihood(answer_of(entries), continuation)
    assert (value.total, value.n_tokens) == (total, n_tokens)


@pytest.mark.parametrize("continuation", ["ö", "Yes", "鸟"])
def test_token_without_text_before_the_continuation_is_an_error(
    continuation: str,
) -> None:
    """It may be a byte of "ö", the space before a word, or a mark of the template."""
    with pytest.raises(RequestFailedError, match="has no text"):
        read_likelihood(answer_of([entry("", nats=-2.0), entry(continuation)]), continuation)


def test_empty_continuation_and_openai_are_refused(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidInputError, match="assistant turn"):
        list(model(service).log_likelihood([Prompt("?")], [" a", ""]))
    with pytest.raises(InvalidInputError, match="no likelihoods"):
        list(VllmChat("gpt-audio").log_likelihood([Prompt("?")], [" a"]))


def test_choices_are_guided_decoding(service: Service) -> None:
    decoding = Decoding(choices=(" a crow", "rain"), max_new_tokens=1)
    responses = list(model(service).generate([Prompt("?"), Prompt("??")], decoding))
    assert {response.text for response in responses} == {"a crow", "rain"}
    assert all(response.details["guided decoding"] is True for response in responses)
    request = service.requests[0]
    assert request["structured_outputs"] == {"choice": ["a crow", "rain"]}
    assert request["max_tokens"] == len("a crow") + 1


def test_response_outside_the_choices_is_an_error(service: Service) -> None:
    answer = {"message": {"content": "snow"}, "finish_reason": "stop"}
    service.plan = lambda *_: Answer(body={"choices": [answer]})
    with pytest.raises(RemoteError, match="one of 2 choices, received 'snow'") as caught:
        list(model(service).generate([Prompt("?")], Decoding(choices=("a crow", "rain"))))
    assert caught.value.final


def test_openai_has_no_guided_decoding() -> None:
    remote = VllmChat("m", base_url="https://api.openai.com/v1")
    with pytest.raises(UnsupportedInputError, match="cannot choose"):
        list(remote.generate([Prompt("?")], Decoding(choices=("a crow", "rain"))))
