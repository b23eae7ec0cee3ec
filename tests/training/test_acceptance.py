"""Training with acceptance ends with the last accepted weights."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.training.test_trainer import (
    KilledError,
    LineFit,
    are_equal,
    batch_at,
    killed_at,
    weights,
)
from torch import Tensor, nn

from audioprobe.errors import InvalidInputError, TrainingError
from audioprobe.training.arguments import TrainingArguments
from audioprobe.training.trainable import load_trainable_weights
from audioprobe.training.trainer import LOG, STATE, load_state, train

ARGUMENTS = TrainingArguments(steps=20, learning_rate=1e-2, warmup_steps=2, save_every=4)
EVALUATIONS = (4, 8, 12, 16, 20)


def rejecting(
    rejected: int, module: nn.Module, seen: dict[int, list[Tensor]]
) -> Callable[[int], bool]:
    """Reject the weights of one evaluation, and store those of all."""

    def accept(step: int) -> bool:
        assert not module.training
        seen[step] = weights(module)
        return step != rejected

    return accept


@pytest.mark.parametrize("rejected", EVALUATIONS[1:])
def test_rejected_weights_are_replaced_by_the_previous_ones(tmp_path: Path, rejected: int) -> None:
    module = LineFit()
    seen: dict[int, list[Tensor]] = {}
    accept = rejecting(rejected, module, seen)
    history = train(module, batch_at, ARGUMENTS, tmp_path, accept=accept)
    assert list(seen) == list(range(4, rejected + 1, 4))
    assert are_equal(weights(module), seen[rejected - 4])
    assert not are_equal(seen[rejected], seen[rejected - 4])
    assert [entry["step"] for entry in history] == list(range(rejected - 4))
    assert [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()] == history
    assert load_state(tmp_path / STATE)["step"] == rejected - 4


def test_first_rejection_restores_the_initial_weights(tmp_path: Path) -> None:
    module = LineFit()
    before = weights(module)
    assert train(module, batch_at, ARGUMENTS, tmp_path, accept=lambda _: False) == []
    assert are_equal(weights(module), before)
    assert not (tmp_path / STATE).exists()


def test_acceptance_does_not_change_training(tmp_path: Path) -> None:
    """Neither the evaluation nor the random numbers that it draws."""
    accepted, plain = LineFit(), LineFit()

    def accept(_: int) -> bool:
        return bool(torch.rand(7).sum() > -1)

    history = train(accepted, batch_at, ARGUMENTS, tmp_path / "a", accept=accept)
    expected = train(plain, batch_at, ARGUMENTS, tmp_path / "b")
    assert are_equal(weights(accepted), weights(plain))
    assert [entry["loss"] for entry in history] == [entry["loss"] for entry in expected]


@settings(max_examples=6, deadline=None)
@given(
    rejected=st.sampled_from(EVALUATIONS),
    kills=st.lists(st.integers(0, 19), min_size=1, max_size=3),
)
def test_interrupted_training_ends_at_the_same_evaluation(
    tmp_path_factory: pytest.TempPathFactory, rejected: int, kills: list[int]
) -> None:
    plain, folder = LineFit(), tmp_path_factory.mktemp("killed")
    once = tmp_path_factory.mktemp("once")
    train(plain, batch_at, ARGUMENTS, once, accept=rejecting(rejected, plain, {}))
    for step in kills:
        module = LineFit()
        accept = rejecting(rejected, module, {})
        try:
            train(module, killed_at(step), ARGUMENTS, folder, accept=accept)
        except KilledError:
            continue
    module = LineFit()
    accept = rejecting(rejected, module, {})
    history = train(module, batch_at, ARGUMENTS, folder, accept=accept)
    assert are_equal(weights(module), weights(plain))
    assert len(history) == rejected - 4


class SmallerFit(nn.Module):
    """Parameters of the same names as those of `LineFit`, of other sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Dropout(0.2), nn.Linear(8, 1))

    def forward(self, batch: Tensor) -> Tensor:
        loss: Tensor = self.layers(batch).mean()
        return loss


def test_state_of_other_sizes_is_refused_without_a_change(tmp_path: Path) -> None:
    train(LineFit(), batch_at, ARGUMENTS, tmp_path)
    state, other = load_state(tmp_path / STATE), SmallerFit()
    before = weights(other)
    assert not load_trainable_weights(other, state["weights"])
    with pytest.raises(InvalidInputError, match="parameters or sizes"):
        train(other, batch_at, ARGUMENTS, tmp_path)
    assert are_equal(weights(other), before)
    fewer = {name: w for name, w in state["weights"].items() if "bias" not in name}
    line = LineFit()
    before = weights(line)
    assert not load_trainable_weights(line, fewer)
    assert are_equal(weights(line), before)
    assert load_trainable_weights(line, state["weights"])
    assert not are_equal(weights(line), before)


class Falling(nn.Module):
    """The weight falls at every step, and the loss stays 0."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, batch: Tensor) -> Tensor:
        return (self.weight - self.weight.detach()).sum()


def test_overflowed_weights_are_not_saved(tmp_path: Path) -> None:
    arguments = TrainingArguments(
        steps=20, learning_rate=3e37, warmup_steps=0, schedule="constant", save_every=1
    )
    with pytest.raises(TrainingError, match=r"weights that are not finite at step 11: .* diverged"):
        train(Falling(), batch_at, arguments, tmp_path)
    state = load_state(tmp_path / STATE)
    assert state["step"] == 11
    assert state["weights"]["weight"].isfinite().all()


class Unused(nn.Module):
    """The loss does not depend on the parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, batch: Tensor) -> Tensor:
        return batch.mean()


def test_loss_without_trainable_parameters_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="does not depend on any trainable parameter"):
        train(Unused(), batch_at, ARGUMENTS, tmp_path)
