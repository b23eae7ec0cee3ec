"""Every way to hold and to tie does what it promises, on an LTU that is tuned in seconds."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from audioprobe.errors import InvalidInputError, OutOfMemoryError, TrainingError
from audioprobe.finetuning.data import TrainingData
from audioprobe.finetuning.strategy import LoraSize, Strategy
from audioprobe.finetuning.trainer import FineTuningResult, finetune
from audioprobe.models.ltu.network import LTUNetwork
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress
from audioprobe.training import checkpointing
from audioprobe.training.trainer import STATE
from tests.tiny_tuning import strategy, tiny_files

HOLDS: dict[str, dict[str, Any]] = {
    "l2-sp": {"strength": 10.0},
    "ewc": {"strength": 10.0, "tasks": ["text", "audio"], "n_examples": 2},
    "rehearsal": {},
    "distillation": {},
}
TIES: dict[str, dict[str, Any]] = {
    "contrastive": {},
    "embedding": {},
    "hidden-states": {"layer": 1},
    "cross-attention": {"width": 8},
    "paired": {},
}
KINDS = {**HOLDS, **TIES}
Weights = Mapping[str, Tensor]


def part(kind: str, **options: Any) -> dict[str, Any]:
    return {"kind": kind, **KINDS.get(kind, {}), **options}


class Tuning:
    """Fine-tunes fresh copies of one network, each in a folder of its own."""

    def __init__(self, base: Path, lessons: TrainingData, folder: Path) -> None:
        self.base, self.lessons, self.folder, self.n = base, lessons, folder, 0
        self.began: Weights = dict(tiny_files(base).net.named_parameters())

    def __call__(self, chosen: Strategy, **options: Any) -> tuple[LTUNetwork, FineTuningResult]:
        self.n += 1
        files = tiny_files(self.base)
        told = finetune(files, self.lessons, chosen, self.folder / str(self.n), **options)
        assert not files.net.training
        assert not any(p.requires_grad for p in files.net.parameters())
        for name, parameter in files.net.named_parameters():
            if name not in told.before:
                assert torch.equal(parameter, self.began[name]), f"{name} did not train"
            elif name in self.began:
                assert torch.equal(told.before[name], self.began[name])
        return files.net, told

    def weights(
        self, *parts: dict[str, Any], trains: str = "projector+lora", **plan: Any
    ) -> Weights:
        """What trained, as it ends."""
        net, told = self(strategy(trains, *parts, **plan))
        assert len(told.log) == plan.get("steps", 4)
        return {name: p for name, p in net.named_parameters() if name in told.before}


@pytest.fixture(scope="module")
def tune(base: Path, lessons: TrainingData, tmp_path_factory: pytest.TempPathFactory) -> Tuning:
    return Tuning(base, lessons, tmp_path_factory.mktemp("tuned"))


def same(one: Weights, other: Weights) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one.keys() & other.keys())


def apart(one: Weights, other: Weights) -> float:
    """Mean distance of weights."""
    return float(torch.cat([(one[n] - other[n]).abs().flatten() for n in one]).mean())


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_changes_the_weights_reached(tune: Tuning, kind: str) -> None:
    plain, other = tune.weights(steps=3), tune.weights(part(kind), steps=3)
    assert plain.keys() <= other.keys()
    assert not same(plain, other)
    assert all(tensor.isfinite().all() for tensor in other.values())


@pytest.mark.parametrize(
    "nothing",
    [
        part("l2-sp", strength=0.0),
        part("ewc", strength=0.0),
        part("distillation", weight=0.0),
        part("contrastive", weight=0.0),
        part("embedding", weight=0.0),
        part("hidden-states", weight=0.0),
        {"kind": "wise-ft", "share": 1.0},
    ],
    ids=lambda nothing: str(nothing["kind"]),
)
def test_at_weight_nothing_a_kind_changes_nothing(tune: Tuning, nothing: dict[str, Any]) -> None:
    assert same(tune.weights(steps=2), tune.weights(nothing, steps=2))


@pytest.mark.parametrize("kind", ["l2-sp", "ewc"])
def test_a_strong_pull_keeps_weights_where_they_began(tune: Tuning, kind: str) -> None:
    """Gradients are cut to length 1: a pull turns them back, and steps are as long as ever.

    So weights swing about where they began, no farther than steps are long, and without a pull
    they leave. A falling learning rate ends the swinging.
    """
    plan: dict[str, Any] = {
        "steps": 16,
        "learning_rate": 3e-3,
        "trains": "projector",
        "save_every": 16,
    }
    free = apart(tune.weights(**plan), tune.began)
    held = apart(tune.weights(part(kind, strength=1e9), **plan), tune.began)
    assert held < free / 4
    weak = apart(tune.weights(part(kind, strength=1e-9), **plan), tune.began)
    assert weak == pytest.approx(free, rel=0.05)


def test_tasks_apart_are_one_where_nothing_fades(tune: Tuning) -> None:
    separate, online, fading = (
        tune.weights(part("ewc", strength=1e4, **options), steps=3)
        for options in ({}, {"variant": "online"}, {"variant": "online", "decay": 0.0})
    )
    assert apart(separate, online) < 1e-6
    assert apart(separate, fading) > 10 * apart(separate, online)


def test_wise_ft_ends_on_the_way_between(tune: Tuning) -> None:
    whole, half, none = (
        tune.weights({"kind": "wise-ft", "share": share}) for share in (1.0, 0.5, 0.0)
    )
    first = tune.began
    assert same(none, first)
    assert not same(whole, first)
    for name, weights in half.items():
        torch.testing.assert_close(weights, (first[name] + whole[name]) / 2)


def test_a_gate_opens_and_is_of_the_labels_that_are_taught(
    base: Path, lessons: TrainingData, tmp_path: Path
) -> None:
    files = tiny_files(base)
    told = finetune(files, lessons, strategy("projector", part("cross-attention")), tmp_path)
    gate = files.net.prefix.gate
    assert gate is not None
    assert gate.texts.shape == (
        len({label for some in lessons.taught.labels for label in some}),
        64,
    )
    assert gate.opening.item() != 0.0
    assert not told.before["prefix.gate.opening"].any()
    again = tiny_files(base)
    finetune(again, lessons, strategy("projector", part("cross-attention")), tmp_path)
    assert same(dict(files.net.named_parameters()), dict(again.net.named_parameters()))


def test_larger_adapters_are_trained_and_reached_again(
    base: Path, lessons: TrainingData, tmp_path: Path
) -> None:
    chosen = replace(strategy("lora"), lora=LoraSize(4, ("q_proj", "v_proj", "up_proj")))
    found = []
    for folder in ("one", "one", "other"):  # gone on with, and anew
        files = tiny_files(base)
        finetune(files, lessons, chosen, tmp_path / folder)
        assert files.net.config.lora_rank == 4
        found.append(dict(files.net.named_parameters()))
    assert found[0].keys() == found[1].keys()
    assert same(found[0], found[1])
    assert same(found[0], found[2])
    new = [p for name, p in found[0].items() if "up_proj.lora_B" in name]
    assert new
    assert all(p.abs().sum() > 0 for p in new)


def test_a_finished_tuning_is_not_repeated(
    base: Path, lessons: TrainingData, tmp_path: Path
) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError

    found = []
    for progress in (ignore_progress, forbidden):
        files = tiny_files(base)
        told = finetune(files, lessons, strategy(), tmp_path, progress=progress)
        found.append((told.log, dict(files.net.named_parameters())))
    assert found[0][0] == found[1][0]
    assert same(found[0][1], found[1][1])


@pytest.mark.parametrize(
    "other",
    [
        strategy("projector", {"kind": "l2-sp", "strength": 1.0}),
        strategy("projector", {"kind": "l2-sp", "strength": 3.0}, steps=2),
    ],
)
def test_a_folder_of_another_strategy_is_refused(
    base: Path, lessons: TrainingData, tmp_path: Path, other: Strategy
) -> None:
    """The same parameters by the same plan would be taken for what was asked for."""
    first = strategy("projector", {"kind": "l2-sp", "strength": 3.0}, steps=1)
    finetune(tiny_files(base), lessons, first, tmp_path)
    with pytest.raises(InvalidInputError, match="by another strategy"):
        finetune(tiny_files(base), lessons, other, tmp_path)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (strategy(""), "joined by '\\+', got ''"),
        (strategy("projctor"), "got 'projctor'"),
        (strategy("gate"), "has no gate to train"),
        (strategy("lora", {"kind": "early-stopping"}), "needs passages to look at"),
        (
            strategy("projector", part("paired", conditions=["text"]), clips=0),
            "nothing that trains has",
        ),
        (strategy("lora", part("hidden-states", layer=9)), "states 0 to 2, got layer 9"),
        (strategy("lora", part("l2-sp", strength=-1.0)), "strength must be at least 0"),
        (strategy("lora", part("contrastive", weight=-1.0)), "weight must be at least 0"),
        (strategy("lora", part("contrastive", temperature=0.0)), "temperature must be above 0"),
        (strategy("lora", part("cross-attention", width=0)), "needs texts and widths"),
    ],
)
def test_what_cannot_be_tuned_is_refused(tune: Tuning, chosen: Strategy, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        tune(chosen)
    assert not (tune.folder / str(tune.n) / STATE).exists()


def test_what_does_not_fit_into_the_memory_is_told(tune: Tuning) -> None:
    with pytest.raises(OutOfMemoryError, match="fewer clips in a step"):
        tune(strategy("projector", part("cross-attention", width=10**11)))


@pytest.mark.parametrize("save_every", [1, 2])
def test_a_tuning_that_diverges_says_where_and_leaves_the_state_before(
    base: Path, lessons: TrainingData, tmp_path: Path, save_every: int
) -> None:
    steps: list[int] = []
    chosen = strategy(steps=8, learning_rate=1e30, warmup_steps=0, save_every=save_every)
    with pytest.raises(TrainingError, match=f"{tmp_path}: .* at step .*diverged") as told:
        finetune(
            tiny_files(base),
            lessons,
            chosen,
            tmp_path,
            progress=lambda event: steps.append(event.done),
        )
    assert f"at step {len(steps)}:" in str(told.value)
    if len(steps) >= save_every:
        state = checkpointing.load(tmp_path / STATE)
        assert state["step"] == len(steps) - len(steps) % save_every
        assert all(tensor.isfinite().all() for tensor in state["weights"].values())
    else:
        assert not (tmp_path / STATE).exists()


class KilledError(Exception):
    """Stands for a kill."""


def killed_at(step: int) -> ProgressCallback:
    def progress(event: ProgressEvent) -> None:
        if event.done == step:
            raise KilledError

    return progress


def test_killed_anywhere_it_reaches_the_same_weights(tune: Tuning, tmp_path: Path) -> None:
    parts = [part(kind) for kind in ("ewc", "rehearsal", "distillation", "contrastive", "paired")]
    parts += [part("cross-attention"), {"kind": "wise-ft", "share": 0.5}]
    chosen = strategy("encoder+projector+lora", *parts, steps=4, save_every=2)
    net, whole = tune(chosen)
    for kills in ((1, 4), (2, 3)):
        folder = tmp_path / str(kills)
        for step in kills:
            with pytest.raises(KilledError):
                finetune(
                    tiny_files(tune.base),
                    tune.lessons,
                    chosen,
                    folder,
                    progress=killed_at(step),
                )
        files = tiny_files(tune.base)
        told = finetune(files, tune.lessons, chosen, folder)
        assert same(dict(files.net.named_parameters()), dict(net.named_parameters()))
        assert [entry["loss"] for entry in told.log] == [entry["loss"] for entry in whole.log]
        assert same(told.before, whole.before)
