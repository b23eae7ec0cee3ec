"""Processes that train together end with equal weights: those that one process reaches."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from audioprobe.finetuning import trainer
from audioprobe.finetuning.data import TrainingBatch
from audioprobe.finetuning.objective import MultiTaskObjective, build_objective
from audioprobe.training.trainable import trainable_weights
from audioprobe.training.trainer import STATE, load_state, train
from tests.finetuning.together import (
    CASES,
    COMBINED,
    KILLED,
    LINE,
    LineFit,
    fine_tuned,
    half_batch,
    results,
    run_together,
)
from tests.tiny_ltu import write_base
from tests.tiny_tuning import tiny_data, tiny_model

pytestmark = pytest.mark.slow  # starts processes that train together


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder in which two processes have trained all cases."""
    folder = tmp_path_factory.mktemp("together")
    for name in ("base", "out"):
        (folder / name).mkdir()
    write_base(folder / "base", with_sound=False)
    tiny_data(folder / "sounds")
    run_together(*command(folder, "out"))
    return folder


def command(folder: Path, out: str, *more: str) -> list[str]:
    places = (str(folder / name) for name in (out, "base", "sounds"))
    return ["-m", "tests.finetuning.together", *places, *more]


def close(result: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert result.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(result[name], tensor, atol=2e-5, rtol=0, msg=name)


@pytest.mark.parametrize("name", [*CASES, "line"])
def test_all_processes_end_with_the_same_weights(home: Path, name: str) -> None:
    first, second = results(home / "out", name)
    assert first["weights"].keys() == second["weights"].keys()
    assert first["weights"]
    for parameter, tensor in first["weights"].items():
        assert torch.equal(tensor, second["weights"][parameter]), parameter
    losses = [
        [(entry["loss"], entry["norm"]) for entry in each["history"]] for each in (first, second)
    ]
    assert losses[0] == losses[1]


@pytest.mark.parametrize(("name", "parts"), [("combined", "prefix"), ("text", "lora")])
def test_trainable_weights_change(home: Path, name: str, parts: str) -> None:
    result = results(home / "out", name)[0]
    moved = [n for n, w in result["weights"].items() if not torch.equal(w, result["initial"][n])]
    assert any(parts in n for n in moved)
    assert len(result["history"]) == CASES[name].arguments.steps


def test_weights_without_a_gradient_do_not_change(home: Path) -> None:
    result = results(home / "out", "text")[0]
    audio_names = [n for n in result["weights"] if n.startswith("prefix.")]
    assert audio_names
    assert all(torch.equal(result["weights"][n], result["initial"][n]) for n in audio_names)


def test_both_processes_stop_early_or_neither(home: Path) -> None:
    for result in results(home / "out", "stopped"):
        assert result["history"] == []
        assert all(torch.equal(w, result["initial"][n]) for n, w in result["weights"].items())
    for result in results(home / "out", "combined"):
        assert len(result["history"]) == COMBINED.arguments.steps


def test_two_processes_equal_one_with_batches_twice_as_large(home: Path, tmp_path: Path) -> None:
    line = LineFit()
    log = train(line, half_batch, LINE, tmp_path)
    result = results(home / "out", "line")[0]
    close(result["weights"], {name: p.detach() for name, p in line.named_parameters()})
    losses = [entry["loss"] for entry in log]
    assert [entry["loss"] for entry in result["history"]] == pytest.approx(losses, rel=1e-4)


class MeanObjective(nn.Module):
    """Mean of the losses of several batches."""

    def __init__(self, objective: MultiTaskObjective) -> None:
        super().__init__()
        self.objective = objective

    def forward(self, batches: list[TrainingBatch]) -> Tensor:
        return torch.stack([self.objective(batch) for batch in batches]).mean()


def test_two_processes_equal_one_with_the_batches_of_both(home: Path, tmp_path: Path) -> None:
    data = tiny_data(home / "sounds")
    model = tiny_model(home / "base", dropout=0.0)
    trainer._prepare_modules(model, data, COMBINED)
    objective = build_objective(model, data, COMBINED)
    assert objective.alignment

    def both(step: int, process: int, n_processes: int) -> list[TrainingBatch]:
        return [data.sample_batch(COMBINED, 2 * step + n, aligned=True) for n in range(2)]

    train(MeanObjective(objective), both, COMBINED.arguments, tmp_path)
    weights = trainable_weights(model.network)
    close(results(home / "out", "combined")[0]["weights"], weights)


def test_one_process_resumes_the_run_of_two(home: Path) -> None:
    out = home / "out"
    expected: dict[str, Any] = results(out, "combined")[0]
    again = fine_tuned(COMBINED, home / "base", home / "sounds", out / "combined")
    assert again["history"] == expected["history"]
    for name, tensor in expected["weights"].items():
        assert torch.equal(again["weights"][name], tensor), name


def test_two_killed_processes_reach_the_same_weights(home: Path) -> None:
    out = home / "killed"
    out.mkdir()
    run_together(*command(home, "killed", "2"), status=KILLED)
    assert not list(out.glob("*.pt"))
    saved = load_state(out / "combined" / STATE)
    assert saved["step"] == 2
    run_together(*command(home, "killed", "0"))  # a step that never comes
    for result, expected in zip(
        results(out, "combined"), results(home / "out", "combined"), strict=True
    ):
        assert result["history"][:2] == saved["history"], "started again"
        assert [e["loss"] for e in result["history"]] == [e["loss"] for e in expected["history"]]
        for name, tensor in expected["weights"].items():
            assert torch.equal(result["weights"][name], tensor), name
