"""Early stopping ends at the last weights whose validation loss was accepted."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from audioprobe.finetuning.data import TrainingSampler
from audioprobe.finetuning.text_corpora import mean_text_loss, text_losses
from audioprobe.finetuning.trainer import FineTuningResult, finetune
from audioprobe.models.ltu.trainable import TrainableLTU
from audioprobe.progress import ProgressEvent
from audioprobe.training.trainable import copy_trainable_weights
from tests.tiny_tuning import strategy, tiny_model, validation_texts

ARGUMENTS: dict[str, Any] = {"steps": 6, "learning_rate": 5e-2, "save_every": 6}
EVERY = 2


def validation_loss(model: TrainableLTU) -> float:
    return mean_text_loss(text_losses(model, validation_texts()))


class FullRun:
    """Validation losses and weights at each evaluation of a run without early stopping."""

    def __init__(self, base: Path, data: TrainingSampler, folder: Path) -> None:
        model = tiny_model(base)
        self.losses, self.weights = [validation_loss(model)], [dict[str, torch.Tensor]()]

        def progress(event: ProgressEvent) -> None:
            if event.done % EVERY == 0:
                self.losses.append(validation_loss(model))
                self.weights.append(copy_trainable_weights(model.network))

        result = finetune(model, data, strategy(**ARGUMENTS), folder, progress=progress)
        self.weights[0] = result.initial_weights

    def rise_rejected_at(self, evaluation: int) -> float | None:
        """A rise that this evaluation exceeds first; None if an earlier one is as high."""
        highest = max(self.losses[:evaluation])
        if self.losses[evaluation] <= highest:
            return None
        return (highest + self.losses[evaluation]) / 2 - self.losses[0]


@pytest.fixture(scope="module")
def full_run(
    base: Path, data: TrainingSampler, tmp_path_factory: pytest.TempPathFactory
) -> FullRun:
    run = FullRun(base, data, tmp_path_factory.mktemp("full"))
    assert sum(run.rise_rejected_at(n) is not None for n in range(1, len(run.losses))) >= 2
    return run


def stopped(
    base: Path, data: TrainingSampler, folder: Path, rise: float
) -> tuple[FineTuningResult, Mapping[str, torch.Tensor]]:
    model = tiny_model(base)
    stopping = {"kind": "early-stopping", "every": EVERY, "rise": rise}
    chosen = strategy("projector+lora", stopping, **ARGUMENTS)
    result = finetune(model, data, chosen, folder, validation_texts=validation_texts())
    return result, dict(model.network.named_parameters())


def test_training_stops_at_the_last_accepted_weights(
    base: Path, data: TrainingSampler, tmp_path: Path, full_run: FullRun
) -> None:
    for evaluation in range(1, len(full_run.losses)):
        rise = full_run.rise_rejected_at(evaluation)
        for _ in range(0 if rise is None else 2):  # also when resumed
            result, weights = stopped(base, data, tmp_path / str(evaluation), rise or 0.0)
            assert result.stopped_early
            assert len(result.history) == EVERY * (evaluation - 1)
            for name, expected in full_run.weights[evaluation - 1].items():
                assert torch.equal(weights[name], expected), name


def test_training_without_a_rise_is_completed(
    base: Path, data: TrainingSampler, tmp_path: Path, full_run: FullRun
) -> None:
    result, weights = stopped(base, data, tmp_path, max(full_run.losses))
    assert not result.stopped_early
    expected = full_run.weights[-1]
    assert all(torch.equal(weights[name], tensor) for name, tensor in expected.items())
