"""Logits of the options of a prompt, also of options that begin alike."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.interpretability.tiny_answers import model, question

from audioprobe.errors import InvalidInputError, NonFiniteError
from audioprobe.forward_options import ForwardOptions, ResidualStart
from audioprobe.interpretability.answer_logits import (
    NO_HOOKS,
    AnswerReader,
    AnswerTokens,
    check_same_options,
    log_probabilities,
)

KINDS = ("ltu", "llama")  # tokens are characters, and bytes


def sound(kind: str) -> int | None:
    return None if kind == "llama" else 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("options", "n_shared"),
    [(("Yes", "No"), 0), (("a crow", "a dog", "a bell"), 2), (("No.", "Not"), 2)],
)
def test_tokens_are_the_first_that_differ(
    kind: str, options: tuple[str, ...], n_shared: int
) -> None:
    lm = model(kind)
    tokens = AnswerTokens.of(lm, question(sound(kind), options=options))
    assert "".join(lm.token_texts(tokens.shared)) == options[0][:n_shared]
    assert lm.token_texts(tokens.ids) == [text[n_shared] for text in options]


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("Yes",),
        ("Yes", "Yes"),
        ("No", "No."),  # one ends where the other continues
        ("a crow", "a cow", "a dog"),  # two of three begin alike
    ],
)
def test_options_that_cannot_be_distinguished_are_refused(options: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInputError, match="options"):
        AnswerTokens.of(model("ltu"), question(None, options=options))


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=6), st.floats(-30, 30))
def test_difference_is_against_the_mean_of_the_others(values: list[float], shift: float) -> None:
    tokens = AnswerTokens(tuple(range(3, 3 + len(values))), ())
    logits = torch.zeros(2, 12)
    logits[1, 3 : 3 + len(values)] = torch.tensor(values)
    difference = tokens.difference(logits)
    assert difference.shape == (2,)
    assert float(difference[0]) == 0
    expected = values[0] - np.mean(values[1:])
    assert float(difference[1]) == pytest.approx(expected, abs=1e-4)
    assert float(tokens.difference(logits + shift)[1]) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_difference_of_two_options_is_that_of_their_log_likelihoods(kind: str) -> None:
    """Options that differ in their last character alone have likelihoods that differ there."""
    lm = model(kind)
    item = question(sound(kind), options=("a cow", "a cob"))
    reader = AnswerReader(lm)
    (logits,) = reader.logits([reader.prompt(item)])
    tokens = AnswerTokens.of(lm, item)
    (likelihoods,) = lm.log_likelihood([item.prompt], item.options)
    expected = likelihoods[0].total - likelihoods[1].total
    assert float(tokens.difference(logits)) == pytest.approx(expected, abs=1e-3)
    p = log_probabilities(logits)[list(tokens.ids)]
    assert float(p[0] - p[1]) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_logits_of_a_batch_are_those_of_each_prompt(kind: str) -> None:
    reader = AnswerReader(model(kind))
    items = [
        question(sound(kind), "Is it?", ("Yes", "No")),
        question(None, "Is it a bird or a dog?", ("a dog", "a bird")),
    ]
    continued = [reader.prompt(item) for item in items]
    assert [item.continuation for item in continued] == ["", "a "]
    together = reader.logits(continued)
    for n, item in enumerate(continued):
        torch.testing.assert_close(together[n], reader.logits([item])[0], atol=1e-3, rtol=1e-4)


def test_hooks_and_options_reach_the_forward_pass() -> None:
    lm = model("llama")
    reader = AnswerReader(lm)
    items = [reader.prompt(question(None))]
    states: dict[int, torch.Tensor] = {}
    (plain,) = reader.logits(items, {"lm.resid.0": lambda n, x: states.__setitem__(n, x.clone())})
    start = ForwardOptions(start=ResidualStart(0, [states[0]]))
    torch.testing.assert_close(reader.logits(items, NO_HOOKS, start)[0], plain)
    (changed,) = reader.logits(items, {"lm.resid.0": lambda _, x: x.flip(-1)})
    assert not torch.allclose(changed, plain, atol=1e-2)


def test_log_probabilities_are_normalized_and_finite() -> None:
    values = log_probabilities(torch.tensor([[0.0, 1.0], [90.0, -90.0]], dtype=torch.float16))
    assert values.dtype == torch.float32
    torch.testing.assert_close(values.exp().sum(-1), torch.ones(2))
    with pytest.raises(NonFiniteError):
        log_probabilities(torch.tensor([0.0, torch.nan]))


def test_pairs_need_the_same_options() -> None:
    first, second = question(0), question(1)
    check_same_options([first], [second])
    with pytest.raises(InvalidInputError, match="pair 1"):
        check_same_options([first, first], [second, question(1, options=("No", "Yes"))])
    with pytest.raises(InvalidInputError, match="2 and 1 prompts"):
        check_same_options([first, first], [second])
