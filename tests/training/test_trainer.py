"""Training reduces the loss, resumes exactly, and stops before weights break."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from audioprobe.devices import computes_in_bfloat16
from audioprobe.errors import InvalidInputError, TrainingError, WeightsError
from audioprobe.progress import ProgressEvent
from audioprobe.training.arguments import TrainingArguments
from audioprobe.training.trainer import LOG, STATE, load_state, save_state, train


class LineFit(nn.Module):
    """Fits a line, with dropout, so that the noise of a step matters."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(4, 16), nn.GELU(), nn.Dropout(0.2), nn.Linear(16, 1))

    def forward(self, batch: Tensor) -> Tensor:
        loss: Tensor = ((self.layers(batch)[:, 0] - batch.sum(dim=1)) ** 2).mean()
        return loss


def batch_at(step: int, process: int = 0, n_processes: int = 1) -> Tensor:
    del n_processes
    return torch.randn(32, 4, generator=torch.Generator().manual_seed(step * 10 + process))


def weights(module: nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in module.parameters()]


def are_equal(first: list[Tensor], second: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


ARGUMENTS = TrainingArguments(steps=60, learning_rate=1e-2, warmup_steps=5, save_every=7)
SHORT = replace(ARGUMENTS, steps=12, save_every=5)


def test_loss_falls_and_every_step_is_logged(tmp_path: Path) -> None:
    events: list[ProgressEvent] = []
    history = train(LineFit(), batch_at, ARGUMENTS, tmp_path, progress=events.append)
    assert [entry["step"] for entry in history] == list(range(60))
    assert history[-1]["loss"] < history[0]["loss"] / 3
    assert [(event.done, event.total) for event in events] == [(n + 1, 60) for n in range(60)]
    log = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert log == history


class KilledError(Exception):
    """Takes the place of a kill: the loop does not clean up."""


def killed_at(step: int) -> Callable[..., Tensor]:
    def batch(at: int, process: int, n_processes: int) -> Tensor:
        if at == step:
            raise KilledError
        return batch_at(at, process, n_processes)

    return batch


@settings(max_examples=6, deadline=None)
@given(st.lists(st.integers(0, 11), min_size=1, max_size=3))
def test_interrupted_training_reaches_the_same_weights(
    tmp_path_factory: pytest.TempPathFactory, kills: list[int]
) -> None:
    expected = LineFit()
    expected_history = train(expected, batch_at, SHORT, tmp_path_factory.mktemp("once"))
    folder = tmp_path_factory.mktemp("killed")
    for step in kills:
        try:
            train(LineFit(), killed_at(step), SHORT, folder)
        except KilledError:
            continue
    resumed = LineFit()
    history = train(resumed, batch_at, SHORT, folder)
    assert are_equal(weights(resumed), weights(expected))
    losses, expected_losses = ([e["loss"] for e in h] for h in (history, expected_history))
    assert losses == expected_losses


def test_finished_training_is_not_repeated(tmp_path: Path) -> None:
    first, second = LineFit(), LineFit()
    train(first, batch_at, SHORT, tmp_path)
    train(second, killed_at(0), SHORT, tmp_path)
    assert are_equal(weights(first), weights(second))


@pytest.mark.parametrize("factor", [math.nan, math.inf])
def test_non_finite_loss_stops_training_and_keeps_the_last_state(
    tmp_path: Path, factor: float
) -> None:
    def poisoned(step: int, process: int, n_processes: int) -> Tensor:
        batch = batch_at(step, process, n_processes)
        return batch * factor if step == 8 else batch

    with pytest.raises(TrainingError, match=r"at step 8.*has diverged"):
        train(LineFit(), poisoned, SHORT, tmp_path)
    state = load_state(tmp_path / STATE)
    assert state["step"] == 5
    assert all(tensor.isfinite().all() for tensor in state["weights"].values())


def test_frozen_parameters_do_not_change(tmp_path: Path) -> None:
    module = LineFit()
    module.layers[0].requires_grad_(requires_grad=False)
    before = weights(module)
    train(module, batch_at, SHORT, tmp_path)
    unchanged = [torch.equal(a, b) for a, b in zip(before, weights(module), strict=True)]
    assert unchanged == [True, True, False, False]
    module.requires_grad_(requires_grad=False)
    with pytest.raises(InvalidInputError, match="Nothing to train"):
        train(module, batch_at, SHORT, tmp_path / "other")


def test_folder_has_one_training_run_and_one_process(tmp_path: Path) -> None:
    train(LineFit(), batch_at, SHORT, tmp_path)
    with pytest.raises(InvalidInputError, match="with other arguments"):
        train(LineFit(), batch_at, replace(SHORT, steps=13), tmp_path)
    with FileLock(tmp_path / "lock"), pytest.raises(TrainingError, match="another process"):
        train(LineFit(), batch_at, SHORT, tmp_path)


def test_damaged_state_is_refused(tmp_path: Path) -> None:
    train(LineFit(), batch_at, SHORT, tmp_path)
    content = (tmp_path / STATE).read_bytes()
    (tmp_path / STATE).write_bytes(content[: len(content) // 2])
    with pytest.raises(WeightsError, match="Delete the file to start"):
        train(LineFit(), batch_at, SHORT, tmp_path)


def test_failed_write_keeps_the_previous_state(tmp_path: Path) -> None:
    path = tmp_path / STATE
    save_state(path, {"step": 1})
    with pytest.raises(TypeError):
        save_state(path, {"step": (n for n in range(2))})
    assert load_state(path) == {"step": 1}
    assert [file.name for file in tmp_path.iterdir()] == [STATE]


@pytest.mark.parametrize(
    ("schedule", "middle"), [("linear", 0.5), ("cosine", 0.5), ("constant", 1.0)]
)
def test_learning_rate_rises_and_decays(schedule: str, middle: float) -> None:
    arguments = TrainingArguments(
        steps=110,
        learning_rate=2.0,
        warmup_steps=10,
        schedule=schedule,  # type: ignore[arg-type]
    )
    assert [arguments.rate(step) for step in (0, 4, 9, 10)] == [0.2, 1.0, 2.0, 2.0]
    assert arguments.rate(60) == pytest.approx(2 * middle)


@pytest.mark.parametrize("options", [{"steps": 0}, {"learning_rate": 0.0}, {"warmup_steps": -1}])
def test_impossible_arguments_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError):
        TrainingArguments(**{"steps": 5, "learning_rate": 1.0, **options})  # type: ignore[arg-type]


def test_precision_holds_for_one_training_run_only(tmp_path: Path) -> None:
    def losses(precision: str, name: str) -> list[float]:
        arguments = replace(SHORT, precision=precision)  # type: ignore[arg-type]
        torch.manual_seed(0)
        return [e["loss"] for e in train(LineFit(), batch_at, arguments, tmp_path / name)]

    first, low, second = losses("float32", "a"), losses("bfloat16", "b"), losses("float32", "c")
    assert first == second
    assert (low != first) == computes_in_bfloat16("cpu")
    assert low == pytest.approx(first, rel=0.05)
