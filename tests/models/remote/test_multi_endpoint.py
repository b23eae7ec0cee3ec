"""Several endpoints share the work, and one that fails is made up for by the others."""

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


def answers(pool: LanguageModel) -> list[str]:
    return [response.text for response in pool.generate(map(Prompt, TEXTS))]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")


def test_it_keeps_the_contract_of_language_models() -> None:
    check_language_model(
        MultiEndpointModel([Scripted(lambda p: p.text), Scripted(lambda p: p.text)])
    )


def test_two_endpoints_share_the_work_and_answers_come_in_order() -> None:
    with serve() as one, serve() as other:
        pool = load(
            "language_model", "multi-endpoint:openai-chat:m", addresses=[one.url, other.url]
        )
        assert answers(pool) == ANSWERS
        assert len(one.requests) + len(other.requests) == len(TEXTS)
        assert min(len(one.requests), len(other.requests)) > 4


def test_what_one_endpoint_cannot_do_another_does() -> None:
    with serve() as one, serve() as other:
        one.plan = fail_first(10_000, Answer(status=503))
        urls = [one.url, other.url]
        pool = MultiEndpointModel.from_urls("openai-chat:m", urls, retry=QUICK)
        assert answers(pool) == ANSWERS
        assert len(other.requests) == len(TEXTS)


def test_where_all_fail_the_error_is_theirs() -> None:
    with serve() as one, serve() as other:
        one.plan = other.plan = fail_first(10_000, Answer(status=503))
        pool = MultiEndpointModel.from_urls("openai-chat:m", [one.url, other.url], retry=QUICK)
        with pytest.raises(RemoteError, match="503"):
            answers(pool)


def test_no_more_prompts_are_taken_than_can_be_under_way() -> None:
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

    pool = MultiEndpointModel([Scripted(wait), Scripted(wait)], concurrency=1)
    first = next(iter(pool.generate(prompts())))  # type: ignore[arg-type]
    assert first.text == TEXTS[0]
    assert len(taken) == 4


def test_a_pool_of_nothing_or_of_two_models_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="needs models"):
        MultiEndpointModel([])
    with pytest.raises(InvalidInputError, match="serve one model"):
        MultiEndpointModel([Scripted("a", name="one"), Scripted("a", name="two")])
