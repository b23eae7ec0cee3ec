"""Frozen weights in bfloat16: the same steps as with autocast alone, and weights that return."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from audioprobe.devices import bfloat16_mode, computes_in_bfloat16
from audioprobe.training.arguments import TrainingArguments
from audioprobe.training.frozen_weights import FrozenBFloat16, frozen_linear_weights
from audioprobe.training.trainer import train


class TiedModel(nn.Module):
    """A language model of two layers; the matrix of embeddings is also that of the outputs."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.Embedding(11, 8)
        self.frozen = nn.Linear(8, 8)
        self.trained = nn.Linear(8, 8)
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 11, bias=False)
        self.head.weight = self.words.weight
        for layer in (self.words, self.frozen, self.norm):
            layer.requires_grad_(False)

    def forward(self, ids: Tensor) -> Tensor:
        states = self.words(ids)
        states = states + self.frozen(self.norm(states)).relu()
        states = states + self.trained(states).relu()
        return nn.functional.cross_entropy(self.head(states[:-1]).float(), ids[1:])


def gradient(model: TiedModel, ids: Tensor) -> tuple[float, Tensor]:
    """Return the loss and the gradient of the trained layer, computed in bfloat16."""
    model.zero_grad()
    with bfloat16_mode("cpu"):
        loss = model(ids)
    loss.backward()
    assert model.trained.weight.grad is not None
    return float(loss.detach()), model.trained.weight.grad


def test_only_frozen_weights_of_linear_layers_are_copied() -> None:
    model = TiedModel()
    assert [id(w) for w in frozen_linear_weights(model)] == [id(model.frozen.weight)]
    assert not frozen_linear_weights(model.to(torch.bfloat16))


def test_loss_and_gradient_equal_those_of_autocast_bit_for_bit() -> None:
    model, ids = TiedModel(), torch.arange(11) * 3 % 11
    expected_loss, expected = gradient(model, ids)
    with FrozenBFloat16(model).in_use():
        assert model.frozen.weight.dtype == torch.bfloat16
        loss, received = gradient(model, ids)
    assert loss == expected_loss
    assert torch.equal(received, expected)


def test_weights_return_also_after_an_error() -> None:
    model = TiedModel()
    before = model.frozen.weight.detach().clone()
    with pytest.raises(KeyError), FrozenBFloat16(model).in_use():
        raise KeyError
    assert model.frozen.weight.dtype == torch.float32
    assert torch.equal(model.frozen.weight, before)


@pytest.mark.skipif(not computes_in_bfloat16("cpu"), reason="this CPU does not compute in bfloat16")
def test_training_measures_and_saves_weights_in_float32(tmp_path: Path) -> None:
    model, kinds = TiedModel(), set()
    arguments = TrainingArguments(
        steps=3, learning_rate=0.1, warmup_steps=0, precision="bfloat16", save_every=1
    )

    def measure() -> dict[str, float]:
        kinds.add(model.frozen.weight.dtype)
        return {}

    def batch(step: int, process: int, n_processes: int) -> Tensor:
        kinds.add(model.frozen.weight.dtype)
        return torch.arange(11) * (step + 2) % 11

    low = train(model, batch, arguments, tmp_path / "a", measure=measure)
    exact = train(TiedModel(), batch, replace(arguments, precision="float32"), tmp_path / "b")
    assert kinds == {torch.float32}
    assert [entry["loss"] for entry in low] == pytest.approx([e["loss"] for e in exact], rel=0.05)
