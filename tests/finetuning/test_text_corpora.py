"""Passages are read unchanged, losses follow their definition, and leaks are detected."""

import copy
import math
import re
from itertools import combinations
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprobe.concepts import Concepts
from audioprobe.errors import InvalidInputError
from audioprobe.finetuning.text_corpora import (
    TextSet,
    encode_passages,
    mean_text_loss,
    read_texts,
    refuse_leaks,
    text_losses,
)
from audioprobe.models.ltu.trainable import TrainableLTU
from audioprobe.training.answer_loss import AnswerLoss, collate
from audioprobe.training.examples import IGNORED, TrainingExample
from tests.golden_ltu import tiny_net
from tests.tiny_tuning import PROMPTS

TOKENIZER = PROMPTS.tokenizer
SHIPPED = {name: read_texts(name) for name in ("rehearsal", "evaluation")}
TEXTS = ("Bread rises.", "A knot holds, or it does not.", "One.", "Paper came from rags and bark.")
FACTS = (("a crow", "a bird"), ("a bird of prey", "a bird"), ("a church bell", "a bell"))

LINES = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=12)
PASSAGES = st.lists(LINES, min_size=1, max_size=4).map("\n".join)


@settings(max_examples=25, deadline=None)
@given(
    passages=st.lists(PASSAGES, min_size=1, max_size=5),
    blank=st.sampled_from(["\n\n", "\n \t\n\n", "\r\n\r\n"]),
    around=st.sampled_from(["", "\n", "\n\n\n"]),
)
def test_passages_of_a_file_are_read_unchanged(
    passages: list[str], blank: str, around: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "passages.txt"
    path.write_bytes((around + blank.join(passages) + around).encode())
    texts = read_texts(path)
    assert texts == TextSet(str(path), tuple(passages))
    assert texts == read_texts(str(path))


@given(st.lists(PASSAGES, max_size=4), st.lists(PASSAGES, max_size=4))
def test_revision_identifies_the_passages(texts: list[str], others: list[str]) -> None:
    first, second = TextSet("a", tuple(texts)), TextSet("b", tuple(others))
    assert re.fullmatch("[0-9a-f]{16}", first.revision)
    assert (first.revision == second.revision) == (texts == others)
    assert TextSet("a", ("one\n\ntwo",)).revision != TextSet("a", ("one", "two")).revision


def test_byte_order_mark_is_ignored(tmp_path: Any) -> None:
    path = tmp_path / "marked.txt"
    path.write_text("One.", encoding="utf-8-sig")
    assert read_texts(path).passages == ("One.",)


def test_unreadable_file_is_refused(tmp_path: Any) -> None:
    with pytest.raises(
        InvalidInputError, match=r"evaluation, rehearsal.* Did you mean 'evaluation'\?"
    ):
        read_texts("evaluaton")
    with pytest.raises(InvalidInputError, match="expected a file"):
        read_texts(tmp_path)
    path = tmp_path / "latin.txt"
    path.write_bytes("Käse".encode("latin-1"))
    with pytest.raises(InvalidInputError, match=r"latin.txt: not readable as UTF-8"):
        read_texts(path)
    path.write_text(" \n\n\t\n")
    with pytest.raises(InvalidInputError, match="got an empty file"):
        read_texts(path)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_sets_have_forty_short_passages(name: str) -> None:
    passages = SHIPPED[name].passages
    assert len(passages) == 40
    assert all(40 <= len(passage.split()) <= 70 for passage in passages)
    assert all("\n" not in passage for passage in passages)


def test_shipped_passages_have_different_topics() -> None:
    """No two passages share a seventh of their longer words."""
    passages = SHIPPED["rehearsal"].passages + SHIPPED["evaluation"].passages
    words = [set(re.findall(r"[a-z]{5,}", passage.lower())) for passage in passages]
    for first, second in combinations(words, 2):
        assert len(first & second) / len(first | second) < 1 / 7, (first, second)


def shipped_facts() -> list[tuple[str, str]]:
    return [
        (concept.phrase, other)
        for concept in Concepts.shipped()
        for other in (
            *(hypernym.phrase for hypernym in concept.ancestors),
            *(synonym.name for synonym in concept.synonyms),
        )
    ]


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_passages_do_not_leak_shipped_concepts(name: str) -> None:
    passages, facts = SHIPPED[name].passages, shipped_facts()
    assert len(facts) > 300
    refuse_leaks(passages, (), facts)
    # The same call detects an added leak.
    with pytest.raises(InvalidInputError, match=r"1 of 41 texts have 1 such leaks"):
        refuse_leaks([*passages, "Listen. The old violin, or fiddle, is dear."], (), facts)


def test_every_token_of_a_passage_but_the_first_is_a_target() -> None:
    (example,) = encode_passages(["One."], PROMPTS)
    assert TOKENIZER.decode(example.ids) == "<s>One."
    assert (example.n_prompt, example.audio_id) == (1, "")
    (rows,) = collate([example], {}, targets="answer", pad_id=0)
    assert rows.labels.tolist() == [[IGNORED, *example.ids[1:]]]
    (cut,) = encode_passages(["One."], PROMPTS, max_tokens=3)
    assert TOKENIZER.decode(cut.ids) == "<s>On"


def test_text_without_a_target_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="got 1 for '' with max_tokens 108"):
        encode_passages(["One.", ""], PROMPTS)
    for max_tokens in (1, 0, -1):
        with pytest.raises(InvalidInputError, match="raise max_tokens"):
            encode_passages(["One."], PROMPTS, max_tokens=max_tokens)


def tiny_model() -> TrainableLTU:
    return TrainableLTU(tiny_net().eval())


def test_uniform_model_has_the_loss_of_its_vocabulary_size() -> None:
    network = copy.deepcopy(tiny_net())
    torch.nn.init.zeros_(network.llama.lm_head.weight)
    losses = text_losses(TrainableLTU(network), encode_passages(TEXTS, PROMPTS))
    assert [loss.n_tokens for loss in losses] == [len(text) for text in TEXTS]
    assert math.exp(mean_text_loss(losses)) == pytest.approx(200, rel=1e-5)
    assert len(losses) == len(TEXTS)


def test_losses_equal_those_of_transformers() -> None:
    model, examples = tiny_model(), encode_passages(TEXTS, PROMPTS)
    for example, loss in zip(examples, text_losses(model, examples), strict=True):
        ids = torch.tensor([example.ids])
        with torch.no_grad():
            mean = float(model.network.llama(input_ids=ids, labels=ids).loss)
        assert loss.n_tokens == len(example.ids) - 1
        assert loss.nats == pytest.approx(mean * loss.n_tokens, rel=1e-5)


def test_losses_equal_the_training_loss() -> None:
    model, examples = tiny_model(), encode_passages(TEXTS, PROMPTS)
    with torch.no_grad():
        mean = float(AnswerLoss(model)(collate(examples, {}, targets="answer", pad_id=0)))
    assert mean_text_loss(text_losses(model, examples)) == pytest.approx(mean, rel=1e-5)


def test_prompt_tokens_are_not_targets() -> None:
    every, prompt, answer = text_losses(
        tiny_model(),
        [
            TrainingExample((1, 5, 6, 7), 1, ""),
            TrainingExample((1, 5), 1, ""),
            TrainingExample((1, 5, 6, 7), 2, ""),
        ],
    )
    assert answer.n_tokens == 2
    assert answer.nats == pytest.approx(every.nats - prompt.nats, rel=1e-4)


@settings(max_examples=5, deadline=None)
@given(st.permutations(TEXTS), st.integers(1, 6))
def test_neither_batch_size_nor_order_changes_losses(texts: list[str], batch_size: int) -> None:
    model = tiny_model()
    single = {
        text: text_losses(model, encode_passages([text], PROMPTS), batch_size=1)[0]
        for text in TEXTS
    }
    batched = text_losses(model, encode_passages(texts, PROMPTS), batch_size=batch_size)
    for text, loss in zip(texts, batched, strict=True):
        assert loss.n_tokens == single[text].n_tokens
        assert loss.nats == pytest.approx(single[text].nats, abs=1e-4)


def test_training_mode_is_restored_and_dropout_is_off() -> None:
    network = copy.deepcopy(tiny_net()).train()
    network.prefix.eval()
    modes = {name: module.training for name, module in network.named_modules()}
    examples, model = encode_passages(TEXTS, PROMPTS), TrainableLTU(network)
    evaluated = TrainableLTU(copy.deepcopy(network).eval())
    assert text_losses(model, examples) == text_losses(evaluated, examples)
    assert {name: module.training for name, module in network.named_modules()} == modes
    with pytest.raises(IndexError):
        text_losses(model, [TrainingExample((1, 10_000), 1, "")])
    assert {name: module.training for name, module in network.named_modules()} == modes


def test_impossible_arguments_of_text_losses_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="at least 1, got 0"):
        text_losses(tiny_model(), encode_passages(TEXTS, PROMPTS), batch_size=0)
    with pytest.raises(InvalidInputError, match="without audio"):
        text_losses(tiny_model(), [TrainingExample((1, 5), 1, "crow")])
    assert text_losses(tiny_model(), []) == ()


CASES = st.sampled_from([str.lower, str.upper, str.title])
SEPARATORS = st.sampled_from([" ", ", ", " - ", "  ", '" (', "; ", "\n"])
HARMLESS = st.lists(
    st.sampled_from(["Bread rises.", "Why so?", "Birdlike, he ate.", "It scrowled.", "Ring it!"]),
    max_size=3,
).map(" ".join)


def written(data: st.DataObject, words: list[str]) -> str:
    """Words in any case, with punctuation between them that does not end a sentence."""
    spelt = [data.draw(CASES)(word) for word in words]
    return spelt[0] + "".join(data.draw(SEPARATORS) + word for word in spelt[1:])


def leaks(text: str, questions: tuple[str, ...] = (), facts: Any = FACTS) -> bool:
    try:
        refuse_leaks([text], questions, facts)
    except InvalidInputError:
        return True
    return False


@settings(max_examples=25, deadline=None)
@given(st.data(), HARMLESS, HARMLESS)
def test_question_in_a_text_is_detected(data: st.DataObject, before: str, after: str) -> None:
    question = "Is a crow's cry loud?"
    planted = written(data, ["is", "a", "crow's", "cry", "loud"])
    assert leaks(f"{before} {planted}? {after}", (question,), ())
    assert not leaks(f"{before} {planted[:-1]}? {after}", (question,), ())
    assert not leaks(f"{before} {after}", (question,))


@settings(max_examples=25, deadline=None)
@given(
    st.data(),
    HARMLESS,
    HARMLESS,
    st.sampled_from(["crow", "crows"]),
    st.sampled_from(["bird", "birds", "birdes"]),
)
def test_fact_in_a_sentence_is_detected(
    data: st.DataObject, before: str, after: str, concept: str, target: str
) -> None:
    for words in ([concept, "is", "a", target], ["of", target, "a", concept], [target, concept]):
        assert leaks(f"{before} {written(data, words)}. {after}")
        assert not leaks(f"{before} {written(data, words)}. {after}", facts=FACTS[2:])
    for word in (concept, target):
        assert not leaks(f"{before} The {written(data, [word])}! {after}")


@pytest.mark.parametrize(
    ("text", "leaking"),
    [
        ("Birds of prey are birds.", True),
        ("A bird of prey circles.", False),  # one name inside the other
        ("The church bell is the oldest bell.", True),
        ("Two church bells rang.", False),
        ("He saw a crow. The bird left.", False),
        ('"A crow?" The bird left.', False),
        ("He saw a crow\n\nThe bird left", False),
        ("He saw a crow\nThe bird left", True),
        ("The crow, i.e. the bird, left.", True),
        ("A crow's nest is a bird's.", True),
        ("A scarecrow is no bird.", False),
        ("Crowds feed birds.", False),
        ("CROW=BIRD", True),
        ("\uff43row and bird", True),  # a wide letter
        ("", False),
    ],
)
def test_sentence_with_both_names_leaks(text: str, leaking: bool) -> None:
    assert leaks(text) == leaking


def test_plurals_and_hyphens_are_matched() -> None:
    assert leaks("Screams are cries.", facts=[("a scream", "a cry")])
    assert leaks("Brooks are bodies of water.", facts=[("a brook", "a body of water")])
    assert leaks("The tom tom is a drum.", facts=[("a tom-tom", "a drum")])
    assert not leaks("The sea has water.", facts=[("the sea", "a body of water")])


def test_message_names_the_first_leak_and_counts_all() -> None:
    texts = ["All is well.", "A crow is a bird, and a bird of prey is a bird.", "Is it a crow?"]
    with pytest.raises(InvalidInputError) as caught:
        refuse_leaks(texts, ["Is it a crow?"], [*FACTS, *FACTS])
    assert str(caught.value) == (
        "The text 'A crow is a bird, and a bird of prey is a bird.' has both 'a crow' and "
        "'a bird' in one sentence, which the probe asks; 2 of 3 texts have 3 such leaks. "
        "Leave these texts out, or probe other concepts."
    )
    with pytest.raises(InvalidInputError, match="contains the question 'Is it a crow"):
        refuse_leaks(texts[2:], ["Is it a crow?"], FACTS)


def test_question_or_fact_without_words_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"words in a question, got '\?'"):
        refuse_leaks(TEXTS, ["?"], ())
    with pytest.raises(InvalidInputError, match="words in a fact, got '-'"):
        refuse_leaks(TEXTS, (), [("a crow", "-")])
