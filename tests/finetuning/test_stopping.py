"""A fine-tuning stops as soon as texts are read worse, at the weights of the look before."""

from pathlib import Path

import pytest
import torch

from audioprobe.finetuning.data import TrainingData
from audioprobe.finetuning.text_corpora import losses_of
from audioprobe.finetuning.trainer import FineTuningResult, finetune
from audioprobe.models.ltu.network import LTUNetwork
from audioprobe.progress import ProgressEvent
from audioprobe.training import checkpointing
from tests.tiny_tuning import strategy, tiny_files, watched

PLAN = {"steps": 10, "learning_rate": 5e-2, "save_every": 10}
TRAINS = "projector+lora"
EVERY = 2


def per_token(net: LTUNetwork) -> float:
    found = losses_of(net, watched())
    return sum(each.nats for each in found) / sum(each.n_tokens for each in found)


class Course:
    """How badly texts are read at each look of a training that does not stop, and its weights."""

    def __init__(self, base: Path, lessons: TrainingData, folder: Path) -> None:
        files = tiny_files(base)
        self.losses, self.weights = [per_token(files.net)], [dict[str, torch.Tensor]()]

        def progress(event: ProgressEvent) -> None:
            if event.done % EVERY == 0:
                self.losses.append(per_token(files.net))
                self.weights.append(checkpointing.copied(files.net))

        told = finetune(files, lessons, strategy(TRAINS, **PLAN), folder, progress=progress)
        self.weights[0] = told.before

    def rise_at(self, look: int) -> float | None:
        """What is first exceeded at a look; None where it is no new height."""
        highest = max(self.losses[:look])
        if self.losses[look] <= highest:
            return None
        return (highest + self.losses[look]) / 2 - self.losses[0]


@pytest.fixture(scope="module")
def course(base: Path, lessons: TrainingData, tmp_path_factory: pytest.TempPathFactory) -> Course:
    found = Course(base, lessons, tmp_path_factory.mktemp("course"))
    assert sum(found.rise_at(look) is not None for look in range(1, 6)) >= 2
    return found


def stopped(
    base: Path, lessons: TrainingData, folder: Path, rise: float
) -> tuple[FineTuningResult, dict[str, torch.Tensor]]:
    files = tiny_files(base)
    stopping = {"kind": "early-stopping", "every": EVERY, "rise": rise}
    chosen = strategy(TRAINS, stopping, **PLAN)
    told = finetune(files, lessons, chosen, folder, watched=watched())
    own = {name: p.detach() for name, p in files.net.named_parameters() if name in told.before}
    return told, own


def test_it_ends_at_the_look_before(
    base: Path, lessons: TrainingData, tmp_path: Path, course: Course
) -> None:
    for look in range(1, len(course.losses)):
        rise = course.rise_at(look)
        for _ in range(0 if rise is None else 2):  # and again, if it is asked again
            told, weights = stopped(base, lessons, tmp_path / str(look), rise or 0.0)
            assert told.stopped
            assert len(told.log) == EVERY * (look - 1)
            for name, tensor in weights.items():
                assert torch.equal(tensor, course.weights[look - 1][name]), name


def test_it_goes_on_to_its_end_if_texts_are_read_as_well(
    base: Path, lessons: TrainingData, tmp_path: Path, course: Course
) -> None:
    told, weights = stopped(base, lessons, tmp_path, max(course.losses))
    assert not told.stopped
    assert all(torch.equal(tensor, course.weights[-1][n]) for n, tensor in weights.items())
