"""Positions of questions and phrases, checked by decoding the tokens of LLaMA's tokenizer."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.llama_tokenizer import write_tokenizer
from tests.tiny_chat_models import tokenizer as byte_tokenizer
from transformers import AutoTokenizer

from audioprobe.errors import UnsupportedInputError
from audioprobe.models.causal_lm.text_spans import text_spans
from audioprobe.models.causal_lm.tokenization import text_ids
from audioprobe.models.ltu.trainable import TEMPLATE
from audioprobe.sites import InspectedPrompt
from audioprobe.types import Prompt


def asked_about(question: str, concept: str = "", *options: str) -> InspectedPrompt:
    return InspectedPrompt(Prompt(question), concept=concept, options=options)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = write_tokenizer(tmp_path_factory.mktemp("llama"))
    return AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize(
    ("question", "concept"),
    [
        ("Is a crow a bird?", "crow"),
        ("Is a carrion crow a bird?", "a carrion crow"),
        ("Carrion crows: are these birds?", "carrion crows"),
        ("Ist das ein Käuzchen?", "Käuzchen"),
        ("これはカラスですか？", "カラス"),
        ("Is 🐦‍⬛ a bird?", "🐦‍⬛"),
        ("Crowing is what a crow does?", "crow"),
    ],
)
def test_spans_of_llama_decode_to_the_phrase(llama: Any, question: str, concept: str) -> None:
    ids = text_ids(llama, TEMPLATE.replace("{}", question))
    spans = text_spans(llama, ids, asked_about(question, concept))

    def decoded(name: str) -> str:
        text: str = llama.decode([ids[n] for n in spans[name]])
        return text

    assert spans["bos"] == (0,)
    assert spans["last"] == (len(ids) - 1,)
    for name, phrase in (("question", question), ("concept", concept)):
        text, positions = decoded(name), spans[name]
        assert phrase.casefold() in text.casefold()
        for inner in (positions[1:], positions[:-1]):  # no token can be left out
            assert phrase.casefold() not in llama.decode([ids[n] for n in inner]).casefold()
        assert positions == tuple(range(positions[0], positions[-1] + 1))
        assert len(text.strip()) <= len(phrase) + 4


def test_audio_and_continuation_are_not_part_of_the_text(llama: Any) -> None:
    ids = text_ids(llama, "Why? ### Why?")
    new = text_ids(llama, "Why?", add_special_tokens=False)
    together = [*ids[:1], 7, 7, 7, *ids[1:], *new]
    spans = text_spans(
        llama, together, asked_about("Why?"), audio=range(1, 4), n_continuation=len(new)
    )
    alone = text_spans(llama, ids, asked_about("Why?"))
    assert spans["question"] == tuple(n + 3 for n in alone["question"])
    assert spans["last"] == (len(ids) + 2,)
    assert spans["answer"] == tuple(range(len(ids) + 3, len(together)))
    assert spans["concept"] == ()


def test_question_that_is_not_in_the_prompt_raises(llama: Any) -> None:
    with pytest.raises(UnsupportedInputError, match="Expected the question 'How'"):
        text_spans(llama, text_ids(llama, "Why?"), asked_about("How"))


@given(
    before=st.text(max_size=8), phrase=st.text(min_size=1, max_size=4), after=st.text(max_size=8)
)
def test_spans_of_bytes_are_the_bytes_of_the_phrase(before: str, phrase: str, after: str) -> None:
    tokenizer = byte_tokenizer(None)
    question = f"<{before}{phrase}{after}>"
    ids = tokenizer(f"A: {question} B", add_special_tokens=False).input_ids
    positions = text_spans(tokenizer, ids, asked_about(question))["question"]
    start = len(b"A: ")
    assert positions == tuple(range(start, start + len(question.encode())))


def test_options_are_where_the_question_lists_them() -> None:
    tokenizer = byte_tokenizer(None)
    question = "Is a bird call a bird or a fish?"
    ids = tokenizer(question, add_special_tokens=False).input_ids
    prompt = asked_about(question, "", "A bird.", "A fish.", "A cat.")
    positions = text_spans(tokenizer, ids, prompt)["options"]
    assert "".join(question[n] for n in positions) == "a birda fish"
    assert positions[0] == question.rindex("a bird")
    assert text_spans(tokenizer, ids, asked_about(question, "", "Yes.", "No."))["options"] == ()
