"""Texts are read as they are, losses are those of the definition, and leaks are found."""

import copy
import math
import re
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprobe.concepts import Concepts
from audioprobe.errors import InvalidInputError
from audioprobe.finetuning.text_corpora import (
    TextLoss,
    TextSet,
    examples_of,
    losses_of,
    perplexity,
    perplexity_ratio,
    read_texts,
    refuse_leaks,
)
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.models.ltu.network import IGNORED
from audioprobe.training.objectives import AnswerLoss
from audioprobe.training.sequences import TrainingExample, collate
from tests.golden_ltu import character_tokenizer, tiny_net

TOKENIZER = character_tokenizer()
SHIPPED = {name: read_texts(name) for name in ("held", "measured")}
TEXTS = ("Bread rises.", "A knot holds, or it does not.", "One.", "Paper came from rags and bark.")
FACTS = (("a crow", "a bird"), ("a bird of prey", "a bird"), ("a church bell", "a bell"))
BOOTSTRAP = Bootstrap(n_resamples=200)

LINES = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=12)
PASSAGES = st.lists(LINES, min_size=1, max_size=4).map("\n".join)
LOSSES = st.builds(TextLoss, st.floats(0.1, 100), st.integers(1, 50))


@settings(max_examples=50, deadline=None)
@given(
    passages=st.lists(PASSAGES, min_size=1, max_size=5),
    blank=st.sampled_from(["\n\n", "\n \t\n\n", "\r\n\r\n"]),
    around=st.sampled_from(["", "\n", "\n\n\n"]),
)
def test_a_file_gives_its_passages_back(
    passages: list[str], blank: str, around: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "passages.txt"
    path.write_bytes((around + blank.join(passages) + around).encode())
    found = read_texts(path)
    assert found == TextSet(str(path), tuple(passages))
    assert found == read_texts(str(path))


@given(st.lists(PASSAGES, max_size=4), st.lists(PASSAGES, max_size=4))
def test_a_revision_pins_the_passages(some: list[str], others: list[str]) -> None:
    first, second = TextSet("a", tuple(some)), TextSet("b", tuple(others))
    assert re.fullmatch("[0-9a-f]{16}", first.revision)
    assert (first.revision == second.revision) == (some == others)
    assert TextSet("a", ("one\n\ntwo",)).revision != TextSet("a", ("one", "two")).revision


def test_a_mark_of_the_encoding_is_no_text(tmp_path: Any) -> None:
    path = tmp_path / "marked.txt"
    path.write_text("One.", encoding="utf-8-sig")
    assert read_texts(path).passages == ("One.",)


def test_what_cannot_be_read_is_refused(tmp_path: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"held, measured.* Did you mean 'measured'\?"):
        read_texts("mesured")
    with pytest.raises(InvalidInputError, match="neither a file"):
        read_texts(tmp_path)
    path = tmp_path / "latin.txt"
    path.write_bytes("Käse".encode("latin-1"))
    with pytest.raises(InvalidInputError, match=r"latin.txt: not readable as UTF-8"):
        read_texts(path)
    path.write_text(" \n\n\t\n")
    with pytest.raises(InvalidInputError, match="no passage"):
        read_texts(path)


@pytest.mark.parametrize("name", SHIPPED)
def test_passages_that_ship_are_forty_and_short(name: str) -> None:
    passages = SHIPPED[name].passages
    assert len(passages) == 40
    assert all(40 <= len(passage.split()) <= 70 for passage in passages)
    assert all("\n" not in passage for passage in passages)


def test_no_passage_is_like_another() -> None:
    """Longer words tell topics: no two passages share a seventh of theirs."""
    passages = SHIPPED["held"].passages + SHIPPED["measured"].passages
    words = [set(re.findall(r"[a-z]{5,}", passage.lower())) for passage in passages]
    for one, other in combinations(words, 2):
        assert len(one & other) / len(one | other) < 1 / 7, (one, other)


def shipped_facts() -> list[tuple[str, str]]:
    return [
        (concept.phrase, other)
        for concept in Concepts.shipped()
        for other in (
            *(rung.phrase for rung in concept.ancestors),
            *(synonym.name for synonym in concept.synonyms),
        )
    ]


@pytest.mark.parametrize("name", SHIPPED)
def test_passages_that_ship_say_nothing_about_concepts_that_ship(name: str) -> None:
    passages, facts = SHIPPED[name].passages, shipped_facts()
    assert len(facts) > 300
    refuse_leaks(passages, (), facts)
    # The same call finds one where there is one.
    with pytest.raises(InvalidInputError, match=r"1 such leaks in 1 of 41 texts"):
        refuse_leaks([*passages, "Listen. The old violin, or fiddle, is dear."], (), facts)


def test_examples_are_text_alone_with_every_token_but_the_first_as_target() -> None:
    (example,) = examples_of(["One."], TOKENIZER)
    assert TOKENIZER.decode(example.ids) == "<s>One."
    assert (example.n_prompt, example.audio_id) == (1, "")
    (rows,) = collate([example], {}, loss="answer", pad=0)
    assert rows.labels.tolist() == [[IGNORED, *example.ids[1:]]]
    (cut,) = examples_of(["One."], TOKENIZER, cutoff=3)
    assert TOKENIZER.decode(cut.ids) == "<s>On"


def test_a_text_with_nothing_to_predict_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="'' has 1 tokens within 108"):
        examples_of(["One.", ""], TOKENIZER)
    for cutoff in (1, 0, -1):
        with pytest.raises(InvalidInputError, match="raise the cutoff"):
            examples_of(["One."], TOKENIZER, cutoff=cutoff)


def test_a_network_that_knows_nothing_has_the_perplexity_of_its_vocabulary() -> None:
    net = copy.deepcopy(tiny_net())
    torch.nn.init.zeros_(net.llama.lm_head.weight)
    losses = losses_of(net, examples_of(TEXTS, TOKENIZER))
    assert [loss.n_tokens for loss in losses] == [len(text) for text in TEXTS]
    found = perplexity(losses, BOOTSTRAP)
    assert (found.value, found.low, found.high) == pytest.approx((200, 200, 200), rel=1e-5)
    assert found.n == len(TEXTS)


def test_losses_are_those_of_transformers() -> None:
    net = tiny_net().eval()
    examples = examples_of(TEXTS, TOKENIZER)
    for example, loss in zip(examples, losses_of(net, examples), strict=True):
        ids = torch.tensor([example.ids])
        with torch.no_grad():
            mean = float(net.llama(input_ids=ids, labels=ids).loss)
        assert loss.n_tokens == len(example.ids) - 1
        assert loss.nats == pytest.approx(mean * loss.n_tokens, rel=1e-5)


def test_losses_are_those_that_training_has() -> None:
    net = tiny_net().eval()
    examples = examples_of(TEXTS, TOKENIZER)
    losses = losses_of(net, examples)
    with torch.no_grad():
        mean = float(AnswerLoss(net)(collate(examples, {}, loss="answer", pad=0)))
    whole = sum(loss.nats for loss in losses) / sum(loss.n_tokens for loss in losses)
    assert whole == pytest.approx(mean, rel=1e-5)


def test_a_question_is_no_target() -> None:
    net = tiny_net().eval()
    (whole,) = losses_of(net, [TrainingExample((1, 5, 6, 7), 1, "")])
    (asked,) = losses_of(net, [TrainingExample((1, 5), 1, "")])
    (answer,) = losses_of(net, [TrainingExample((1, 5, 6, 7), 2, "")])
    assert answer.n_tokens == 2
    assert answer.nats == pytest.approx(whole.nats - asked.nats, rel=1e-5)


@settings(max_examples=10, deadline=None)
@given(st.permutations(TEXTS), st.integers(1, 6))
def test_neither_batches_nor_order_matter(texts: list[str], batch_size: int) -> None:
    alone = {
        text: losses_of(tiny_net(), examples_of([text], TOKENIZER), batch_size=1)[0]
        for text in TEXTS
    }
    together = losses_of(tiny_net(), examples_of(texts, TOKENIZER), batch_size=batch_size)
    for text, loss in zip(texts, together, strict=True):
        assert loss.n_tokens == alone[text].n_tokens
        assert loss.nats == pytest.approx(alone[text].nats, abs=1e-4)


def test_the_network_is_as_before() -> None:
    net = copy.deepcopy(tiny_net()).train()
    net.prefix.eval()
    before = {name: module.training for name, module in net.named_modules()}
    examples = examples_of(TEXTS, TOKENIZER)
    # Dropout of LoRA is off.
    assert losses_of(net, examples) == losses_of(copy.deepcopy(net).eval(), examples)
    assert {name: module.training for name, module in net.named_modules()} == before
    with pytest.raises(IndexError):
        losses_of(net, [TrainingExample((1, 10_000), 1, "")])
    assert {name: module.training for name, module in net.named_modules()} == before


def test_losses_of_what_cannot_be() -> None:
    with pytest.raises(InvalidInputError, match="at least 1, got 0"):
        losses_of(tiny_net(), examples_of(TEXTS, TOKENIZER), batch_size=0)
    with pytest.raises(InvalidInputError, match="without sound"):
        losses_of(tiny_net(), [TrainingExample((1, 5), 1, "crow")])
    assert losses_of(tiny_net(), []) == ()
    assert perplexity([], BOOTSTRAP).value is None


@given(st.lists(LOSSES, min_size=2, max_size=6), st.floats(-0.5, 2))
def test_perplexity_has_its_closed_form(before: list[TextLoss], grown: float) -> None:
    n_tokens = sum(loss.n_tokens for loss in before)
    expected = math.exp(sum(loss.nats for loss in before) / n_tokens)
    found = perplexity(before, BOOTSTRAP)
    assert found.value == pytest.approx(expected)
    # Where every token is as much harder, the quotient has no spread, whatever passages do.
    after = [TextLoss(loss.nats + grown * loss.n_tokens, loss.n_tokens) for loss in before]
    quotient = perplexity_ratio(before, after, BOOTSTRAP)
    assert (quotient.value, quotient.low, quotient.high) == pytest.approx((math.exp(grown),) * 3)
    later = perplexity(after, BOOTSTRAP)
    assert later.value == pytest.approx(expected * math.exp(grown))


def test_a_quotient_is_that_of_both_resampled_together() -> None:
    before = [TextLoss(10.0, 5), TextLoss(30.0, 9), TextLoss(4.0, 3), TextLoss(21.0, 8)]
    after = [TextLoss(12.0, 5), TextLoss(29.0, 9), TextLoss(9.0, 3), TextLoss(22.0, 8)]
    counts = np.concatenate(list(BOOTSTRAP.resamples(4)))
    tokens = counts @ [loss.n_tokens for loss in before]
    both = [np.exp(counts @ [loss.nats for loss in losses] / tokens) for losses in (after, before)]
    found = perplexity_ratio(before, after, BOOTSTRAP)
    assert (found.low, found.high) == pytest.approx(np.quantile(both[0] / both[1], [0.025, 0.975]))


def test_only_the_same_passages_are_compared() -> None:
    one, other = [TextLoss(3.0, 2), TextLoss(5.0, 4)], [TextLoss(3.0, 2), TextLoss(5.0, 3)]
    with pytest.raises(InvalidInputError, match=r"got 2 of \[2, 4\] tokens and 2 of \[2, 3\]"):
        perplexity_ratio(one, other, BOOTSTRAP)
    with pytest.raises(InvalidInputError, match=r"got 2 .* and 1 of"):
        perplexity_ratio(one, one[:1], BOOTSTRAP)
    with pytest.raises(InvalidInputError, match="finite"):
        perplexity([TextLoss(math.nan, 2), *one], BOOTSTRAP)


CASES = st.sampled_from([str.lower, str.upper, str.title])
SEPARATORS = st.sampled_from([" ", ", ", " - ", "  ", '" (', "; ", "\n"])
HARMLESS = st.lists(
    st.sampled_from(["Bread rises.", "Why so?", "Birdlike, he ate.", "It scrowled.", "Ring it!"]),
    max_size=3,
).map(" ".join)


def written(data: st.DataObject, words: list[str]) -> str:
    """Words in any case, with any punctuation between them that ends no sentence."""
    spelt = [data.draw(CASES)(word) for word in words]
    return spelt[0] + "".join(data.draw(SEPARATORS) + word for word in spelt[1:])


def leaks(text: str, questions: tuple[str, ...] = (), facts: Any = FACTS) -> bool:
    try:
        refuse_leaks([text], questions, facts)
    except InvalidInputError:
        return True
    return False


@settings(max_examples=50, deadline=None)
@given(st.data(), HARMLESS, HARMLESS)
def test_a_planted_question_is_found(data: st.DataObject, before: str, after: str) -> None:
    question = "Is a crow's cry loud?"
    planted = written(data, ["is", "a", "crow's", "cry", "loud"])
    assert leaks(f"{before} {planted}? {after}", (question,), ())
    assert not leaks(f"{before} {planted[:-1]}? {after}", (question,), ())
    assert not leaks(f"{before} {after}", (question,))


@settings(max_examples=50, deadline=None)
@given(
    st.data(),
    HARMLESS,
    HARMLESS,
    st.sampled_from(["crow", "crows"]),
    st.sampled_from(["bird", "birds", "birdes"]),
)
def test_a_planted_fact_is_found(
    data: st.DataObject, before: str, after: str, one: str, other: str
) -> None:
    for words in ([one, "is", "a", other], ["of", other, "a", one], [other, one]):
        assert leaks(f"{before} {written(data, words)}. {after}")
        assert not leaks(f"{before} {written(data, words)}. {after}", facts=FACTS[2:])
    for word in (one, other):
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
def test_what_leaks_and_what_does_not(text: str, leaking: bool) -> None:
    assert leaks(text) == leaking


def test_names_of_more_words_and_other_plurals() -> None:
    assert leaks("Screams are cries.", facts=[("a scream", "a cry")])
    assert leaks("Brooks are bodies of water.", facts=[("a brook", "a body of water")])
    assert leaks("The tom tom is a drum.", facts=[("a tom-tom", "a drum")])
    assert not leaks("The sea has water.", facts=[("the sea", "a body of water")])


def test_a_message_says_what_leaks_and_what_to_do() -> None:
    texts = ["All is well.", "A crow is a bird, and a bird of prey is a bird.", "Is it a crow?"]
    with pytest.raises(InvalidInputError) as caught:
        refuse_leaks(texts, ["Is it a crow?"], [*FACTS, *FACTS])
    assert str(caught.value) == (
        "The text 'A crow is a bird, and a bird of prey is a bird.' says both 'a crow' and "
        "'a bird' in one sentence, which the probe asks; there are 3 such leaks in 2 of 3 texts. "
        "Leave these texts out, or probe other concepts."
    )
    with pytest.raises(InvalidInputError, match="contains the question 'Is it a crow"):
        refuse_leaks(texts[2:], ["Is it a crow?"], FACTS)


def test_a_question_or_fact_without_words_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"words in a question, got '\?'"):
        refuse_leaks(TEXTS, ["?"], ())
    with pytest.raises(InvalidInputError, match="words in a fact, got '-'"):
        refuse_leaks(TEXTS, (), [("a crow", "-")])
