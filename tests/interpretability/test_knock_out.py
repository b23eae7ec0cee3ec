"""Knock-out of attention edges, and random edges as a control."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.interpretability.tiny_answers import model, question, values_of

from audioprobe.errors import InvalidInputError
from audioprobe.forward_options import ForwardOptions
from audioprobe.interpretability.answer_logits import NO_HOOKS, AnswerReader, AnswerTokens
from audioprobe.interpretability.attention_edges import (
    EDGES,
    edge_mask,
    edge_positions,
    random_connections,
)
from audioprobe.interpretability.knock_out import CONTROL, knock_out, layer_windows
from audioprobe.sites import PromptLayout, TimeAxis

AUDIO = (0, 1, 3)
QUESTIONS = [question(0), question(1, "Is it rain, or a crow?"), question(None), question(2)]
CONCEPTS = ("crow", "rain", "crow", "dog")


@pytest.mark.parametrize("kind", ["ltu", pytest.param("qwen2-audio", marks=pytest.mark.slow)])
def test_effects_are_those_of_blocked_passes_from_the_beginning(kind: str) -> None:
    lm = model(kind)
    effects = knock_out(lm, QUESTIONS, CONCEPTS, window=1, batch_size=3)
    assert [place.site for place in effects.logit_difference.places[::3]] == [
        "lm.edge.0",
        "lm.edge.1",
    ]
    assert not effects.failures
    reader = AnswerReader(lm)
    for n in AUDIO[:2]:
        prompt = reader.prompt(QUESTIONS[n])
        tokens = AnswerTokens.of(lm, QUESTIONS[n])
        (plain,) = reader.logits([prompt])
        assert effects.baseline[n] == pytest.approx(float(tokens.difference(plain)), abs=1e-4)
        for column, place in enumerate(effects.logit_difference.places):
            edge = tuple(place.span.split(" -> "))
            mask = torch.from_numpy(edge_mask(lm.layout(prompt), (edge[0], edge[1])))
            layer = int(place.site.removeprefix("lm.edge."))
            options = ForwardOptions(blocked={layer: [mask]})
            (logits,) = reader.logits([prompt], NO_HOOKS, options)
            change = float(tokens.difference(logits) - tokens.difference(plain))
            values = effects.logit_difference.values[n, column]
            assert values == pytest.approx(change, abs=1e-4), place
            p = [float(x.softmax(-1)[tokens.ids[0]]) for x in (plain, logits)]
            relative = effects.probability.values[n, column]
            assert relative == pytest.approx(p[1] / p[0] - 1, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("kind", ["ltu", pytest.param("voxtral", marks=pytest.mark.slow)])
def test_edges_to_other_positions_have_no_effect_in_the_last_layer(kind: str) -> None:
    effects = knock_out(model(kind), [QUESTIONS[n] for n in AUDIO], "abc", window=1)
    last = effects.logit_difference.at(sites=["lm.edge.1"])
    np.testing.assert_allclose(last.at(span="audio -> question").values, 0, atol=1e-4)
    assert (abs(last.at(span="audio -> last").values) > 1e-3).all()
    first = effects.logit_difference.at(sites=["lm.edge.0"])
    assert (abs(first.at(span="audio -> question").values) > 1e-3).all()


def test_values_do_not_depend_on_batches_or_order() -> None:
    lm = model("ltu")
    together = values_of(knock_out(lm, QUESTIONS, CONCEPTS))
    alone = values_of(knock_out(lm, QUESTIONS[::-1], CONCEPTS[::-1], batch_size=1))[::-1]
    np.testing.assert_allclose(together, alone, atol=2e-4)


def test_random_edges_depend_on_the_seed_alone() -> None:
    lm, items = model("ltu"), QUESTIONS[:2]
    curves = [
        knock_out(lm, items, "ab", edges=EDGES[:1], seed=seed).logit_difference
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(curves[0].controls[CONTROL], curves[1].controls[CONTROL])
    assert (curves[0].controls[CONTROL] != curves[2].controls[CONTROL]).any()
    np.testing.assert_array_equal(curves[0].values, curves[2].values)


def test_prompts_without_an_edge_are_undefined_and_failures_are_listed() -> None:
    items = [*QUESTIONS, question(3, options=()), question(4, options=("Yes", "Yes"))]
    effects = knock_out(model("ltu"), items, "aabbcc", batch_size=4)
    undefined = np.isnan(effects.logit_difference.values)
    assert undefined[2].tolist() == [
        place.span.startswith("audio") for place in effects.logit_difference.places
    ]
    assert not undefined[[0, 1, 3]].any()
    assert set(effects.failures) == {4, 5}
    assert undefined[4:].all()
    assert np.isnan(effects.baseline).tolist() == [False] * 4 + [True] * 2
    assert effects.logit_difference.items[0] == "0: Is it a crow?"
    assert "2 prompts failed" in repr(effects)


def test_windows_have_equal_lengths() -> None:
    assert layer_windows(30) == [range(n, n + 7) for n in range(24)]
    assert layer_windows(2) == [range(1), range(1, 2)]
    assert layer_windows(10, 4, 3) == [range(4), range(3, 7), range(6, 10)]
    for window, stride in ((0, 1), (3, 1), (1, 0)):
        with pytest.raises(InvalidInputError):
            layer_windows(2, window, stride)


def test_impossible_arguments_are_refused() -> None:
    lm = model("ltu")
    with pytest.raises(InvalidInputError, match="one concept per prompt"):
        knock_out(lm, QUESTIONS, "ab")
    with pytest.raises(InvalidInputError, match="Did you mean 'audio'"):
        knock_out(lm, QUESTIONS, CONCEPTS, edges=[("audi", "last")])
    with pytest.raises(InvalidInputError, match="at least one edge"):
        knock_out(lm, QUESTIONS, CONCEPTS, edges=[])


def test_the_last_position_includes_the_beginning_that_all_options_share() -> None:
    reader = AnswerReader(model("ltu"))
    item = question(0, options=("A crow", "A dog"))  # a tokenizer of characters: "A " is shared
    layout = model("ltu").layout(reader.prompt(item))
    _, queries = edge_positions(layout, ("audio", "last"))
    assert queries == list(range(layout.n_tokens - 3, layout.n_tokens))
    _, queries = edge_positions(layout, ("audio", "question"))
    assert len(queries) == len("Is it a crow?")


@st.composite
def masks(draw: st.DrawFn) -> np.ndarray:
    n = draw(st.integers(2, 14))
    positions = st.lists(st.integers(0, n - 1), max_size=n, unique=True)
    text = {"question": tuple(draw(positions)), "last": (n - 1,)}
    n_audio = draw(st.integers(0, n))
    axis = {"lm": TimeAxis(n_audio, 1.0, draw(st.integers(0, n - n_audio)))}
    layout = PromptLayout(n_tokens=n, text=text, axes=axis, duration=9.0)
    return edge_mask(layout, draw(st.sampled_from(EDGES)))


@given(masks(), st.integers(0, 5))
def test_random_edges_are_causal_disjoint_and_as_many(mask: np.ndarray, seed: int) -> None:
    control = random_connections(mask, np.random.default_rng(seed))
    assert not (control & mask).any()
    assert not np.triu(control).any()
    assert not np.triu(mask).any()
    wanted, drawn = (sorted(m.sum(axis=1)[m.any(axis=1)]) for m in (mask, control))
    assert len(drawn) <= len(wanted)
    assert sum(drawn) <= sum(wanted)
    others = (np.tri(len(mask), k=-1, dtype=bool) & ~mask).sum(axis=1)
    if wanted and (others >= wanted[-1]).sum() >= len(wanted):
        assert drawn == wanted  # enough queries with enough keys
