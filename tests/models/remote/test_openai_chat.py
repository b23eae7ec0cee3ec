"""The remote chat model with a local service that returns all kinds of errors."""

import pickle
import time
from collections import Counter
from typing import Any

import numpy as np
import pytest
from tests.remote import chat, fail_first, response_texts
from tests.remote_service import KEY, Answer, Service, reply, sounds_of
from tests.scripted import sound

from audioprobe.classification.caption import CaptionClassifier
from audioprobe.errors import InvalidInputError, RemoteError, UnsupportedInputError
from audioprobe.models.remote.openai_chat import OpenAIChat
from audioprobe.models.remote.retry import Retry
from audioprobe.registry import load
from audioprobe.testing import check_language_model
from audioprobe.types import Decoding, Example, Prompt, Waveform

TEXTS = [f"question {n}" for n in range(12)]
PROMPTS = [Prompt(text) for text in TEXTS]
ANSWERS = [reply(text, None) for text in TEXTS]


def test_contract_holds(service: Service) -> None:
    check_language_model(chat(service, check_audio=True))


def test_prompt_is_sent_as_turns_with_wav_files(service: Service) -> None:
    with_audio = Example("What is this?", "rain", sound(0.25, rate=16_000))
    text_only = Example("Is a crow a bird?", "yes")
    prompt = Prompt("And this?", sound(-0.5, seconds=0.5), (with_audio, text_only))
    [answer] = response_texts(chat(service, system="Be brief."), [prompt])
    assert answer == "And this? (0.500 s at 8000 Hz, level -0.5000)"
    turns = service.requests[0]["messages"]
    roles = ["system", "user", "assistant", "user", "assistant", "user"]
    assert [turn["role"] for turn in turns] == roles
    assert [turns[n]["content"] for n in (0, 2, 3, 4)] == [
        "Be brief.",
        "rain",
        text_only.question,
        "yes",
    ]
    assert [part["type"] for part in turns[1]["content"]] == ["input_audio", "text"]
    [(samples, rate)] = sounds_of(turns[1])
    assert (set(samples), rate) == ({0.25}, 16_000)


def test_sixteen_bit_audio_is_sent_bit_for_bit_at_its_rate(service: Service) -> None:
    steps = np.arange(-32768, 32768, 7)
    response_texts(
        chat(service), [Prompt("?", Waveform((steps / 32768).astype(np.float32), 44_100))]
    )
    [(samples, rate)] = sounds_of(service.requests[0]["messages"][0])
    np.testing.assert_array_equal(samples * 32768, steps)
    assert rate == 44_100


def test_audio_is_resampled_on_request_and_clipping_is_reported(service: Service) -> None:
    loud = Waveform(np.array([1.5, -1.5, 1.0, -1.0, 0.0], np.float32), 16_000)
    [response] = chat(service).generate([Prompt("?", loud)])
    assert response.details["samples cut off"] == 2
    [quiet] = chat(service, sample_rate=16_000).generate([Prompt("?", sound(rate=8000))])
    assert quiet.text == "? (0.100 s at 16000 Hz, level 0.1000)"
    assert "samples cut off" not in quiet.details


def test_decoding_options_are_sent(service: Service) -> None:
    model = chat(service, extra_body={"chat_template_kwargs": {"enable_thinking": False}})
    response_texts(model, [Prompt("?")])
    sampling = Decoding(
        max_new_tokens=9, temperature=0.7, top_p=0.9, top_k=40, repetition_penalty=1.1, seed=5
    )
    response_texts(model, [Prompt("?")], sampling)
    greedy, sampled = service.requests
    assert greedy == {
        "model": "m",
        "messages": [{"role": "user", "content": "?"}],
        "max_tokens": 400,
        "temperature": 0.0,
        "seed": 0,
        "chat_template_kwargs": {"enable_thinking": False},
    }
    assert {k: sampled[k] for k in ("temperature", "top_p", "top_k", "seed", "max_tokens")} == {
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 40,
        "seed": 5,
        "max_tokens": 9,
    }
    assert sampled["repetition_penalty"] == 1.1
    assert (
        model.info.options["extra_body"] == '{"chat_template_kwargs": {"enable_thinking": false}}'
    )


def test_options_that_openai_lacks_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    unsupported = Decoding(temperature=1.0, top_k=5, repetition_penalty=1.2)
    with pytest.raises(UnsupportedInputError, match="no top_k and no repetition_penalty"):
        OpenAIChat("gpt-audio").generate([Prompt("?")], unsupported)


def test_token_limit_is_reported(service: Service) -> None:
    [response] = chat(service).generate([Prompt("one two three")], Decoding(max_new_tokens=2))
    assert (response.text, response.finish) == ("one two", "length")
    assert response.details == {"prompt_tokens": 7, "completion_tokens": 2}


def test_responses_are_in_order_if_later_ones_are_faster(service: Service) -> None:
    service.plan = lambda _n, texts: Answer(delay_s=0.02 * (12 - TEXTS.index(texts[0])))
    model = chat(service, concurrency=4)
    assert response_texts(model, PROMPTS) == ANSWERS
    assert service.max_concurrent == 4


def test_slow_answer_does_not_delay_other_requests(service: Service) -> None:
    service.plan = lambda _n, texts: Answer(delay_s=0.3 if texts == ["question 0"] else 0.0)
    stream = chat(service, concurrency=4).generate(PROMPTS)
    assert next(stream).text == ANSWERS[0]
    assert set(service.texts) == set(TEXTS[:8])


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503])
def test_temporary_error_is_retried_without_repeating_finished_prompts(
    service: Service, status: int
) -> None:
    service.plan = fail_first(1, Answer(status, {"error": {"message": "busy"}}))
    assert response_texts(chat(service, concurrency=1), PROMPTS[:3]) == ANSWERS[:3]
    assert Counter(service.texts) == {TEXTS[0]: 2, TEXTS[1]: 1, TEXTS[2]: 1}


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "variable OPENAI_API_KEY"), (403, "may not use"), (404, "model name 'm'")],
)
def test_final_error_stops_the_stream(service: Service, status: int, words: str) -> None:
    service.plan = lambda *_: Answer(status, {"error": {"message": "no"}})
    with pytest.raises(RemoteError, match=words) as caught:
        response_texts(chat(service, concurrency=2), PROMPTS)
    assert caught.value.final
    time.sleep(0.1)
    assert len(service.requests) <= 2


def test_final_error_ends_the_waiting_of_earlier_prompts(service: Service) -> None:
    busy, refused = Answer(429, {}, {"Retry-After": "30"}), Answer(401, {}, delay_s=0.2)
    service.plan = lambda _n, texts: busy if texts[0] == TEXTS[0] else refused
    start = time.monotonic()
    with pytest.raises(RemoteError, match="answered 401"):
        response_texts(chat(service, retry=Retry(), concurrency=2), PROMPTS[:2])
    assert time.monotonic() - start < 5


def test_responses_before_an_error_are_yielded_and_requests_in_progress_are_reused(
    service: Service,
) -> None:
    bad = Answer(400, {"error": {"message": "odd sound"}}, delay_s=0.2)
    service.plan = lambda _n, texts: bad if texts == [TEXTS[3]] else Answer()
    model = chat(service, concurrency=4)
    stream = model.generate(PROMPTS)
    assert [next(stream).text for _ in range(3)] == ANSWERS[:3]
    with pytest.raises(RemoteError, match="odd sound") as caught:
        next(stream)
    assert not caught.value.final
    assert len(service.requests) > 5
    assert response_texts(model, PROMPTS[4:]) == ANSWERS[4:]
    assert Counter(service.texts) == dict.fromkeys(TEXTS, 1)


def test_refused_clip_fails_alone_and_others_are_asked_once(service: Service) -> None:
    levels = np.linspace(0.1, 0.8, 8)

    def plan(number: int, texts: list[str]) -> Answer:
        [(samples, _)] = sounds_of(service.requests[number]["messages"][-1])
        is_bad = abs(samples.mean() - levels[3]) < 0.01
        return Answer(400, {"error": {"message": "odd sound"}}) if is_bad else Answer(delay_s=0.02)

    service.plan = plan
    sounds = [sound(level) for level in levels]
    result = CaptionClassifier(chat(service, concurrency=4), "keyword")(sounds, ["level 0.1000"])
    assert [(f.stage, f.error) for f in result.failures] == [("caption", "RemoteError")]
    assert len(result.captions) == 7
    assert len(service.requests) == 9  # the refused one twice: in a batch and alone


def test_pickled_copy_works(service: Service) -> None:
    model = chat(service, requests_per_minute=6000, check_audio=True)
    response_texts(model, PROMPTS[:1])
    copy = pickle.loads(pickle.dumps(model))
    assert response_texts(copy, [Prompt("?", sound())]) == ["? (0.100 s at 8000 Hz, level 0.1000)"]
    assert copy.info == model.info


def test_registry_builds_it_with_the_address_in_the_environment(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", service.url)
    model = load("language_model", "openai-chat:/models/Qwen2-Audio-7B-Instruct")
    assert model.info.name == "/models/Qwen2-Audio-7B-Instruct"
    assert model.info.options == {"base_url": service.url}
    assert response_texts(model, PROMPTS[:1]) == ANSWERS[:1]


def test_missing_key_is_an_error_for_openai(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(RemoteError, match="set the environment variable OPENAI_API_KEY") as caught:
        OpenAIChat("gpt-audio").generate([Prompt("?")])
    assert caught.value.final


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": ""}, "needs a model name"),
        ({"timeout_s": 0}, "timeout_s > 0"),
        ({"sample_rate": 0}, "sample_rate must be"),
        ({"concurrency": 0}, "concurrency must be"),
        ({"requests_per_minute": 0}, "requests_per_minute must be"),
        ({"max_usd": 1.0}, "usd_per_million_output_tokens"),
        ({"max_usd": 1.0, "usd_per_million_input_tokens": 1.0}, "needs the prices"),
        ({"extra_body": {"stream": True, "n": 2}}, "must not contain n, stream"),
        ({"extra_body": {"x": float("nan")}}, "must be JSON"),
        ({"base_url": f"http://me:{KEY}@localhost/v1"}, "base_url must"),
    ],
    ids=str,
)
def test_invalid_options_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        OpenAIChat(**{"model": "m", **options})


@pytest.mark.parametrize(
    "prompt",
    [
        Prompt(" "),
        Prompt("\ud800"),
        Prompt("?", examples=(Example("", "yes"),)),
        Prompt("?", examples=(Example("Is it?", ""),)),
    ],
)
def test_prompt_that_cannot_be_sent_is_an_error_of_that_prompt(
    service: Service, prompt: Prompt
) -> None:
    stream = chat(service).generate([PROMPTS[0], prompt])
    assert next(stream).text == ANSWERS[0]
    with pytest.raises(InvalidInputError, match="turn"):
        next(stream)
    assert len(service.requests) == 1
