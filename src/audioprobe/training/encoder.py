"""An audio encoder, trained as a classifier before a language model listens through it."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from audioprobe.nets.cavmae import CavMaeConfig, CavMaeEncoder
from audioprobe.training.loop import Plan, fit
from audioprobe.training.objectives import LabelLoss
from audioprobe.training.pool import Pool

_TIME_MASK, _MEL_MASK = 192, 32  # widest masks, in frames and mels, as for AST (Gong et al., 2021)


def train_encoder(
    config: CavMaeConfig,
    pool: Pool,
    plan: Plan,
    folder: str | Path,
    *,
    batch_size: int = 32,
    progress: Callable[[int, int, float], None] | None = None,
) -> LabelLoss:
    """Train an encoder and its head on the labels of a pool, resuming what the folder holds.

    Args:
        config: sizes of the encoder.
        pool: what to learn from.
        plan: how; its seed also draws the first weights, the order and the masks.
        folder: of this training alone.
        batch_size: clips per step and process.
        progress: called with steps done, steps in all, and the loss.

    Returns:
        Encoder and head, in evaluation mode.

    Raises:
        InvalidInputError, TrainingError: as `fit`.
    """
    with torch.random.fork_rng():
        torch.manual_seed(plan.seed)
        objective = LabelLoss(CavMaeEncoder(config), pool.labels.shape[1])

    def batch_at(step: int, process: int, n_processes: int) -> tuple[Tensor, Tensor]:
        rows = rows_at(len(pool), batch_size, step * n_processes + process, plan.seed)
        generator = torch.Generator().manual_seed(plan.seed * 7_919 + step)
        return masked(pool.spectrograms(rows), generator), pool.labels[rows].float()

    fit(objective, batch_at, plan, folder, progress=progress)
    return objective


@torch.inference_mode()
def scores(objective: LabelLoss, pool: Pool, batch_size: int = 32) -> Tensor:
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
    return torch.stack([orders[place // n_rows][place % n_rows] for place in places])


def masked(spectrograms: Tensor, generator: torch.Generator) -> Tensor:
    """A stretch of time and a band of mels of each clip set to the mean, 0 (Park et al., 2019).

    Args:
        spectrograms: shape (n_clips, n_frames, n_mels), normalised.
        generator: for widths and places.
    """
    n_clips, n_frames, n_mels = spectrograms.shape
    hidden = torch.zeros(n_clips, n_frames, n_mels, dtype=torch.bool)
    for size, widest, axis in ((n_frames, _TIME_MASK, 1), (n_mels, _MEL_MASK, 2)):
        width = torch.rand(n_clips, generator=generator) * min(widest, size)
        start = torch.rand(n_clips, generator=generator) * (size - width)
        place = torch.arange(size)
        inside = (place >= start[:, None]) & (place < (start + width)[:, None])
        hidden |= inside[:, :, None] if axis == 1 else inside[:, None, :]
    return spectrograms.masked_fill(hidden, 0.0)
