"""A deaf endpoint is found out before it is asked about sounds."""

from pathlib import Path

import pytest
from tests.processes import run_cli
from tests.remote import chat
from tests.remote_service import Answer, Service
from tests.scripted import sound

from audioprobe.datasets.recordings import FOLDER
from audioprobe.errors import RemoteError
from audioprobe.results import ClassificationResult
from audioprobe.types import Example, Prompt

SOUND = [Prompt("What is it?", sound())]
REFUSED = Answer(400, {"error": {"message": "needs audio"}})


def with_sound(service: Service, number: int) -> bool:
    return isinstance(service.requests[number]["messages"][-1]["content"], list)


def test_counts_that_grow_with_the_sound_are_proof(service: Service) -> None:
    hearing = chat(service).hears()
    assert hearing.heard is True
    assert "6 s" in hearing.evidence
    assert len(service.requests) == 2


def test_counted_audio_tokens_are_proof_after_one_request(service: Service) -> None:
    usage = {"prompt_tokens": 70, "prompt_tokens_details": {"audio_tokens": 60}}
    message = {"choices": [{"message": {"content": None}}]}
    service.plan = lambda *_: Answer(body={**message, "usage": usage})
    assert chat(service).hears().evidence == "The service counts 60 audio tokens for 6 s."
    assert len(service.requests) == 1


def test_a_deaf_endpoint_is_not_asked_about_sounds_but_about_texts(service: Service) -> None:
    service.hears = False
    model = chat(service, check_hearing=True)
    assert model.hears().heard is False
    assert [r.text for r in model.generate([Prompt("a")])] == ["a (nothing heard)"]
    service.requests.clear()
    for prompts in (SOUND, [Prompt("And this?", examples=(Example("This?", "rain", sound()),))]):
        with pytest.raises(RemoteError, match=r"sounds do not reach it.*same answer") as caught:
            list(model.generate(prompts))
        assert caught.value.final
    assert len(service.requests) == 3  # the check, once; no prompt


def test_an_endpoint_that_hears_is_checked_once(service: Service) -> None:
    model = chat(service, check_hearing=True, concurrency=4)
    assert len(list(model.generate(SOUND * 5))) == len(list(model.generate(SOUND * 5))) == 5
    assert len(service.requests) == 2 + 10


def test_an_endpoint_that_refuses_sounds_ends_the_run(service: Service) -> None:
    service.plan = lambda number, _: REFUSED if with_sound(service, number) else Answer()
    with pytest.raises(RemoteError, match=r"refuses a short test sound.*needs audio") as caught:
        list(chat(service, check_hearing=True, concurrency=1).generate(SOUND * 3))
    assert caught.value.final
    assert len(service.requests) == 1


def test_a_fault_in_the_check_is_told_as_what_it_is(service: Service) -> None:
    service.plan = lambda *_: Answer(401, {"error": {"message": "who are you"}})
    with pytest.raises(RemoteError, match="answered 401: 'who are you'"):
        list(chat(service, check_hearing=True).generate(SOUND))


def test_a_placeholder_of_constant_size_is_no_proof(service: Service) -> None:
    service.hears = "constant"
    hearing = chat(service).hears()
    assert hearing.heard is True  # by its answers
    assert "answers to noise and tone differ" in hearing.evidence
    assert len(service.requests) == 4  # noise, tone, nothing, and the noise again
    counts = {"usage": {"prompt_tokens": 30}}
    parrot = {"choices": [{"message": {"content": "A sound."}, "finish_reason": "stop"}], **counts}
    service.plan = lambda n, _: Answer(body=parrot) if with_sound(service, n) else Answer()
    model = chat(service, check_hearing=True)
    assert model.hears().heard is None
    with pytest.warns(UserWarning, match="cannot be told whether 'm' hears.*agree"):
        assert [r.text for r in model.generate(SOUND)] == ["A sound."]
    list(model.generate(SOUND))  # and not again


def test_without_counts_the_answers_decide_or_nothing_does(service: Service) -> None:
    service.counts = False
    assert chat(service).hears().heard is True
    service.hears = False
    assert chat(service).hears().heard is None


@pytest.mark.parametrize("n_counted", [None, 12])
def test_answers_that_vary_by_themselves_are_no_proof(
    service: Service, n_counted: int | None
) -> None:
    def plan(number: int, _texts: list[str]) -> Answer:
        message = {"message": {"content": f"I hear {number}."}, "finish_reason": "stop"}
        usage = {} if n_counted is None else {"usage": {"prompt_tokens": n_counted}}
        return Answer(body={"choices": [message], **usage})

    service.plan = plan
    model = chat(service, check_hearing=True)
    hearing = model.hears()
    assert hearing.heard is None
    assert "the same noise got two answers" in hearing.evidence
    with pytest.warns(UserWarning, match="cannot be told whether 'm' hears"):
        list(model.generate(SOUND))


def test_answers_may_differ_at_their_ends_alone(service: Service) -> None:
    thoughts = "I listen closely, as I was told to. " * 20

    def plan(number: int, _texts: list[str]) -> Answer:
        text = f"{thoughts}{'A tone.' if number == 1 else 'A noise.'}"
        return Answer(body={"choices": [{"message": {"content": text}, "finish_reason": "stop"}]})

    service.plan = plan
    assert chat(service).hears().heard is True


def test_a_model_that_must_have_a_sound_is_judged_without_the_silent_question(
    service: Service,
) -> None:
    service.hears = "constant"
    service.plan = lambda n, _: Answer() if with_sound(service, n) else REFUSED
    assert chat(service).hears().heard is True


def test_on_the_command_line_nothing_is_scored_by_the_deaf(
    service: Service, tmp_path: Path
) -> None:
    service.hears = False
    process = run_cli(
        "classify",
        *(str(FOLDER / name) for name in ("crow.flac", "piano.flac")),
        *("--labels", "crow", "--scorer", "keyword", "--model", "openai-chat:m"),
        *("--out", str(tmp_path)),
        OPENAI_BASE_URL=service.url,
    )
    assert process.returncode == 1, process.stderr
    result = ClassificationResult.from_json((tmp_path / "result.json").read_text("utf-8"))
    assert result.clip_ids == ()
    assert {(one.stage, one.error) for one in result.failures} == {("caption", "RemoteError")}
    assert "sounds do not reach it" in result.failures[0].message
    assert len(result.failures) == 2
    assert len(service.requests) == 3
