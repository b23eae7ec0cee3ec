"""Several endpoints share the prompts, and replace one that fails."""

import threading

import pytest
from tests.remote import QUICK, fail_first
from tests.remote_service import Answer, reply, serve

from audioprobe.errors import InvalidInputError, RemoteError
from audioprobe.models.remote.multi_endpoint import MultiEndpointModel
from audioprobe.models.scripted import Scripted
from audioprobe.protocols import LanguageModel
from audioprobe.registry import load
from audioprobe.testing import check_language_model
from audioprobe.types import Prompt

TEXTS = [f"question {n}" for n in range(24)]
ANSWERS = [reply(text, None) for text in TEXTS]


def answers(model: LanguageModel) -> list[str]:
    return [response.text for response in model.generate(map(Prompt, TEXTS))]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")


def test_contract_holds() -> None:
    check_language_model(
        MultiEndpointModel([Scripted(lambda p: p.text), Scripted(lambda p: p.text)])
    )


def test_endpoints_share_prompts_and_responses_are_in_order() -> None:
    with serve() as first, serve() as second:
        model = load(
            "language_model", "multi-endpoint:openai-chat:m", addresses=[first.url, second.url]
        )
        assert answers(model) == ANSWERS
        assert len(first.requests) + len(second.requests) == len(TEXTS)
        assert min(len(first.requests), len(second.requests)) > 4


def test_failed_endpoint_is_replaced() -> None:
    with serve() as first, serve() as second:
        first.plan = fail_first(10_000, Answer(status=503))
        urls = [first.url, second.url]
        model = MultiEndpointModel.from_urls("openai-chat:m", urls, retry=QUICK)
        assert answers(model) == ANSWERS
        assert len(second.requests) == len(TEXTS)


def test_error_is_raised_if_all_endpoints_fail() -> None:
    with serve() as first, serve() as second:
        first.plan = second.plan = fail_first(10_000, Answer(status=503))
        model = MultiEndpointModel.from_urls("openai-chat:m", [first.url, second.url], retry=QUICK)
        with pytest.raises(RemoteError, match="503"):
            answers(model)


def test_prompts_are_consumed_lazily() -> None:
    gate, taken = threading.Event(), []

    def wait(prompt: Prompt) -> str:
        gate.wait(10)
        return prompt.text

    def prompts() -> object:
        for text in TEXTS:
            taken.append(text)
            if len(taken) == 4:
                gate.set()
            yield Prompt(text)

    model = MultiEndpointModel([Scripted(wait), Scripted(wait)], concurrency=1)
    first = next(iter(model.generate(prompts())))  # type: ignore[arg-type]
    assert first.text == TEXTS[0]
    assert len(taken) == 4


def test_no_models_or_different_models_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="needs models"):
        MultiEndpointModel([])
    with pytest.raises(InvalidInputError, match="must serve one model"):
        MultiEndpointModel([Scripted("a", name="one"), Scripted("a", name="two")])
