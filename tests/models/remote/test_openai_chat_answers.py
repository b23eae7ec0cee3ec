"""Answers of chat models, with and without reasoning, and unusable answers."""

from pathlib import Path
from typing import Any

import pytest
from tests.remote import chat, completion, fail_first, response_texts
from tests.remote_service import Answer, Service, reply
from tests.scripted import sound
from tests.tiny_chat_models import CHATML, llama, tokenizer

from audioprobe import CaptionClassifier, Cascade, KeywordScorer, Scripted
from audioprobe.errors import InvalidInputError, RemoteError
from audioprobe.models.cached import CachedModel
from audioprobe.models.chat.inputs import PromptEncoder
from audioprobe.models.chat.model import TransformersLM
from audioprobe.models.remote.vllm_chat import VllmChat
from audioprobe.types import Decoding, Prompt

TEXTS = [f"question {n}" for n in range(12)]
PROMPTS = [Prompt(text) for text in TEXTS]
ANSWERS = [reply(text, None) for text in TEXTS]


BROKEN = [
    Answer(body=b"<html>gateway</html>"),
    Answer(body=b""),
    Answer(body=b'{"choices": [{"mess'),
    Answer(body=b"[" * 100_000),
    Answer(n_missing=10),
    Answer(body=[1]),
    Answer(body={}),
    Answer(body={"choices": []}),
    Answer(body={"choices": None}),
    Answer(body={"choices": ["text"]}),
    Answer(body={"choices": [{"message": "text"}]}),
    Answer(body={"choices": [{"finish_reason": "stop"}]}),
]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda a: str(a.body)[:20])
def test_unusable_answer_is_retried_and_then_an_error(service: Service, broken: Answer) -> None:
    service.plan = fail_first(2, broken)
    assert response_texts(chat(service), PROMPTS[:1]) == ANSWERS[:1]
    service.plan = lambda *_: broken
    with pytest.raises(RemoteError, match=r"(Expected a chat|No connection).*tried 4 times"):
        response_texts(chat(service), PROMPTS[:1])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (completion({"content": None}), "no text"),
        (completion({"content": ""}), "no text"),
        (completion({"content": " \n"}, "length"), "Raise max_new_tokens"),
        (completion({"content": None, "reasoning_content": "Hm"}), "reasoning only"),
        (completion({"content": ["parts"]}), "no text"),
        (completion({"content": "I"}, "content_filter"), "withheld"),
        (
            completion({"content": None, "refusal": "I cannot hear that."}),
            "refused: 'I cannot hear",
        ),
        (
            completion({"content": None, "tool_calls": [{"id": "1"}]}, "tool_calls"),
            "called a tool",
        ),
        (completion({"content": "", "tool_calls": [{"id": "1"}]}, "stop"), "called a tool"),
        (completion({"content": [{"type": "refusal", "refusal": "I can't."}]}), "refused: "),
        (completion({"content": [{"type": "thinking", "thinking": "Hm"}]}), "no text"),
        (completion({"content": None}, None), "no text"),
        (completion({"content": "I"}, "SAFETY"), "withheld"),
        (completion({"content": "A cr"}, "error"), "interrupted"),
        (completion({"content": "A crow"}, "abort"), "'abort'"),
    ],
)
def test_answer_without_text_is_an_error_and_not_retried(
    service: Service, body: Any, words: str
) -> None:
    service.plan = lambda *_: Answer(body=body)
    with pytest.raises(RemoteError, match=words) as caught:
        response_texts(chat(service), PROMPTS[:1])
    assert (caught.value.retryable, caught.value.final) == (False, False)
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    ("finish", "expected"),
    [
        (None, "stop"),
        ("", "stop"),
        ("eos_token", "stop"),
        ("STOP", "stop"),
        ("end_turn", "stop"),
        ("something new", "stop"),
        ("max_tokens", "length"),
        ("MAX_TOKENS", "length"),
        ("model_length", "length"),
    ],
)
def test_finish_reasons_are_mapped_to_stop_and_length(
    service: Service, finish: str | None, expected: str
) -> None:
    service.plan = lambda *_: Answer(body=completion({"content": "A crow."}, finish))
    [response] = chat(service).generate(PROMPTS[:1])
    assert (response.text, response.finish) == ("A crow.", expected)
    assert response.details == {"finish_reason": finish or "none given"}


def test_token_count_shows_the_limit_without_a_finish_reason(service: Service) -> None:
    body = completion({"content": "A crow"}, None)
    del body["choices"][0]["finish_reason"]
    service.plan = lambda *_: Answer(body={**body, "usage": {"completion_tokens": 2}})
    model = chat(service)
    ends = [
        next(model.generate(PROMPTS[:1], Decoding(max_new_tokens=limit))).finish for limit in (2, 3)
    ]
    assert ends == ["length", "stop"]


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "text", "text": "Yes, it is."}],
        [{"type": "text", "text": "Yes"}, {"type": "text", "text": ", it is."}],
        [{"type": "thinking", "thinking": "No?"}, {"type": "text", "text": "Yes, it is."}],
        [{"type": "output_text", "text": "Yes, it is.", "annotations": []}],
        {"type": "text", "text": "Yes, it is."},
    ],
)
def test_text_parts_are_joined(service: Service, content: Any) -> None:
    service.plan = lambda *_: Answer(body=completion({"content": content, "refusal": None}))
    assert response_texts(chat(service), PROMPTS[:1]) == ["Yes, it is."]


def test_different_model_name_is_recorded(service: Service) -> None:
    service.plan = lambda *_: Answer(body={"model": "m-2026", **completion({"content": "A crow"})})
    [response] = chat(service).generate(PROMPTS[:1])
    assert response.details == {"model": "m-2026"}


THOUGHT = "Is it a crow, or a drum? No crow, no drum: it rings."
LABELS = ["crow", "drum", "bell"]


def answers(service: Service, finish: str = "stop", **message: str) -> None:
    choice = {"message": {"role": "assistant", **message}, "finish_reason": finish}
    service.plan = lambda *_: Answer(body={"choices": [choice]})


@pytest.mark.parametrize(
    "message",
    [
        {"content": f"<think>{THOUGHT}</think>\nA bell rings."},
        {"content": f"{THOUGHT}\n</think>\n\nA bell rings."},
        {"content": "A bell rings.", "reasoning_content": THOUGHT},
        {"content": "A bell rings.", "reasoning": THOUGHT},
    ],
)
def test_caption_of_a_service_has_no_reasoning(service: Service, message: dict[str, str]) -> None:
    answers(service, **message)
    for model in (chat(service), VllmChat("m", base_url=service.url, check_audio=False)):
        result = CaptionClassifier(model, KeywordScorer())([sound()], LABELS)
        assert result.scores.tolist() == [[0.0, 0.0, 1.0]]
        (caption,) = result.captions
        assert (caption.text, caption.details["reasoning"]) == ("A bell rings.", THOUGHT)


@pytest.mark.parametrize(
    ("content", "finish"),
    [(f"<think>{THOUGHT}", "length"), (f"<think>{THOUGHT}", "stop"), ("<think>a</think> ", "stop")],
)
def test_reasoning_without_an_answer_is_a_failure_of_the_clip(
    service: Service, content: str, finish: str
) -> None:
    answers(service, finish, content=content)
    with pytest.raises(RemoteError, match="reasoning only"):
        list(chat(service).generate([Prompt("What?")]))
    result = CaptionClassifier(chat(service), KeywordScorer())([sound()], LABELS)
    assert result.clip_ids == ()
    assert [failure.error for failure in result.failures] == ["RemoteError"]


def test_audio_check_accepts_incomplete_reasoning(service: Service) -> None:
    answers(service, "length", content="<think>A sound of")
    assert chat(service).check_audio_support().supported is not True


@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize(("opening", "closing"), [("<think>", "</think>"), ("[THINK]", "[/THINK]")])
def test_reasoning_marks_are_decoded_even_as_special_tokens(
    opening: str, closing: str, special: bool
) -> None:
    made = tokenizer()
    made.add_tokens([opening, closing], special_tokens=special)
    text = f"{opening}{THOUGHT}{closing}A bell rings."
    ids = made(f"{text}<|im_end|>", add_special_tokens=False).input_ids
    assert PromptEncoder(made, None).decode(ids) == text


def test_special_token_that_opens_no_block_is_removed() -> None:
    made = tokenizer()
    made.add_tokens(["[THINK]", "[/THINK]"], special_tokens=True)
    for written, text in (
        ("A bell[THINK] rings.", "A bell rings."),
        ("[THINK]A bell", "[THINK]A bell"),
        ("Hm.[THINK]A bell[/THINK]Yes.[THINK]", "Hm.[THINK]A bell[/THINK]Yes."),
    ):
        assert PromptEncoder(made, None).decode(made(written).input_ids) == text


@pytest.mark.parametrize("opening", ["<think>\n", "<|im_start|><think>\n", "[THINK]"])
def test_reasoning_opened_by_the_template_must_be_closed(tmp_path: Path, opening: str) -> None:
    llama(tmp_path / "open", template=f"{CHATML}{opening}")
    llama(tmp_path / "closed", template=f"{CHATML}<think>\n\n</think>\n\n")
    for decoding in (Decoding(max_new_tokens=4), Decoding(max_new_tokens=4, temperature=1.0)):
        with pytest.raises(InvalidInputError, match="reasoning only"):
            list(TransformersLM(tmp_path / "open").generate([Prompt("What?")], decoding))
        (answer,) = TransformersLM(tmp_path / "closed").generate([Prompt("What?")], decoding)
        assert answer.details == {}
    with pytest.warns(UserWarning, match="starts reasoning"):
        list(TransformersLM(tmp_path / "open").log_likelihood([Prompt("What?")], ["A bell."]))


def test_scripted_and_cached_models_separate_reasoning(tmp_path: Path) -> None:
    def say(prompt: Prompt) -> str:
        assert prompt.audio is not None
        return f"<think>{THOUGHT}" + ("" if prompt.audio.samples[0] > 0.5 else "</think>A bell.")

    script = Scripted(say, name="reasoning", batch_size=2)
    for model in (script, CachedModel(script, tmp_path / "a"), CachedModel(script, tmp_path / "a")):
        result = CaptionClassifier(model, KeywordScorer())([sound(0.1), sound(0.9)], LABELS)
        assert result.scores.tolist() == [[0.0, 0.0, 1.0]]
        assert [failure.error for failure in result.failures] == ["InvalidInputError"]


def test_cascade_removes_the_reasoning_of_captions() -> None:
    seen: list[str] = []

    def read(prompt: Prompt) -> str:
        seen.append(prompt.text)
        return "<think>A bell rings.</think>Yes."

    cascade: Any = Cascade(Scripted(f"<think>{THOUGHT}</think>A bell."), Scripted(read))
    (answer,) = cascade.generate([Prompt("Is it a bell?", sound())])
    assert "A bell." in seen[0]
    assert "crow" not in seen[0]
    assert (answer.text, answer.details["reasoning"]) == ("Yes.", "A bell rings.")
    assert answer.details["caption reasoning"] == THOUGHT
