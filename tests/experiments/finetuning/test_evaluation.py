"""Weight drift and hidden-state similarity are 0 and 1 without a change, and known where it is."""

import copy
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
import torch
from tests.golden_ltu import tiny_net
from torch import Tensor

from audioprobe.experiments.finetuning.evaluation import (
    mean_states,
    similarities,
    weight_changes,
)
from audioprobe.experiments.finetuning.storage import Measurement
from audioprobe.metrics.similarity import linear_cka
from audioprobe.models.ltu.trainable import TrainableLTU
from audioprobe.training.trainable import (
    GROUPS,
    copy_trainable_weights,
    set_trainable,
    trainable_weights,
)

IDS = [torch.tensor(row) for row in ([1, 5, 6, 7], [1, 8], [1, 9, 30, 31, 32, 33], [1, 50, 60])]


def tiny_model(names: str) -> TrainableLTU:
    model = TrainableLTU(copy.deepcopy(tiny_net()).eval())
    set_trainable(model, names)
    return model


def audio_tokens(model: TrainableLTU) -> Tensor:
    """Projected random features of four clips."""
    prefix = model.network.prefix
    generator = torch.Generator().manual_seed(0)
    width = prefix.encoder.config.width
    pooled = torch.randn(len(IDS), 1, width, generator=generator).expand(-1, 5, -1)
    with torch.no_grad():
        return prefix.project(50 * (pooled + torch.randn(pooled.shape, generator=generator)))


def by_group(changes: list[Measurement]) -> dict[str, Measurement]:
    return {m.measure.removeprefix("weight change: "): m for m in changes}


def similarity(
    before: Sequence[npt.ArrayLike], after: Sequence[npt.ArrayLike]
) -> list[float | tuple[float, ...] | None]:
    measurements = similarities({"text": before}, {"text": after})
    assert [(m.measure, m.item) for m in measurements] == [
        ("similarity: text", str(n)) for n in range(len(before))
    ]
    return [m.value for m in measurements]


def move_projector(model: TrainableLTU) -> None:
    generator = torch.Generator().manual_seed(0)
    weight = model.network.prefix.projection.weight
    with torch.no_grad():
        weight.add_(torch.randn(weight.shape, generator=generator))


def test_untrained_weights_have_no_drift() -> None:
    model = tiny_model("encoder+projector+lora+llm")
    changes = by_group(weight_changes(copy_trainable_weights(model.network), model))
    present = {"encoder", "projector", "lora", "llm"}
    assert list(changes) == [group for group in GROUPS if group in present]
    assert all((m.reference, m.value) == (0.0, 0.0) for m in changes.values())


def test_groups_without_copies_are_left_out() -> None:
    model = tiny_model("projector+lora")
    changes = weight_changes(copy_trainable_weights(model.network), model)
    assert set(by_group(changes)) == {"projector", "lora"}
    assert weight_changes({}, model) == []


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
    expected = Measurement(measure="weight change: lora", value=2.0, reference=10.0)
    assert weight_changes(before, model) == [expected]


def test_relative_drift_of_zero_weights_is_undefined() -> None:
    model = tiny_model("lora")
    name = next(name for name in trainable_weights(model.network) if "lora_B" in name)
    weight = dict(model.network.named_parameters())[name]
    with torch.no_grad():
        weight.fill_(0.5)
    (change,) = weight_changes({name: torch.zeros_like(weight)}, model)
    assert change.value is None
    assert change.reference == pytest.approx(0.5 * math.sqrt(weight.numel()))


def test_moving_the_projector_changes_audio_states_only() -> None:
    model = tiny_model("encoder+projector+lora")
    weights = copy_trainable_weights(model.network)
    text, audio = mean_states(model, IDS), mean_states(model, IDS, audio_tokens(model))
    move_projector(model)
    changes = by_group(weight_changes(weights, model))
    assert changes["projector"].reference != 0.0
    assert (changes["encoder"].reference, changes["lora"].reference) == (0.0, 0.0)
    assert similarity(text, mean_states(model, IDS)) == pytest.approx([1.0] * 3)
    values = similarity(audio, mean_states(model, IDS, audio_tokens(model)))
    assert all(isinstance(value, float) and value < 0.999 for value in values)


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
    values = similarity([*before, np.ones((9, 4))], [*after, after[0]])
    assert values[1] == pytest.approx(1.0)
    for n in (0, 2):
        assert values[n] == linear_cka(before[n], after[n])
    assert values[3] is None
