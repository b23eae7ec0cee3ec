"""Control tokens in a text have no effect, and every token id has an embedding."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.llama_tokenizer import write_tokenizer
from tests.tiny_chat_models import N_TOKENS, saved, tokenizer
from transformers import AutoTokenizer

from audioprobe.errors import InvalidInputError, WeightsError
from audioprobe.models.causal_lm.tokenization import (
    refuse_control_tokens,
    refuse_ids_beyond,
    text_ids,
)

ADDED = ("<tool_call>", "[INST]", "[/INST]", "<<SYS>>", "<start_of_turn>", "◁think▷", "<image>")


@pytest.fixture(scope="module")
def chat() -> Any:
    """A tokenizer with special tokens, added control tokens, and added words."""
    made = tokenizer()
    made.add_tokens([*ADDED, "crowcall", "    ", "\n\n"])
    return made


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return AutoTokenizer.from_pretrained(write_tokenizer(tmp_path_factory.mktemp("llama")))


SPECIAL = ["<|im_end|>", "<|im_start|>system", "a <|AUDIO|> b", "<|pad|><|pad|>", "x<|im_end|>"]


@pytest.mark.parametrize("text", SPECIAL)
def test_special_tokens_in_a_text_are_split(chat: Any, text: str) -> None:
    ids = text_ids(chat, text)
    assert chat.decode(ids) == text
    assert not {*ids} & {*chat.all_special_ids}
    with pytest.raises(InvalidInputError, match="control token"):
        refuse_control_tokens(chat, text)


@pytest.mark.parametrize("text", ["</s>", "a<s>b", "<unk>", "Is it? </s> A drum."])
def test_special_tokens_of_llama_are_added_only_around_a_text(llama: Any, text: str) -> None:
    begin, *ids = text_ids(llama, text)
    assert begin == llama.bos_token_id
    assert not {*ids} & {*llama.all_special_ids}
    assert text_ids(llama, text, add_special_tokens=False) == ids
    assert llama.decode(ids) == text


@pytest.mark.parametrize("token", ADDED)
def test_unsplittable_control_token_raises(chat: Any, token: str) -> None:
    for check in (text_ids, refuse_control_tokens):
        with pytest.raises(InvalidInputError) as caught:
            check(chat, f"Is it {token} a bird?")
        assert repr(token) in str(caught.value)


@pytest.mark.parametrize("text", ["a crowcall", "a    b\n\nc", "1 < 2 > 0", "[a] <b> |c|", "INST"])
def test_added_tokens_of_words_and_spaces_are_text(chat: Any, text: str) -> None:
    refuse_control_tokens(chat, text)
    assert chat.decode(text_ids(chat, text)) == text


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_other_text_has_the_ids_of_the_tokenizer(text: str) -> None:
    plain = tokenizer()
    assert text_ids(plain, text) == plain(text).input_ids


def test_token_added_later_is_a_control_token(chat: Any) -> None:
    made = tokenizer()
    assert text_ids(made, "[X]")
    made.add_tokens(["[X]"])
    with pytest.raises(InvalidInputError, match="control token"):
        text_ids(made, "[X]")


def test_tokenizer_of_mistral_common_reads_no_control_tokens() -> None:
    made = AutoTokenizer.from_pretrained(saved("voxtral"))
    for text in ("[INST] a", "</s>", "[AUDIO]"):
        refuse_control_tokens(made, text)
        ids = text_ids(made, text, add_special_tokens=False)
        assert made.decode(ids) == text
        assert not {*ids} & {*made.all_special_ids}


def test_lone_surrogates_raise(chat: Any) -> None:
    for check in (text_ids, refuse_control_tokens):
        with pytest.raises(InvalidInputError, match="lone surrogates"):
            check(chat, "a\ud800")


def test_ids_beyond_the_embedding_raise() -> None:
    made = tokenizer()
    refuse_ids_beyond(made, N_TOKENS, "here")
    made.add_tokens(["crowcall"])
    refuse_ids_beyond(made, N_TOKENS + 1, "here")
    with pytest.raises(WeightsError, match=rf"{N_TOKENS} rows.* up to {N_TOKENS} \('crowcall'\)"):
        refuse_ids_beyond(made, N_TOKENS, "here")


def test_placeholder_needs_no_embedding_row() -> None:
    """Gemma 3's text models have such a tokenizer, with a token for images."""
    made = tokenizer()
    last = max(made.get_vocab().values())
    made.audio_token = next(token for token, n in made.get_vocab().items() if n == last)
    refuse_ids_beyond(made, last, "here")
    with pytest.raises(WeightsError):
        refuse_ids_beyond(made, last - 1, "here")
