"""Attention mass and norm-weighted contribution along edges."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.interpretability.tiny_answers import model, new_ltu, question
from torch import nn

from audioprobe.errors import InvalidInputError, NonFiniteError
from audioprobe.forward_options import AttentionStates
from audioprobe.interpretability.answer_logits import AnswerReader
from audioprobe.interpretability.attention_edges import edge_positions
from audioprobe.interpretability.attention_use import CONTROL, attention_use, edge_use
from audioprobe.models.chat.inspection import ChatInspector
from audioprobe.models.chat.model import TransformersLM

QUESTIONS = [question(0), question(1, "Is it rain?"), question(None)]


def attention(n: int, n_heads: int, seed: int, bias: bool = False) -> AttentionStates:
    """Return random causal attention with a random projection."""
    random = torch.Generator().manual_seed(seed)
    scores = torch.randn(n_heads, n, n, generator=random)
    scores = scores.masked_fill(~torch.ones(n, n).tril().bool(), float("-inf"))
    values = torch.randn(n_heads, n, 4, generator=random)
    weight = torch.randn(4 * n_heads, 6, generator=random)
    return AttentionStates(scores.softmax(-1), values, lambda x: x @ weight)


@given(st.integers(2, 8), st.integers(1, 3), st.integers(0, 20), st.data())
def test_measures_are_those_of_explicit_sums(
    n: int, n_heads: int, seed: int, data: st.DataObject
) -> None:
    states = attention(n, n_heads, seed)
    keys = sorted(data.draw(st.sets(st.integers(0, n - 1), min_size=1)))
    queries = sorted(data.draw(st.sets(st.integers(keys[0], n - 1), min_size=1)))
    masses, shares = [], []
    for query in queries:
        vectors = np.array(
            [
                sum(
                    states.project(
                        torch.cat(
                            [
                                (states.weights[h, query, j] * states.values[h, j])
                                * (1.0 if h == head else 0.0)
                                for h in range(n_heads)
                            ]
                        )
                    ).numpy()
                    for head in range(n_heads)
                )
                for j in range(n)
            ]
        )
        inside = np.linalg.norm(vectors[keys].sum(axis=0))
        outside = np.linalg.norm(vectors[[j for j in range(n) if j not in keys]].sum(axis=0))
        shares.append(inside / (inside + outside))
        masses.append(float(states.weights[:, query, keys].sum(-1).mean()))
    measures = edge_use(states, keys, queries)
    assert measures[0, 0] == pytest.approx(np.mean(masses), abs=1e-5)
    assert measures[1, 0] == pytest.approx(np.mean(shares), abs=1e-4)
    uniform = np.mean([sum(key <= q for key in keys) / (q + 1) for q in queries])
    assert measures[0, 1] == pytest.approx(uniform, abs=1e-6)


def test_attention_to_a_short_value_is_high_and_contributes_nothing() -> None:
    weights = torch.tensor([[[1.0, 0, 0], [0.9, 0.1, 0], [0.9, 0.05, 0.05]]])
    values = torch.tensor([[[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]]])
    states = AttentionStates(weights, values, lambda x: x)
    mass, contribution = edge_use(states, [0], [2])
    assert mass == pytest.approx([0.9, 1 / 3])
    assert contribution == pytest.approx([0, 0])
    mass, contribution = edge_use(states, [1], [2])
    assert mass[0] == pytest.approx(0.05)
    assert contribution == pytest.approx([3 / 7, 3 / 7])
    assert np.isnan(edge_use(states, [0], [0])[1]).all()  # no contribution at all: 0 / 0
    with pytest.raises(NonFiniteError):
        edge_use(AttentionStates(weights * torch.nan, values, lambda x: x), [0], [2])


def test_mass_is_that_of_the_weights_of_transformers() -> None:
    lm = model("qwen2-audio")
    assert isinstance(lm, TransformersLM)
    use = attention_use(lm, QUESTIONS, "abc", batch_size=2)
    assert not use.failures
    net, inspector = lm._net, lm._inspector
    assert isinstance(inspector, ChatInspector)
    for n in (0, 1):
        item = AnswerReader(lm).prompt(QUESTIONS[n])
        inputs = inspector._on_device(inspector._tokenize(item).inputs)
        net.set_attn_implementation("eager")
        with torch.inference_mode():
            layers = net(**inputs, use_cache=False, output_attentions=True).attentions
        net.set_attn_implementation("sdpa")
        for column, place in enumerate(use.mass.places):
            keys, queries = edge_positions(lm.layout(item), tuple(place.span.split(" -> ")))  # type: ignore[arg-type]
            weights = layers[int(place.site.removeprefix("lm.attn."))][0]
            expected = float(weights[:, queries][:, :, keys].sum(-1).mean())
            assert use.mass.values[n, column] == pytest.approx(expected, abs=1e-5)


def test_attention_without_preference_equals_its_control() -> None:
    lm = new_ltu()
    for layer in lm._net.llama.model.layers:
        for parameter in layer.self_attn.q_proj.parameters():  # weight and LoRA
            nn.init.zeros_(parameter)
    use = attention_use(lm, QUESTIONS, "abc", layers=[1])
    for curve in (use.mass, use.contribution):
        assert {place.site for place in curve.places} == {"lm.attn.1"}
        defined = ~np.isnan(curve.values)
        assert defined.sum() == 7  # the prompt without audio has one of three edges
        np.testing.assert_allclose(curve.values, curve.controls[CONTROL], atol=1e-5)
    trained = attention_use(model("ltu"), QUESTIONS, "abc", layers=[1])
    assert (abs(trained.mass.values - trained.mass.controls[CONTROL])[0] > 1e-4).all()


def test_a_model_whose_attention_cannot_be_read_has_only_failures() -> None:
    use = attention_use(model("phi4"), QUESTIONS[:2], "ab")
    assert set(use.failures) == {0, 1}
    assert "v_proj" in use.failures[0]
    assert np.isnan(use.mass.values).all()
    assert "2 prompts failed" in repr(use)


def test_unknown_layers_are_refused() -> None:
    for layers in ([2], [-1], []):
        with pytest.raises(InvalidInputError, match="layer from 0 to 1"):
            attention_use(model("ltu"), QUESTIONS, "abc", layers=layers)
