"""Drift is nothing where nothing moved, known where it is known, and only where something did."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from audioprobe.errors import InvalidInputError
from audioprobe.finetuning.drift import WeightDrift, layer_similarity, states, weight_drift
from audioprobe.metrics.similarity import linear_cka
from audioprobe.models.ltu.audio_prefix import CavMaePrefix
from audioprobe.models.ltu.network import LTUNetwork
from audioprobe.training import checkpointing
from audioprobe.training.objectives import AnswerLoss
from audioprobe.training.trainable import PARTS, Part, set_trainable
from tests.golden_ltu import tiny_net

IDS = [torch.tensor(row) for row in ([1, 5, 6, 7], [1, 8], [1, 9, 30, 31, 32, 33], [1, 50, 60])]


def fresh(*parts: Part) -> LTUNetwork:
    net = copy.deepcopy(tiny_net()).eval()
    set_trainable(net, parts)
    return net


def copied(module: torch.nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in checkpointing.trained(module).items()}


def sounds(net: LTUNetwork) -> Tensor:
    """Audio tokens of four sounds that are unlike each other: what is projected is drawn."""
    assert isinstance(net.prefix, CavMaePrefix)
    generator = torch.Generator().manual_seed(0)
    width = net.prefix.encoder.config.width
    pooled = torch.randn(len(IDS), 1, width, generator=generator).expand(-1, 5, -1)
    with torch.no_grad():
        return net.prefix.project(50 * (pooled + torch.randn(pooled.shape, generator=generator)))


def by_part(drift: tuple[WeightDrift, ...]) -> dict[str, WeightDrift]:
    return {found.part: found for found in drift}


def move_projector(net: LTUNetwork) -> None:
    generator = torch.Generator().manual_seed(0)
    weight = net.prefix.projection.weight
    with torch.no_grad():
        weight.add_(torch.randn(weight.shape, generator=generator))


def test_what_was_not_trained_has_not_moved() -> None:
    net = fresh("encoder", "projector", "lora", "llm")
    before = copied(net)
    drift = weight_drift(before, net)
    assert {found.part for found in drift} == {"encoder", "projector", "lora", "llm"}
    assert [found.part for found in drift] == [part for part in PARTS if part in by_part(drift)]
    for found in drift:
        assert (found.absolute, found.relative) == (0.0, 0.0)
    assert sum(found.n_weights for found in drift) == sum(p.numel() for p in net.parameters())


def test_parts_that_were_not_kept_are_left_out() -> None:
    net = fresh("projector", "lora")
    assert set(by_part(weight_drift(copied(net), net))) == {"projector", "lora"}
    assert weight_drift({}, net) == ()


def test_the_norm_is_the_one_by_hand() -> None:
    net = fresh("lora", "projector")
    names = [name for name in checkpointing.trained(net) if "lora_A" in name][:2]
    weights = dict(net.named_parameters())
    before = {}
    with torch.no_grad():
        for name, value in zip(names, (3.0, 4.0), strict=True):
            weights[name].zero_()
            weights[name][0, 0] = value  # norm 5 together
            before[name] = weights[name].clone()
        weights[names[0]][0, 1] = 6.0
        weights[names[1]][0, 0] = 4.0 + 8.0  # moved by 10 together
    (found,) = weight_drift(before, net)
    n_weights = sum(weights[name].numel() for name in names)
    assert found == WeightDrift("lora", 10.0, 2.0, n_weights)


def test_what_was_nothing_has_no_relative_drift() -> None:
    net = fresh("lora")
    name = next(name for name in checkpointing.trained(net) if "lora_B" in name)
    weight = dict(net.named_parameters())[name]
    with torch.no_grad():
        weight.fill_(0.5)
    (found,) = weight_drift({name: torch.zeros_like(weight)}, net)
    assert found.relative is None
    assert found.absolute == pytest.approx(0.5 * math.sqrt(weight.numel()))


def test_a_loss_tells_the_parts_of_its_network() -> None:
    net = fresh("projector", "lora")
    loss = AnswerLoss(net)
    alone, within = copied(net), copied(loss)
    assert alone.keys() != within.keys()
    move_projector(net)
    assert weight_drift(within, loss) == weight_drift(alone, net)


def test_moving_the_projector_moves_sounds_and_not_texts() -> None:
    net = fresh("encoder", "projector", "lora")
    weights = copied(net)
    texts, heard = states(net, IDS), states(net, IDS, sounds(net))
    move_projector(net)
    drift = by_part(weight_drift(weights, net))
    assert drift["projector"].absolute > 0
    assert (drift["encoder"].absolute, drift["lora"].absolute) == (0.0, 0.0)
    assert layer_similarity(texts, states(net, IDS)) == pytest.approx([1.0] * 3)
    moved = layer_similarity(heard, states(net, IDS, sounds(net)))
    assert all(value is not None and value < 0.999 for value in moved)


def test_an_untouched_network_says_the_same_again() -> None:
    net = fresh("projector")
    heard = sounds(net)
    for audio in (None, heard):
        again = layer_similarity(states(net, IDS, audio), states(net, IDS, audio))
        assert again == pytest.approx([1.0] * 3)


def test_states_are_the_means_of_hidden_states() -> None:
    net = fresh("projector")
    heard = sounds(net)
    texts, sound = states(net, IDS), states(net, IDS, heard)
    width = net.llama.config.hidden_size
    assert [(layer.shape, layer.dtype) for layer in texts + sound] == [
        ((4, width), np.dtype("float32"))
    ] * 6
    with torch.no_grad():
        for n, item in enumerate(IDS):
            embedded = net.llama.get_input_embeddings()(item[None])
            last = net.llama.model(inputs_embeds=embedded).last_hidden_state
            torch.testing.assert_close(torch.tensor(texts[0][n]), embedded[0].mean(0))
            torch.testing.assert_close(torch.tensor(texts[-1][n]), last[0].mean(0))
            joined = net.embed(item[None], heard[n : n + 1])
            last = net.llama.model(inputs_embeds=joined).last_hidden_state
            expected = last[0, : heard.shape[1]].mean(0)
            torch.testing.assert_close(torch.tensor(sound[-1][n]), expected)
            torch.testing.assert_close(torch.tensor(sound[0][n]), heard[n].mean(0))


def test_an_item_does_not_depend_on_the_others_nor_a_sound_on_its_text() -> None:
    net = fresh("projector")
    heard = sounds(net)
    together = states(net, IDS, heard)
    for n, item in enumerate(IDS):
        alone = states(net, [item], heard[n : n + 1])
        other_text = states(net, [torch.tensor([1, 77, 78])], heard[n : n + 1])
        for layer in range(3):
            np.testing.assert_array_equal(alone[layer][0], together[layer][n])
            np.testing.assert_allclose(other_text[layer][0], together[layer][n], atol=1e-5)


def test_the_mode_is_left_as_it_was_and_there_is_no_dropout() -> None:
    net = fresh("lora")
    expected = states(net, IDS)
    net.train()
    net.prefix.eval()
    modes = {name: module.training for name, module in net.named_modules()}
    for layer, found in zip(expected, states(net, IDS), strict=True):
        np.testing.assert_array_equal(layer, found)
    assert {name: module.training for name, module in net.named_modules()} == modes
    with pytest.raises(IndexError):
        states(net, [torch.tensor([10_000])])  # not in the vocabulary
    assert {name: module.training for name, module in net.named_modules()} == modes


def test_layers_are_compared_one_by_one() -> None:
    rng = np.random.default_rng(0)
    before, after = rng.normal(size=(2, 3, 9, 4))
    after[1] = before[1]
    found = layer_similarity([*before, np.ones((9, 4))], [*after, after[0]])
    assert found[1] == pytest.approx(1.0)
    for n in (0, 2):
        assert found[n] == linear_cka(before[n], after[n])
    assert found[3] is None


def test_what_cannot_be_compared_is_refused() -> None:
    net = fresh("projector", "lora")
    name, tensor = next(iter(copied(net).items()))
    with pytest.raises(InvalidInputError, match="clone it"):
        weight_drift(checkpointing.trained(net), net)
    with pytest.raises(InvalidInputError, match=r"has shape .* got \(3,\)"):
        weight_drift({name: torch.zeros(3)}, net)
    with pytest.raises(InvalidInputError, match="nowhere is no parameter"):
        weight_drift({"nowhere": tensor}, net)
    with pytest.raises(InvalidInputError, match="no parameter of an LTU"):
        weight_drift({"weight": torch.zeros(2, 2)}, torch.nn.Linear(2, 2))
    for ids in ([], [torch.tensor([[1]])], [torch.tensor([], dtype=torch.long)]):
        with pytest.raises(InvalidInputError, match="items of token ids"):
            states(net, ids)
    for audio in (sounds(net)[:3], sounds(net)[0], sounds(net)[:, :0]):
        with pytest.raises(InvalidInputError, match=r"shape \(4, n_audio, hidden\)"):
            states(net, IDS, audio)
    with pytest.raises(InvalidInputError, match="same layers twice, got 1 and 0"):
        layer_similarity([np.ones((4, 2))], [])
