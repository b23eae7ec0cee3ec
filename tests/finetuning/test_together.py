"""Processes that train together end with the same weights, and with those that one would reach."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from audioprobe.finetuning import trainer
from audioprobe.finetuning.data import TrainingData
from audioprobe.finetuning.objective import MultiTaskObjective, TrainingBatch
from audioprobe.finetuning.trainable import set_trainable_by_name
from audioprobe.training import checkpointing
from audioprobe.training.objectives import AnswerLoss
from audioprobe.training.trainer import STATE, train
from tests.finetuning.together import (
    CASES,
    EVERYTHING,
    KILLED,
    LINE,
    Plain,
    begun,
    halves,
    results,
    run_together,
)
from tests.tiny_ltu import write_base
from tests.tiny_tuning import tiny_files, tiny_lessons


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where two processes trained."""
    folder = tmp_path_factory.mktemp("together")
    for name in ("base", "out"):
        (folder / name).mkdir()
    write_base(folder / "base", with_sound=False)
    tiny_lessons(folder / "sounds")
    run_together(*command(folder, "out"))
    return folder


def command(folder: Path, out: str, *more: str) -> list[str]:
    places = (str(folder / name) for name in (out, "base", "sounds"))
    return ["-m", "tests.finetuning.together", *places, *more]


def close(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, atol=2e-5, rtol=0, msg=name)


@pytest.mark.parametrize("name", [*CASES, "line"])
def test_all_processes_end_with_the_same_weights(home: Path, name: str) -> None:
    one, other = results(home / "out", name)
    assert one["weights"].keys() == other["weights"].keys()
    assert one["weights"]
    for parameter, tensor in one["weights"].items():
        assert torch.equal(tensor, other["weights"][parameter]), parameter
    losses = [[(entry["loss"], entry["norm"]) for entry in each["log"]] for each in (one, other)]
    assert losses[0] == losses[1]


@pytest.mark.parametrize(("name", "parts"), [("everything", "prefix"), ("words", "lora")])
def test_weights_move(home: Path, name: str, parts: str) -> None:
    found = results(home / "out", name)[0]
    moved = [n for n, w in found["weights"].items() if not torch.equal(w, found["before"][n])]
    assert any(parts in n for n in moved)
    assert len(found["log"]) == CASES[name].plan.steps


def test_what_no_step_reaches_stays(home: Path) -> None:
    found = results(home / "out", "words")[0]
    heard = [n for n in found["weights"] if n.startswith("prefix.")]
    assert heard
    assert all(torch.equal(found["weights"][n], found["before"][n]) for n in heard)


def test_both_stop_at_a_look_or_neither(home: Path) -> None:
    for found in results(home / "out", "stopped"):
        assert found["log"] == []
        assert all(torch.equal(w, found["before"][n]) for n, w in found["weights"].items())
    for found in results(home / "out", "everything"):
        assert len(found["log"]) == EVERYTHING.plan.steps


def test_two_reach_what_one_reaches_on_batches_twice_as_large(home: Path, tmp_path: Path) -> None:
    line = Plain()
    log = train(line, halves, LINE, tmp_path)
    found = results(home / "out", "line")[0]
    close(found["weights"], {name: p.detach() for name, p in line.named_parameters()})
    losses = [entry["loss"] for entry in log]
    assert [entry["loss"] for entry in found["log"]] == pytest.approx(losses, rel=1e-4)


class Mean(nn.Module):
    """Of the losses of several lots."""

    def __init__(self, combined: MultiTaskObjective) -> None:
        super().__init__()
        self.combined = combined

    def forward(self, lots: list[TrainingBatch]) -> Tensor:
        return torch.stack([self.combined(lot) for lot in lots]).mean()


def test_a_fine_tuning_by_two_is_one_on_the_lots_of_both(home: Path, tmp_path: Path) -> None:
    lessons: TrainingData = tiny_lessons(home / "sounds")
    net = tiny_files(home / "base", dropout=0.0).net
    trainer._open_gate(net, lessons, EVERYTHING)
    set_trainable_by_name(net, f"{EVERYTHING.trains}+gate")
    objective = trainer._objective(AnswerLoss(net, per="example"), lessons, EVERYTHING)
    lots = trainer._batches(lessons, EVERYTHING)

    def both(step: int, process: int, n_processes: int) -> list[TrainingBatch]:
        return [lots(step, number, 2) for number in range(2)]

    train(Mean(objective), both, EVERYTHING.plan, tmp_path)
    own = {name: p.detach() for name, p in net.named_parameters() if p.requires_grad}
    close(results(home / "out", "everything")[0]["weights"], own)


def test_one_process_goes_on_with_the_state_of_two(home: Path) -> None:
    out = home / "out"
    there: dict[str, Any] = results(out, "everything")[0]
    again = begun(EVERYTHING, home / "base", home / "sounds", out / "everything")
    assert again["log"] == there["log"]
    for name, tensor in there["weights"].items():
        assert torch.equal(again["weights"][name], tensor), name


def test_two_that_were_killed_reach_the_same_weights(home: Path) -> None:
    out = home / "killed"
    out.mkdir()
    run_together(*command(home, "killed", "2"), status=KILLED)
    assert not list(out.glob("*.pt"))
    saved = checkpointing.load(out / "everything" / STATE)
    assert saved["step"] == 2
    run_together(*command(home, "killed", "0"))  # a step that never comes
    for found, whole in zip(
        results(out, "everything"), results(home / "out", "everything"), strict=True
    ):
        assert found["log"][:2] == saved["log"], "it began anew"
        assert [e["loss"] for e in found["log"]] == [e["loss"] for e in whole["log"]]
        for name, tensor in whole["weights"].items():
            assert torch.equal(found["weights"][name], tensor), name
