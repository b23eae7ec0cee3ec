"""The check whether audio reaches a remote model, before prompts with audio are sent."""

import pytest
from tests.remote import chat
from tests.remote_service import Answer, Service
from tests.scripted import sound

from audioprobe.classification.caption import CaptionClassifier
from audioprobe.datasets.recordings import FOLDER
from audioprobe.errors import RemoteError
from audioprobe.types import Example, Prompt

WITH_AUDIO = [Prompt("What is it?", sound())]
REFUSED = Answer(400, {"error": {"message": "needs audio"}})


def with_sound(service: Service, number: int) -> bool:
    return isinstance(service.requests[number]["messages"][-1]["content"], list)


def test_counts_that_grow_with_the_audio_are_sufficient(service: Service) -> None:
    support = chat(service).check_audio_support()
    assert support.supported is True
    assert "6 s" in support.evidence
    assert len(service.requests) == 2


def test_counted_audio_tokens_are_sufficient_after_one_request(service: Service) -> None:
    usage = {"prompt_tokens": 70, "prompt_tokens_details": {"audio_tokens": 60}}
    message = {"choices": [{"message": {"content": None}}]}
    service.plan = lambda *_: Answer(body={**message, "usage": usage})
    assert (
        chat(service).check_audio_support().evidence
        == "The service counts 60 audio tokens for 6 s."
    )
    assert len(service.requests) == 1


def test_endpoint_that_ignores_audio_gets_text_prompts_only(service: Service) -> None:
    service.audio = False
    model = chat(service, check_audio=True)
    assert model.check_audio_support().supported is False
    assert [r.text for r in model.generate([Prompt("a")])] == ["a (no audio)"]
    service.requests.clear()
    for prompts in (
        WITH_AUDIO,
        [Prompt("And this?", examples=(Example("This?", "rain", sound()),))],
    ):
        with pytest.raises(RemoteError, match=r"audio does not reach 'm'.*same answer") as caught:
            list(model.generate(prompts))
        assert caught.value.final
    assert len(service.requests) == 3  # the check, once; no prompt


def test_endpoint_is_checked_once(service: Service) -> None:
    model = chat(service, check_audio=True, concurrency=4)
    assert (
        len(list(model.generate(WITH_AUDIO * 5))) == len(list(model.generate(WITH_AUDIO * 5))) == 5
    )
    assert len(service.requests) == 2 + 10


def test_endpoint_that_refuses_audio_is_a_final_error(service: Service) -> None:
    service.plan = lambda number, _: REFUSED if with_sound(service, number) else Answer()
    with pytest.raises(RemoteError, match=r"refuses a short example sound.*needs audio") as caught:
        list(chat(service, check_audio=True, concurrency=1).generate(WITH_AUDIO * 3))
    assert caught.value.final
    assert len(service.requests) == 1


def test_error_during_the_check_is_raised_unchanged(service: Service) -> None:
    service.plan = lambda *_: Answer(401, {"error": {"message": "who are you"}})
    with pytest.raises(RemoteError, match="answered 401: 'who are you'"):
        list(chat(service, check_audio=True).generate(WITH_AUDIO))


def test_constant_number_of_audio_tokens_is_not_sufficient(service: Service) -> None:
    service.audio = "constant"
    support = chat(service).check_audio_support()
    assert support.supported is True
    assert "noise and tone get different answers" in support.evidence
    assert len(service.requests) == 4  # noise, tone, nothing, and the noise again
    counts = {"usage": {"prompt_tokens": 30}}
    parrot = {"choices": [{"message": {"content": "A sound."}, "finish_reason": "stop"}], **counts}
    service.plan = lambda n, _: Answer(body=parrot) if with_sound(service, n) else Answer()
    model = chat(service, check_audio=True)
    assert model.check_audio_support().supported is None
    with pytest.warns(UserWarning, match="unknown whether audio reaches 'm'.*same answer"):
        assert [r.text for r in model.generate(WITH_AUDIO)] == ["A sound."]
    list(model.generate(WITH_AUDIO))  # without a second warning


def test_answers_decide_if_there_are_no_counts(service: Service) -> None:
    service.counts = False
    assert chat(service).check_audio_support().supported is True
    service.audio = False
    assert chat(service).check_audio_support().supported is None


@pytest.mark.parametrize("n_counted", [None, 12])
def test_answers_that_vary_for_the_same_sound_are_not_sufficient(
    service: Service, n_counted: int | None
) -> None:
    def plan(number: int, _texts: list[str]) -> Answer:
        message = {"message": {"content": f"Sound {number}."}, "finish_reason": "stop"}
        usage = {} if n_counted is None else {"usage": {"prompt_tokens": n_counted}}
        return Answer(body={"choices": [message], **usage})

    service.plan = plan
    model = chat(service, check_audio=True)
    support = model.check_audio_support()
    assert support.supported is None
    assert "the same noise got two different answers" in support.evidence
    with pytest.warns(UserWarning, match="unknown whether audio reaches 'm'"):
        list(model.generate(WITH_AUDIO))


def test_answers_may_differ_only_at_the_end(service: Service) -> None:
    thoughts = "Let me think about this. " * 20

    def plan(number: int, _texts: list[str]) -> Answer:
        text = f"{thoughts}{'A tone.' if number == 1 else 'A noise.'}"
        return Answer(body={"choices": [{"message": {"content": text}, "finish_reason": "stop"}]})

    service.plan = plan
    assert chat(service).check_audio_support().supported is True


def test_model_that_requires_audio_is_checked_without_the_silent_prompt(
    service: Service,
) -> None:
    service.audio = "constant"
    service.plan = lambda n, _: Answer() if with_sound(service, n) else REFUSED
    assert chat(service).check_audio_support().supported is True


def test_nothing_is_scored_if_audio_is_ignored(service: Service) -> None:
    service.audio = False
    clips = [str(FOLDER / name) for name in ("crow.flac", "piano.flac")]
    result = CaptionClassifier(chat(service, check_audio=True), "keyword")(clips, ["crow"])
    assert result.clip_ids == ()
    causes = [(failure.stage, failure.error) for failure in result.failures]
    assert causes == [("caption", "RemoteError")] * 2
    assert "audio does not reach" in result.failures[0].message
    assert len(service.requests) == 3
