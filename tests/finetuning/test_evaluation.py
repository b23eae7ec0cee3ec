"""Weight drift and hidden-state similarity are 0 and 1 without a change, and known where it is."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from audioprobe.errors import InvalidInputError
from audioprobe.finetuning.evaluation import (
    WeightDrift,
    layer_similarity,
    mean_states,
    weight_drift,
)
from audioprobe.metrics.similarity import linear_cka
from audioprobe.models.ltu.audio_prefix import CavMaePrefix
from audioprobe.models.ltu.trainable import TrainableLTU
from audioprobe.training.trainable import (
    GROUPS,
    copy_trainable_weights,
    set_trainable,
    trainable_weights,
)
from tests.golden_ltu import tiny_net

IDS = [torch.tensor(row) for row in ([1, 5, 6, 7], [1, 8], [1, 9, 30, 31, 32, 33], [1, 50, 60])]


def tiny_model(names: str) -> TrainableLTU:
    model = TrainableLTU(copy.deepcopy(tiny_net()).eval())
    set_trainable(model, names)
    return model


def audio_tokens(model: TrainableLTU) -> Tensor:
    """Projected random features of four clips."""
    prefix = model.network.prefix
    assert isinstance(prefix, CavMaePrefix)
    generator = torch.Generator().manual_seed(0)
    width = prefix.encoder.config.width
    pooled = torch.randn(len(IDS), 1, width, generator=generator).expand(-1, 5, -1)
    with torch.no_grad():
        return prefix.project(50 * (pooled + torch.randn(pooled.shape, generator=generator)))


def by_group(drift: tuple[WeightDrift, ...]) -> dict[str, WeightDrift]:
    return {entry.group: entry for entry in drift}


def move_projector(model: TrainableLTU) -> None:
    generator = torch.Generator().manual_seed(0)
    weight = model.network.prefix.projection.weight
    with torch.no_grad():
        weight.add_(torch.randn(weight.shape, generator=generator))


def test_untrained_weights_have_no_drift() -> None:
    model = tiny_model("encoder+projector+lora+llm")
    drift = weight_drift(copy_trainable_weights(model.network), model)
    present = {"encoder", "projector", "lora", "llm"}
    assert [entry.group for entry in drift] == [group for group in GROUPS if group in present]
    assert all((entry.absolute, entry.relative) == (0.0, 0.0) for entry in drift)
    n_weights = sum(p.numel() for p in model.network.parameters())
    assert sum(entry.n_weights for entry in drift) == n_weights


def test_groups_without_copies_are_left_out() -> None:
    model = tiny_model("projector+lora")
    drift = weight_drift(copy_trainable_weights(model.network), model)
    assert set(by_group(drift)) == {"projector", "lora"}
    assert weight_drift({}, model) == ()


def test_drift_is_the_norm_of_the_change() -> None:
    model = tiny_model("lora+projector")
    names = [name for name in trainable_weights(model.network) if "lora_A" in name][:2]
    weights = dict(model.network.named_parameters())
    before = {}
    with torch.no_grad():
        for name, entry in zip(names, (3.0, 4.0), strict=True):
            weights[name].zero_()
            weights[name][0, 0] = entry  # norm 5 together
            before[name] = weights[name].clone()
        weights[names[0]][0, 1] = 6.0
        weights[names[1]][0, 0] = 4.0 + 8.0  # changed by 10 together
    n_weights = sum(weights[name].numel() for name in names)
    assert weight_drift(before, model) == (WeightDrift("lora", 10.0, 2.0, n_weights),)


def test_relative_drift_of_zero_weights_is_undefined() -> None:
    model = tiny_model("lora")
    name = next(name for name in trainable_weights(model.network) if "lora_B" in name)
    weight = dict(model.network.named_parameters())[name]
    with torch.no_grad():
        weight.fill_(0.5)
    (entry,) = weight_drift({name: torch.zeros_like(weight)}, model)
    assert entry.relative is None
    assert entry.absolute == pytest.approx(0.5 * math.sqrt(weight.numel()))


def test_moving_the_projector_changes_audio_states_only() -> None:
    model = tiny_model("encoder+projector+lora")
    weights = copy_trainable_weights(model.network)
    text, audio = mean_states(model, IDS), mean_states(model, IDS, audio_tokens(model))
    move_projector(model)
    drift = by_group(weight_drift(weights, model))
    assert drift["projector"].absolute > 0
    assert (drift["encoder"].absolute, drift["lora"].absolute) == (0.0, 0.0)
    assert layer_similarity(text, mean_states(model, IDS)) == pytest.approx([1.0] * 3)
    similarity = layer_similarity(audio, mean_states(model, IDS, audio_tokens(model)))
    assert all(entry is not None and entry < 0.999 for entry in similarity)


def test_mean_states_are_the_means_of_hidden_states() -> None:
    model = tiny_model("projector")
    tokens, llama = audio_tokens(model), model.network.llama
    text, audio = mean_states(model, IDS), mean_states(model, IDS, tokens)
    width = llama.config.hidden_size
    assert [(layer.shape, layer.dtype) for layer in text + audio] == [
        ((4, width), np.dtype("float32"))
    ] * 6
    with torch.no_grad():
        for n, item in enumerate(IDS):
            embedded = llama.get_input_embeddings()(item[None])
            last = llama.model(inputs_embeds=embedded).last_hidden_state
            torch.testing.assert_close(torch.tensor(text[0][n]), embedded[0].mean(0))
            torch.testing.assert_close(torch.tensor(text[-1][n]), last[0].mean(0))
            joined = torch.cat([tokens[n : n + 1], embedded], 1)
            last = llama.model(inputs_embeds=joined).last_hidden_state
            expected = last[0, : tokens.shape[1]].mean(0)
            torch.testing.assert_close(torch.tensor(audio[-1][n]), expected)
            torch.testing.assert_close(torch.tensor(audio[0][n]), tokens[n].mean(0))


def test_states_depend_neither_on_other_items_nor_on_the_following_text() -> None:
    model = tiny_model("projector")
    tokens = audio_tokens(model)
    together = mean_states(model, IDS, tokens)
    for n, item in enumerate(IDS):
        single = mean_states(model, [item], tokens[n : n + 1])
        other_text = mean_states(model, [torch.tensor([1, 77, 78])], tokens[n : n + 1])
        for layer in range(3):
            np.testing.assert_array_equal(single[layer][0], together[layer][n])
            np.testing.assert_allclose(other_text[layer][0], together[layer][n], atol=1e-5)


def test_training_mode_is_restored_and_dropout_is_off() -> None:
    model = tiny_model("lora")
    expected = mean_states(model, IDS)
    model.network.train()
    model.network.prefix.eval()
    modes = {name: module.training for name, module in model.network.named_modules()}
    for layer, states in zip(expected, mean_states(model, IDS), strict=True):
        np.testing.assert_array_equal(layer, states)
    assert {name: m.training for name, m in model.network.named_modules()} == modes
    with pytest.raises(IndexError):
        mean_states(model, [torch.tensor([10_000])])  # not in the vocabulary
    assert {name: m.training for name, m in model.network.named_modules()} == modes


def test_layers_are_compared_one_by_one() -> None:
    rng = np.random.default_rng(0)
    before, after = rng.normal(size=(2, 3, 9, 4))
    after[1] = before[1]
    similarity = layer_similarity([*before, np.ones((9, 4))], [*after, after[0]])
    assert similarity[1] == pytest.approx(1.0)
    for n in (0, 2):
        assert similarity[n] == linear_cka(before[n], after[n])
    assert similarity[3] is None


def test_incomparable_inputs_are_refused() -> None:
    model = tiny_model("projector+lora")
    weights = trainable_weights(model.network)
    name, tensor = next(iter(copy_trainable_weights(model.network).items()))
    with pytest.raises(InvalidInputError, match="copy it"):
        weight_drift(weights, model)
    with pytest.raises(InvalidInputError, match=r"has shape .* got shape \(3,\)"):
        weight_drift({name: torch.zeros(3)}, model)
    with pytest.raises(InvalidInputError, match="nowhere is not a parameter"):
        weight_drift({"nowhere": tensor}, model)
    for ids in ([], [torch.tensor([[1]])], [torch.tensor([], dtype=torch.long)]):
        with pytest.raises(InvalidInputError, match="at least one item"):
            mean_states(model, ids)
    tokens = audio_tokens(model)
    for audio in (tokens[:3], tokens[0], tokens[:, :0]):
        with pytest.raises(InvalidInputError, match=r"shape \(4, n_audio, hidden\)"):
            mean_states(model, IDS, audio)
    with pytest.raises(InvalidInputError, match="same layers before and after, got 1 and 0"):
        layer_similarity([np.ones((4, 2))], [])
