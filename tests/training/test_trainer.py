"""Training learns, resumes to the very weights, and stops before it breaks anything."""

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

from audioprobe.errors import InvalidInputError, TrainingError, WeightsError
from audioprobe.models.causal_lm.dtypes import computes_in_bfloat16
from audioprobe.progress import ProgressEvent
from audioprobe.training import checkpointing
from audioprobe.training.trainer import LOG, STATE, TrainingArguments, train


class Line(nn.Module):
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


PLAN = TrainingArguments(steps=60, learning_rate=1e-2, warmup_steps=5, save_every=7)


def test_the_loss_falls_and_everything_is_logged(tmp_path: Path) -> None:
    events: list[ProgressEvent] = []
    log = train(Line(), batch_at, PLAN, tmp_path, progress=events.append)
    assert [entry["step"] for entry in log] == list(range(60))
    assert log[-1]["loss"] < log[0]["loss"] / 3
    assert [(event.done, event.total) for event in events] == [(n + 1, 60) for n in range(60)]
    lines = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert lines == log


class KilledError(Exception):
    """Stands for a kill: nothing is cleaned up in the loop."""


def killed_at(step: int) -> Callable[..., Tensor]:
    def batch(at: int, process: int, n_processes: int) -> Tensor:
        if at == step:
            raise KilledError
        return batch_at(at, process, n_processes)

    return batch


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(0, 59), min_size=1, max_size=4))
def test_a_training_killed_anywhere_reaches_the_same_weights(
    tmp_path_factory: pytest.TempPathFactory, kills: list[int]
) -> None:
    whole = Line()
    log = train(whole, batch_at, PLAN, tmp_path_factory.mktemp("whole"))
    folder = tmp_path_factory.mktemp("killed")
    for step in kills:
        try:
            train(Line(), killed_at(step), PLAN, folder)
        except KilledError:
            continue
    resumed = Line()
    found = train(resumed, batch_at, PLAN, folder)
    for one, other in zip(weights(resumed), weights(whole), strict=True):
        assert torch.equal(one, other)
    assert [entry["loss"] for entry in found] == [entry["loss"] for entry in log]


def test_a_finished_training_is_not_repeated(tmp_path: Path) -> None:
    once = Line()
    train(once, batch_at, PLAN, tmp_path)
    again = Line()
    train(again, killed_at(0), PLAN, tmp_path)
    assert all(
        torch.equal(one, other) for one, other in zip(weights(once), weights(again), strict=True)
    )


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_stops_it_and_the_last_good_state_stays(
    tmp_path: Path, bad: float
) -> None:
    def poisoned(step: int, process: int, n_processes: int) -> Tensor:
        batch = batch_at(step, process, n_processes)
        return batch * bad if step == 20 else batch

    with pytest.raises(TrainingError, match=r"at step 20.*has diverged"):
        train(Line(), poisoned, PLAN, tmp_path)
    state = checkpointing.load(tmp_path / STATE)
    assert state["step"] == 14
    assert all(tensor.isfinite().all() for tensor in state["weights"].values())


def test_only_what_requires_gradients_changes(tmp_path: Path) -> None:
    module = Line()
    module.layers[0].requires_grad_(requires_grad=False)
    before = weights(module)
    train(module, batch_at, PLAN, tmp_path)
    same = [torch.equal(one, other) for one, other in zip(before, weights(module), strict=True)]
    assert same == [True, True, False, False]
    module.requires_grad_(requires_grad=False)
    with pytest.raises(InvalidInputError, match="Nothing to train"):
        train(module, batch_at, PLAN, tmp_path / "other")


def test_a_folder_belongs_to_one_plan_and_one_process(tmp_path: Path) -> None:
    train(Line(), batch_at, PLAN, tmp_path)
    other = TrainingArguments(steps=61, learning_rate=1e-2, warmup_steps=5, save_every=7)
    with pytest.raises(InvalidInputError, match="by another plan"):
        train(Line(), batch_at, other, tmp_path)
    with FileLock(tmp_path / "lock"), pytest.raises(TrainingError, match="another process"):
        train(Line(), batch_at, PLAN, tmp_path)


def test_a_damaged_state_is_told_and_never_executed(tmp_path: Path) -> None:
    train(Line(), batch_at, PLAN, tmp_path)
    whole = (tmp_path / STATE).read_bytes()
    (tmp_path / STATE).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match="Delete it to begin from the start"):
        train(Line(), batch_at, PLAN, tmp_path)


def test_a_full_disk_leaves_the_state_before(tmp_path: Path) -> None:
    path = tmp_path / STATE
    checkpointing.save(path, {"step": 1})
    with pytest.raises(TypeError):
        checkpointing.save(path, {"step": (n for n in range(2))})
    assert checkpointing.load(path) == {"step": 1}
    assert [file.name for file in tmp_path.iterdir()] == [STATE]


@pytest.mark.parametrize(
    ("schedule", "middle"), [("linear", 0.5), ("cosine", 0.5), ("constant", 1.0)]
)
def test_learning_rates_rise_and_fall(schedule: str, middle: float) -> None:
    plan = TrainingArguments(steps=110, learning_rate=2.0, warmup_steps=10, schedule=schedule)  # type: ignore[arg-type]
    assert [plan.rate(step) for step in (0, 4, 9, 10)] == [0.2, 1.0, 2.0, 2.0]
    assert plan.rate(60) == pytest.approx(2 * middle)


@pytest.mark.parametrize("options", [{"steps": 0}, {"learning_rate": 0.0}, {"warmup_steps": -1}])
def test_plans_that_cannot_be_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError):
        TrainingArguments(**{"steps": 5, "learning_rate": 1.0, **options})  # type: ignore[arg-type]


def test_trainings_of_both_precisions_share_a_process(tmp_path: Path) -> None:
    """Neither changes what the other reaches."""

    def losses(precision: str, name: str) -> list[float]:
        plan = replace(PLAN, precision=precision)  # type: ignore[arg-type]
        torch.manual_seed(0)
        return [entry["loss"] for entry in train(Line(), batch_at, plan, tmp_path / name)]

    first, low, again = losses("float32", "a"), losses("bfloat16", "b"), losses("float32", "c")
    assert first == again
    assert (low != first) == computes_in_bfloat16("cpu")  # else it is not worth computing in
    assert low == pytest.approx(first, rel=0.05)
