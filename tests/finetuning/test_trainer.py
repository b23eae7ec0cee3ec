"""Fine-tuning a tiny LTU: every regularizer and alignment has its effect, and runs resume."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from audioprobe.errors import InvalidInputError, OutOfMemoryError, TrainingError
from audioprobe.finetuning.data import TrainingSampler
from audioprobe.finetuning.strategy import LoraSize, Strategy
from audioprobe.finetuning.trainer import FineTuningResult, finetune
from audioprobe.models.ltu.network import LTUNetwork
from audioprobe.progress import ProgressCallback, ProgressEvent
from audioprobe.training.trainer import STATE, load_state
from tests.tiny_tuning import strategy, tiny_model

REGULARIZERS: dict[str, dict[str, Any]] = {
    "l2-sp": {"strength": 10.0},
    "ewc": {"strength": 10.0, "tasks": ["text", "audio"], "n_examples": 2},
    "rehearsal": {},
    "distillation": {},
}
ALIGNMENTS: dict[str, dict[str, Any]] = {
    "contrastive": {},
    "embedding": {},
    "hidden-states": {"layer": 1},
    "cross-attention": {"width": 8},
    "paired": {},
}
KINDS = {**REGULARIZERS, **ALIGNMENTS}
Weights = Mapping[str, Tensor]


def component(kind: str, **options: Any) -> dict[str, Any]:
    return {"kind": kind, **KINDS.get(kind, {}), **options}


class Tuning:
    """Fine-tunes copies of one model, each in a folder of its own."""

    def __init__(self, base: Path, data: TrainingSampler, folder: Path) -> None:
        self.base, self.data, self.folder, self.n_runs = base, data, folder, 0
        self.initial: Weights = dict(tiny_model(base).network.named_parameters())
        self._plain: dict[int, Weights] = {}

    def __call__(self, chosen: Strategy, **options: Any) -> tuple[LTUNetwork, FineTuningResult]:
        self.n_runs += 1
        model = tiny_model(self.base)
        result = finetune(model, self.data, chosen, self.folder / str(self.n_runs), **options)
        assert not model.network.training
        assert not any(p.requires_grad for p in model.network.parameters())
        for name, parameter in model.network.named_parameters():
            if name not in result.initial_weights:
                assert torch.equal(parameter, self.initial[name]), f"{name} was frozen"
            elif name in self.initial:
                assert torch.equal(result.initial_weights[name], self.initial[name])
        return model.network, result

    def weights(
        self, *components: dict[str, Any], train: str = "projector+lora", **arguments: Any
    ) -> Weights:
        """The trained weights."""
        network, result = self(strategy(train, *components, **arguments))
        assert len(result.history) == arguments.get("steps", 4)
        return {n: p for n, p in network.named_parameters() if n in result.initial_weights}

    def plain(self, steps: int) -> Weights:
        """The weights trained without regularizers and alignment."""
        if steps not in self._plain:
            self._plain[steps] = self.weights(steps=steps)
        return self._plain[steps]


@pytest.fixture(scope="module")
def tune(base: Path, data: TrainingSampler, tmp_path_factory: pytest.TempPathFactory) -> Tuning:
    return Tuning(base, data, tmp_path_factory.mktemp("tuned"))


def are_equal(first: Weights, second: Weights) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first.keys() & second.keys())


def mean_distance(first: Weights, second: Weights) -> float:
    return float(torch.cat([(first[n] - second[n]).abs().flatten() for n in first]).mean())


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_changes_the_trained_weights(tune: Tuning, kind: str) -> None:
    plain, weights = tune.plain(2), tune.weights(component(kind), steps=2)
    assert plain.keys() <= weights.keys()
    assert not are_equal(plain, weights)
    assert all(tensor.isfinite().all() for tensor in weights.values())


@pytest.mark.parametrize(
    "table",
    [
        component("l2-sp", strength=0.0),
        component("ewc", strength=0.0),
        component("distillation", weight=0.0),
        component("contrastive", weight=0.0),
        component("embedding", weight=0.0),
        component("hidden-states", weight=0.0),
        {"kind": "wise-ft", "share": 1.0},
    ],
    ids=lambda table: str(table["kind"]),
)
def test_weight_zero_changes_nothing(tune: Tuning, table: dict[str, Any]) -> None:
    assert are_equal(tune.plain(2), tune.weights(table, steps=2))


@pytest.mark.parametrize("kind", ["l2-sp", "ewc"])
def test_strong_penalty_keeps_weights_near_their_initial_values(tune: Tuning, kind: str) -> None:
    """Gradients are clipped to norm 1, so steps do not shrink, and the penalty turns them back.

    Weights then oscillate about their initial values by the size of a step; the falling learning
    rate damps this.
    """
    arguments: dict[str, Any] = {
        "steps": 16,
        "learning_rate": 3e-3,
        "train": "projector",
        "save_every": 16,
    }
    free = mean_distance(tune.weights(**arguments), tune.initial)
    strong = mean_distance(tune.weights(component(kind, strength=1e9), **arguments), tune.initial)
    assert strong < free / 4
    weak = mean_distance(tune.weights(component(kind, strength=1e-9), **arguments), tune.initial)
    assert weak == pytest.approx(free, rel=0.05)


def test_separate_tasks_equal_online_ewc_without_decay(tune: Tuning) -> None:
    separate, online, decayed = (
        tune.weights(component("ewc", strength=1e4, **options), steps=3)
        for options in ({}, {"variant": "online"}, {"variant": "online", "decay": 0.0})
    )
    assert mean_distance(separate, online) < 1e-6
    assert mean_distance(separate, decayed) > 10 * mean_distance(separate, online)


def test_wise_ft_interpolates_between_initial_and_trained_weights(tune: Tuning) -> None:
    trained, middle, untrained = (
        tune.weights({"kind": "wise-ft", "share": share}, steps=2) for share in (1.0, 0.5, 0.0)
    )
    assert are_equal(untrained, tune.initial)
    assert not are_equal(trained, tune.initial)
    for name, weights in middle.items():
        torch.testing.assert_close(weights, (tune.initial[name] + trained[name]) / 2)


def test_cross_attention_has_a_state_per_label_and_its_gate_opens(
    base: Path, data: TrainingSampler, tmp_path: Path
) -> None:
    chosen = strategy("projector", component("cross-attention"))
    networks = []
    for _ in range(2):  # trained, and resumed
        model = tiny_model(base)
        result = finetune(model, data, chosen, tmp_path)
        networks.append(model.network)
    gate = networks[0].prefix.gate
    assert gate is not None
    labels = {label for clip_labels in data.clips.labels for label in clip_labels}
    assert gate.texts.shape == (len(labels), 64)
    assert gate.opening.item() != 0.0
    assert not result.initial_weights["prefix.gate.opening"].any()
    assert are_equal(*(dict(network.named_parameters()) for network in networks))


def test_expanded_lora_is_trained_and_reproducible(
    base: Path, data: TrainingSampler, tmp_path: Path
) -> None:
    chosen = replace(strategy("lora"), lora=LoraSize(4, ("q_proj", "v_proj", "up_proj")))
    weights = []
    for folder in ("first", "first", "other"):  # trained, resumed, and trained again
        model = tiny_model(base)
        finetune(model, data, chosen, tmp_path / folder)
        assert model.network.config.lora_rank == 4
        weights.append(dict(model.network.named_parameters()))
    assert weights[0].keys() == weights[1].keys()
    assert are_equal(weights[0], weights[1])
    assert are_equal(weights[0], weights[2])
    added = [p for name, p in weights[0].items() if "up_proj.lora_B" in name]
    assert added
    assert all(p.abs().sum() > 0 for p in added)


def test_finished_run_is_not_repeated(base: Path, data: TrainingSampler, tmp_path: Path) -> None:
    def forbidden(_: ProgressEvent) -> None:
        raise AssertionError

    first, second = tiny_model(base), tiny_model(base)
    before = finetune(first, data, strategy(), tmp_path)
    after = finetune(second, data, strategy(), tmp_path, progress=forbidden)
    assert before.history == after.history
    assert are_equal(*(dict(model.network.named_parameters()) for model in (first, second)))


@pytest.mark.parametrize(
    "other",
    [
        strategy("projector", {"kind": "l2-sp", "strength": 1.0}),
        strategy("projector", {"kind": "l2-sp", "strength": 3.0}, steps=2),
    ],
)
def test_folder_of_another_strategy_is_refused(
    base: Path, data: TrainingSampler, tmp_path: Path, other: Strategy
) -> None:
    """Parameters and training arguments alone do not determine the strategy."""
    first = strategy("projector", {"kind": "l2-sp", "strength": 3.0}, steps=1)
    finetune(tiny_model(base), data, first, tmp_path)
    with pytest.raises(InvalidInputError, match="with another strategy"):
        finetune(tiny_model(base), data, other, tmp_path)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (strategy(""), "joined by '\\+', got ''"),
        (strategy("projctor"), "got 'projctor'"),
        (strategy("cross-attention"), "has no cross-attention to train"),
        (strategy("lora", {"kind": "early-stopping"}), "needs validation texts"),
        (
            strategy("projector", component("paired", conditions=["text"]), clips=0),
            "does not depend on any trainable parameter",
        ),
        (strategy("lora", component("hidden-states", layer=9)), "states 0 to 2, got layer 9"),
        (strategy("lora", component("l2-sp", strength=-1.0)), "strength must be at least 0"),
        (strategy("lora", component("cross-attention", width=0)), "width"),
    ],
)
def test_impossible_strategy_is_refused(tune: Tuning, chosen: Strategy, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        tune(chosen)
    assert not (tune.folder / str(tune.n_runs) / STATE).exists()


def test_out_of_memory_error_has_advice(tune: Tuning) -> None:
    with pytest.raises(OutOfMemoryError, match="fewer clips per step"):
        tune(strategy("projector", component("cross-attention", width=10**11)))


@pytest.mark.parametrize("save_every", [1, 2])
def test_divergence_names_its_step_and_keeps_the_last_state(
    base: Path, data: TrainingSampler, tmp_path: Path, save_every: int
) -> None:
    steps: list[int] = []
    chosen = strategy(steps=8, learning_rate=1e30, warmup_steps=0, save_every=save_every)
    with pytest.raises(TrainingError, match=f"{tmp_path}: .* at step .*diverged") as raised:
        finetune(
            tiny_model(base),
            data,
            chosen,
            tmp_path,
            progress=lambda event: steps.append(event.done),
        )
    assert f"at step {len(steps)}:" in str(raised.value)
    if len(steps) >= save_every:
        state = load_state(tmp_path / STATE)
        assert state["step"] == len(steps) - len(steps) % save_every
        assert all(tensor.isfinite().all() for tensor in state["weights"].values())
    else:
        assert not (tmp_path / STATE).exists()


class KilledError(Exception):
    """Takes the place of a kill."""


def killed_at(step: int) -> ProgressCallback:
    def progress(event: ProgressEvent) -> None:
        if event.done == step:
            raise KilledError

    return progress


@pytest.mark.parametrize("kills", [(1, 4), (2, 3)])
def test_interrupted_run_reaches_the_same_weights(
    tune: Tuning, tmp_path: Path, kills: tuple[int, ...]
) -> None:
    kinds = ("ewc", "rehearsal", "distillation", "contrastive", "paired", "cross-attention")
    tables = [*map(component, kinds), {"kind": "wise-ft", "share": 0.5}]
    chosen = strategy("encoder+projector+lora", *tables, steps=4, save_every=2)
    network, expected = tune(chosen)
    for step in kills:
        with pytest.raises(KilledError):
            finetune(tiny_model(tune.base), tune.data, chosen, tmp_path, progress=killed_at(step))
    model = tiny_model(tune.base)
    result = finetune(model, tune.data, chosen, tmp_path)
    assert are_equal(dict(model.network.named_parameters()), dict(network.named_parameters()))
    losses, expected_losses = ([e["loss"] for e in r.history] for r in (result, expected))
    assert losses == expected_losses
    assert are_equal(result.initial_weights, expected.initial_weights)
