"""The reasoning of a model is never part of its answer, with any backend."""

from pathlib import Path
from typing import Any

import pytest
from tests.remote import chat
from tests.remote_service import Answer, Service
from tests.scripted import sound
from tests.tiny_chat_models import CHATML, llama, tokenizer

from audioprobe import CaptionClassifier, Cascade, KeywordScorer, Scripted
from audioprobe.errors import InvalidInputError, RemoteError
from audioprobe.models.cached import CachedModel
from audioprobe.models.chat.inputs import PromptEncoder
from audioprobe.models.chat.model import TransformersLM
from audioprobe.models.remote.vllm_chat import VllmChat
from audioprobe.types import Decoding, Prompt

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
    with pytest.warns(UserWarning, match="opens reasoning"):
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
