"""Captions reach the reasoner as plain text, once per sound."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.scripted import LevelTagger, ScriptedModel, sound
from tests.tiny_chat_models import saved

from audioprobe import Cascade, LanguageModel, LikelihoodModel, load
from audioprobe.errors import InvalidInputError, UnsupportedInputError
from audioprobe.models.cascade import CAPTION_QUESTION, LikelihoodCascade
from audioprobe.models.tag_captioner import NOTHING, TagCaptioner
from audioprobe.testing import check_language_model, check_likelihood_model
from audioprobe.types import ComponentInfo, Decoding, Example, Prompt, Response, Waveform


def echo(prompt: Prompt) -> Response:
    """Repeat the prompt; refuse audio."""
    if prompt.audio is not None:
        raise UnsupportedInputError("text alone")
    examples = "".join(f"{e.question}={e.answer};" for e in prompt.examples)
    assert all(e.audio is None for e in prompt.examples)
    return Response(examples + prompt.text)


def level(prompt: Prompt) -> Response:
    assert prompt.audio is not None
    return Response(f"level {prompt.audio.samples[0]:.1f}")


class Reader:
    """A reasoner without likelihoods."""

    info = ComponentInfo("language_model", "reader")

    def __init__(self) -> None:
        self.generate = ScriptedModel(echo, batch_size=3).generate


def ask(cascade: LanguageModel, *prompts: Prompt) -> list[str]:
    return [response.text for response in cascade.generate(prompts)]


@pytest.mark.parametrize("batch_size", [1, 2, 16])
def test_reasoner_gets_caption_and_question(batch_size: int) -> None:
    cascade = Cascade(
        ScriptedModel(level, batch_size=2),
        ScriptedModel(echo, batch_size=3),
        template="[{caption}] {question}",
        batch_size=batch_size,
    )
    examples = (Example("Loud?", "No.", sound(0.2)), Example("Bird?", "Yes."))
    answers = ask(
        cascade,
        Prompt("Loud?", sound(0.1)),
        Prompt("Is a crow a bird?"),
        Prompt("Loud?", sound(0.3), examples),
    )
    assert answers == [
        "[level 0.1] Loud?",
        "Is a crow a bird?",
        "[level 0.2] Loud?=No.;Bird?=Yes.;[level 0.3] Loud?",
    ]


def test_distinct_sound_is_captioned_once_per_stream() -> None:
    captioner = ScriptedModel(level)
    cascade = Cascade(captioner, Reader(), batch_size=2)
    prompts = [Prompt(f"Question {n}?", sound(0.1 * (1 + n % 3))) for n in range(30)]
    first = ask(cascade, *prompts)
    assert captioner.n_asked == 3
    assert ask(cascade, *prompts) == first
    assert captioner.n_asked == 6  # the next stream asks again


def test_number_of_remembered_captions_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audioprobe.models.cascade._MAX_CAPTIONS", 2)
    captioner = ScriptedModel(level)
    cascade = Cascade(captioner, Reader(), batch_size=1)
    ask(cascade, *(Prompt("?", sound(0.1 * n)) for n in (1, 2, 1, 3, 1, 2)))
    assert captioner.n_asked == 4  # 0.2 was forgotten when 0.3 came


@settings(max_examples=30)
@given(st.text() | st.sampled_from(["{question}", "{caption}", "{0}", "{", "}}", r"\1 \g<0>"]))
def test_nothing_in_a_caption_is_interpreted(caption: str) -> None:
    cascade = Cascade(ScriptedModel(lambda _: Response(caption)), Reader())
    assert ask(cascade, Prompt("{caption} or not?", sound())) == [
        f"A sound is described like this:\n{caption}\n\n{{caption}} or not?"
    ]


def test_caption_and_its_details_are_recorded() -> None:
    def caption(prompt: Prompt) -> Response:
        return Response("a long", "length", details={"truncated audio (s)": 2.5})

    (response,) = Cascade(ScriptedModel(caption), Reader()).generate([Prompt("?", sound())])
    assert response.details == {
        "caption": "a long",
        "caption finish": "length",
        "caption truncated audio (s)": 2.5,
    }
    (text,) = Cascade(ScriptedModel(caption), Reader()).generate([Prompt("?")])
    assert text.details == {}


def test_abstained_caption_is_used_and_recorded() -> None:
    abstaining = TagCaptioner(LevelTagger(), certain=1.0, possible=1.0)
    (response,) = Cascade(abstaining, Reader()).generate([Prompt("What?", sound(0.5))])
    assert NOTHING in response.text
    assert response.details == {"caption": NOTHING, "caption abstained": True}
    assert not response.abstained  # which is about the reasoner


def test_decodings_reach_captioner_and_reasoner() -> None:
    seen: list[Decoding | None] = []

    class Recording(ScriptedModel):
        def generate(self, prompts: object, decoding: Decoding | None = None) -> Iterator[Response]:
            seen.append(decoding)
            return super().generate(prompts, decoding)  # type: ignore[arg-type]

    short, long = Decoding(max_new_tokens=5), Decoding(max_new_tokens=50)
    cascade = Cascade(Recording(level), Recording(echo), caption_decoding=short)
    list(cascade.generate([Prompt("?", sound())], long))
    assert sorted(d.max_new_tokens for d in seen if d) == [5, 50]
    assert cascade.info.options["caption_max_new_tokens"] == 5


def test_contracts_hold() -> None:
    captioner = TagCaptioner(LevelTagger())
    check_language_model(Cascade(captioner, Reader(), batch_size=3))
    cascade = Cascade(captioner, ScriptedModel(echo))
    assert isinstance(cascade, LikelihoodCascade)
    check_likelihood_model(cascade)
    assert cascade.info.parts["captioner"].name == "TagCaptioner"
    assert cascade.info.options["caption_question"] == CAPTION_QUESTION


def test_cascade_has_likelihoods_if_the_reasoner_has() -> None:
    plain = Cascade(ScriptedModel(level), Reader())
    able = Cascade(ScriptedModel(level), ScriptedModel(echo))
    assert not isinstance(plain, LikelihoodModel)
    assert isinstance(able, LikelihoodCascade)
    assert plain.info.name == able.info.name == "Cascade"
    (row,) = able.log_likelihood([Prompt("Loud?", sound(0.1))], ["yes", "no"])
    text = "A sound is described like this:\nlevel 0.1\n\nLoud?"
    (expected,) = ScriptedModel(echo).log_likelihood([Prompt(text)], ["yes", "no"])
    assert row == expected


def test_registry_builds_it_from_names() -> None:
    cascade = load(
        "language_model",
        f"cascade:transformers:{saved('qwen2-audio')}",
        reasoner=f"transformers:{saved('llama')}",
        caption_decoding=Decoding(max_new_tokens=4),
    )
    assert isinstance(cascade, LikelihoodCascade)
    assert cascade.info.parts["reasoner"].name == "llama"
    short = Decoding(max_new_tokens=4)
    (response,) = cascade.generate([Prompt("Is it a crow?", sound(0.3, seconds=1.0))], short)
    assert "caption" in response.details
    (row,) = cascade.log_likelihood([Prompt("Is it?", sound(0.3, seconds=1.0))], ["yes", "no"])
    assert len(row) == 2


@pytest.mark.parametrize(
    "template", ["{caption}", "{question}", "{caption} {question} {more}", "{caption}{question}{}"]
)
def test_template_with_other_fields_is_refused(template: str) -> None:
    with pytest.raises(InvalidInputError, match="once each and no other"):
        Cascade(ScriptedModel(level), Reader(), template=template)


def test_invalid_options_and_empty_questions_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="caption_question"):
        Cascade(ScriptedModel(level), Reader(), caption_question=" ")
    with pytest.raises(InvalidInputError, match="batch_size"):
        Cascade(ScriptedModel(level), Reader(), batch_size=0)
    cascade = Cascade(ScriptedModel(level), f"transformers:{saved('llama')}")
    with pytest.raises(InvalidInputError, match="empty text"):
        list(cascade.generate([Prompt(" ", sound())]))


def test_text_model_as_captioner_refuses_audio() -> None:
    cascade = Cascade(f"transformers:{saved('llama')}", Reader())
    with pytest.raises(UnsupportedInputError, match="takes text only"):
        ask(cascade, Prompt("What?", sound()))


def test_equal_sounds_are_captioned_once() -> None:
    captioner = ScriptedModel(level)
    copies = [Waveform(sound(0.4).samples.copy(), 8000) for _ in range(5)]
    ask(Cascade(captioner, Reader()), *(Prompt("?", copy) for copy in copies))
    assert captioner.n_asked == 1
