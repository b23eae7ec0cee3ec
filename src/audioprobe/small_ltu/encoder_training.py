"""An audio encoder, trained as a classifier before a language model listens through it."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from audioprobe.errors import InvalidInputError, WeightsError
from audioprobe.models.ltu.audio_encoder import CavMaeConfig, CavMaeEncoder
from audioprobe.progress import ProgressCallback, ignore_progress
from audioprobe.training import checkpointing
from audioprobe.training.objectives import LabelBatch, LabelKind, LabelLoss
from audioprobe.training.spec_augment import kept_patches, view
from audioprobe.training.spectrogram_cache import SpectrogramCache
from audioprobe.training.trainer import STATE, TrainingArguments, train


@dataclass(frozen=True, slots=True)
class Lesson:
    """How an encoder is taught to classify.

    A new encoder finds nothing to hold on to in mixtures: let it begin with single sources, without
    changed views, and the labels competing.

    Attributes:
        plan: steps and learning rate; its seed also draws order and views.
        loss: "softmax" lets labels compete, "sigmoid" tells each by itself.
        single: only clips of one label.
        views: show changed views of the clips.
        seen: share of the patches that the encoder sees of a clip; fewer are faster.
        batch_size: clips per step and process.
    """

    plan: TrainingArguments
    loss: LabelKind = "sigmoid"
    single: bool = False
    views: bool = True
    seen: float = 1.0
    batch_size: int = 32

    def __post_init__(self) -> None:
        if not 0 < self.seen <= 1 or self.batch_size < 1:
            raise InvalidInputError(
                f"A lesson needs 0 < seen <= 1 and batch_size >= 1, got {self.seen} and "
                f"{self.batch_size}."
            )


def new_classifier(config: CavMaeConfig, n_labels: int, seed: int) -> LabelLoss:
    """An encoder and its head with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LabelLoss(CavMaeEncoder(config), n_labels)


def read_classifier(config: CavMaeConfig, n_labels: int, folder: str | Path) -> LabelLoss:
    """The encoder and its head that a training left in its folder.

    Raises:
        WeightsError: if there is no state, it is damaged, or it is of something else or of other
            sizes.
    """
    objective = new_classifier(config, n_labels, seed=0)
    path = Path(folder) / STATE
    if not checkpointing.restore(objective, checkpointing.load(path)["weights"]):
        raise WeightsError(f"{path}: not the state of an encoder with its head, of these sizes.")
    return objective.eval()


def train_encoder(
    objective: LabelLoss,
    pool: SpectrogramCache,
    lesson: Lesson,
    folder: str | Path,
    *,
    progress: ProgressCallback = ignore_progress,
) -> list[dict[str, float]]:
    """Train an encoder and its head on the labels of a pool, resuming what the folder holds.

    Args:
        objective: changed in place; in evaluation mode afterwards.
        pool: what to learn from.
        lesson: how.
        folder: of this training alone.
        progress: called after every step; the note has the loss.

    Returns:
        The log of `train`.

    Raises:
        InvalidInputError, TrainingError: as `train`; and if no clip has a single label, where only
            such clips are wanted.
    """
    config, seed = objective.encoder.config, lesson.plan.seed
    n_labels = pool.labels.sum(dim=1)
    chosen = torch.nonzero((n_labels == 1) if lesson.single else (n_labels >= 0))[:, 0]
    if not len(chosen):
        raise InvalidInputError("No clip has a single label: the lesson has nothing to teach.")
    objective.kind = lesson.loss
    n_patches = config.n_bands * config.n_steps
    n_seen = max(1, round(lesson.seen * n_patches))

    def batch_at(step: int, process: int, n_processes: int) -> LabelBatch:
        number = step * n_processes + process
        rows = chosen[rows_at(len(chosen), lesson.batch_size, number, seed)]
        generator = torch.Generator().manual_seed(seed * 7_919 + number)
        heard, labels = pool.spectrograms(rows), pool.labels[rows].float()
        if lesson.views:
            heard, labels = view(heard, labels, generator)
        return LabelBatch(heard, labels, kept_patches(len(rows), n_patches, n_seen, generator))

    return train(objective, batch_at, lesson.plan, folder, progress=progress)


@torch.inference_mode()
def scores(objective: LabelLoss, pool: SpectrogramCache, batch_size: int = 32) -> Tensor:
    """Probability of every label in every clip, shape (n_clips, n_labels)."""
    starts = range(0, len(pool), batch_size)
    batches = (torch.arange(at, min(at + batch_size, len(pool))) for at in starts)
    return torch.cat([objective.logits(pool.spectrograms(some)).sigmoid() for some in batches])


def rows_at(n_rows: int, batch_size: int, number: int, seed: int) -> Tensor:
    """Rows of a batch: every row once before any comes again, in an order of its own each time.

    Args:
        n_rows: to choose from.
        batch_size: rows wanted.
        number: of the batch.
        seed: another one orders otherwise.
    """
    places = range(number * batch_size, (number + 1) * batch_size)
    orders = {
        k: torch.randperm(n_rows, generator=torch.Generator().manual_seed(seed * 104_729 + k))
        for k in {place // n_rows for place in places}
    }
    rows = [int(orders[place // n_rows][place % n_rows]) for place in places]
    return torch.tensor(rows, dtype=torch.long)
