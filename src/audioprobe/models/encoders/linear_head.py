"""Linear multi-label head on feature vectors, fitted by logistic regression on clips.

Conventions:
    The logit of a label in a frame (one feature vector) is w · x + b. The logit of a clip is the
    log-mean-exp of the logits of its T frames, log(sum(exp(logit)) / T): a smooth maximum, so one
    loud frame suffices for a label, and frames without the source need no evidence. Labels of clips
    then teach which frames contain the source (multiple-instance learning). With one frame per
    clip, this is logistic regression.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import logsumexp
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from audioprobe.errors import InvalidInputError, NonFiniteError, TrainingError
from audioprobe.metrics.grouping import grouped
from audioprobe.metrics.validation import validate_binary
from audioprobe.types import BoolArray, Float64Array, FloatArray

PENALTIES = (1e-2, 1e-3, 1e-4)
"""Penalties of which the best on held-out groups is chosen."""

_HELD_OUT = 0.2  # share of the groups that the penalty is chosen on
_BATCH = 32  # clips per step: on 8,000 clips, larger batches were worse after the same epochs
_EPOCHS = 8
_FEWEST_STEPS = 500  # of a fit to few clips
_LEARNING_RATE = 0.02  # for standardized features; decreases linearly to 0
_RELATIVE_ROUNDING = 1e-6  # a smaller relative standard deviation is a rounding error


@dataclass(frozen=True, slots=True, eq=False)
class LinearHead:
    """Weights of a linear multi-label head.

    Attributes:
        weights: float32, shape (n_labels, width).
        bias: float32, shape (n_labels,).
        penalty: factor of the L2 penalty in the fit.
    """

    weights: FloatArray
    bias: FloatArray
    penalty: float

    def frame_logits(self, features: FloatArray) -> Float64Array:
        """Return the logit of each label in each frame, shape (n_frames, n_labels).

        Args:
            features: shape (n_frames, width).
        """
        logits: Float64Array = features.astype(np.float64) @ self.weights.T + self.bias
        return logits

    def clip_logits(self, features: FloatArray) -> Float64Array:
        """Return the logit of each label in a clip, shape (n_labels,).

        Args:
            features: feature vectors of the clip, shape (n_frames, width).
        """
        return pooled_logits(self.frame_logits(features))


def pooled_logits(logits: npt.ArrayLike) -> Float64Array:
    """Return the logits of a clip, the log-mean-exp of those of its frames, shape (n_labels,).

    Args:
        logits: shape (n_frames, n_labels).
    """
    frames = np.asarray(logits, dtype=np.float64)
    pooled: Float64Array = logsumexp(frames, axis=0) - np.log(len(frames))
    return pooled


def fit_linear_head(
    features: Iterable[npt.ArrayLike],
    targets: npt.ArrayLike,
    *,
    penalty: float | Sequence[float] = PENALTIES,
    groups: Sequence[Hashable] | None = None,
    seed: int = 0,
) -> LinearHead:
    """Fit a linear head to the labels of clips, with Adam in float32 on the CPU.

    The loss is the binary cross-entropy of the clip logits, summed over labels and averaged over
    clips, plus penalty / 2 times the sum of squared weights on standardized features. The fit
    starts from weights of 0 and ends after 8 epochs, or after 500 steps on few clips, so it does
    not reach the minimum exactly.

    Args:
        features: shape (n_clips, n_frames, width), or an array of shape (n_frames, width) for each
            clip.
        targets: shape (n_clips, n_labels); True or 1 where a clip has a label.
        penalty: factor of the L2 penalty, positive. Of several, the one with the lowest
            cross-entropy on a fifth of the groups is chosen; the head is then fitted to all clips.
        groups: group of each clip, such as its recording; a group is not divided. None means that
            each clip is its own group.
        seed: seed of the choice of the held-out groups, and of the order of the clips.

    Raises:
        InvalidInputError: if an array has another shape, a clip has no frame, or there are too few
            groups to choose a penalty.
        NonFiniteError: if a feature is NaN or infinite.
        TrainingError: if the fit diverged.
    """
    present = validate_binary(targets, "targets", n_dimensions=2)
    penalties = [penalty] if isinstance(penalty, int | float) else sorted(set(penalty))[::-1]
    if not penalties or not 0 < penalties[-1] <= penalties[0] < np.inf:
        raise InvalidInputError(f"The penalty must be positive and finite, got {penalty}.")
    frames, n_frames = _padded(features, len(present))
    mean, scale = _standardize(frames, n_frames)
    clips = _Clips(frames, n_frames, torch.tensor(present, dtype=torch.float32))
    best = penalties[0]
    if len(penalties) > 1:
        is_held_out = torch.from_numpy(held_out_clips(len(present), groups, seed))
        train, test = clips.only(~is_held_out), clips.only(is_held_out)
        best = _lowest_loss(train, test, penalties, seed)
    fitted = clips.fit(best, seed).double()
    slopes = fitted[:, :-1] / scale
    bias = fitted[:, -1] - slopes @ mean
    return LinearHead(slopes.float().numpy(), bias.float().numpy(), best)


def held_out_clips(n_clips: int, groups: Sequence[Hashable] | None, seed: int) -> BoolArray:
    """Return which clips belong to a random fifth of the groups, shape (n_clips,).

    Args:
        n_clips: number of clips.
        groups: group of each clip; None means that each clip is its own group.
        seed: random seed.

    Raises:
        InvalidInputError: if there are fewer than 2 groups.
    """
    grouping = grouped(n_clips, groups)
    if grouping.n_groups < 2:
        raise InvalidInputError(
            f"Expected clips of at least 2 groups, to hold some out, got {grouping.n_groups}. Pass "
            "one penalty, or clips of more groups."
        )
    n_held_out = max(1, round(_HELD_OUT * grouping.n_groups))
    chosen = np.random.default_rng(seed).permutation(grouping.n_groups)[:n_held_out]
    return np.isin(grouping.of_item, chosen)


@dataclass(frozen=True, slots=True, eq=False)
class _Clips:
    """Training clips on the CPU. Weights have the shape (n_labels, width + 1), with the bias last.

    Attributes:
        frames: standardized features, shape (n_clips, largest number of frames, width).
        n_frames: number of frames of each clip, shape (n_clips,); later frames are ignored.
        targets: 0 or 1, shape (n_clips, n_labels).
    """

    frames: Tensor
    n_frames: Tensor
    targets: Tensor

    def only(self, rows: Tensor) -> "_Clips":
        """Return some of the clips, by their indices or a boolean mask."""
        return _Clips(self.frames[rows], self.n_frames[rows], self.targets[rows])

    def initial_weights(self) -> Tensor:
        """Return weights with the frequency of each label as its probability in every clip."""
        n_labels, width = self.targets.shape[1], self.frames.shape[2]
        frequencies = (self.targets.sum(0) + 0.5) / (len(self.targets) + 1)
        return torch.cat([torch.zeros(n_labels, width), frequencies.logit()[:, None]], dim=1)

    def loss(self, weights: Tensor) -> Tensor:
        """Return the cross-entropy of the clip logits: sum over labels, mean over clips."""
        logits = self.frames @ weights[:, :-1].T + weights[:, -1]
        longest = self.frames.shape[1]
        if int(self.n_frames.min()) < longest:
            is_padding = torch.arange(longest) >= self.n_frames[:, None]
            logits = logits.masked_fill(is_padding[:, :, None], -torch.inf)
        pooled = logits.logsumexp(dim=1) - self.n_frames.log()[:, None]
        total = binary_cross_entropy_with_logits(pooled, self.targets, reduction="sum")
        return total / len(self.targets)

    def fit(self, penalty: float, seed: int) -> Tensor:
        """Return the weights that minimise the penalized loss."""
        weights = self.initial_weights().requires_grad_()
        optimizer = torch.optim.Adam([weights], lr=_LEARNING_RATE)
        n_clips = len(self.targets)
        n_steps = max(_FEWEST_STEPS, _EPOCHS * n_clips // _BATCH)
        decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, n_steps)
        for rows in _batches(n_clips, n_steps, seed):
            optimizer.zero_grad()
            penalized = self.only(rows).loss(weights)
            penalized = penalized + penalty / 2 * weights[:, :-1].square().sum()
            penalized.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            decay.step()
        if not torch.isfinite(weights).all():
            raise TrainingError(
                "The fit of the linear head diverged. Use a larger penalty, or check the features."
            )
        return weights.detach()


def _batches(n_clips: int, n_steps: int, seed: int) -> Iterator[Tensor]:
    """Yield the clips of each step; the order is shuffled in each epoch."""
    generator = torch.Generator().manual_seed(seed)
    waiting = torch.zeros(0, dtype=torch.int64)
    for _ in range(n_steps):
        if len(waiting) < min(_BATCH, n_clips):
            waiting = torch.randperm(n_clips, generator=generator)
        yield waiting[:_BATCH]
        waiting = waiting[_BATCH:]


def _lowest_loss(train: _Clips, test: _Clips, penalties: Sequence[float], seed: int) -> float:
    """Return the penalty whose fit to `train` has the lowest loss on `test`."""
    losses = [float(test.loss(train.fit(penalty, seed))) for penalty in penalties]
    return penalties[int(np.argmin(losses))]


def _padded(features: Iterable[npt.ArrayLike], n_clips: int) -> tuple[Tensor, Tensor]:
    """Return features as float32, shape (n_clips, n_frames, width), and the frames of each clip."""
    clips = [np.asarray(clip) for clip in features]
    shapes = {clip.shape[1:] if clip.ndim == 2 and len(clip) else None for clip in clips}
    if len(clips) != n_clips or len(shapes) != 1 or None in shapes:
        raise InvalidInputError(
            f"Expected features of {n_clips} clips, as in the targets, with shape (n_frames, "
            f"width), at least one frame and one width, got {len(clips)} clips with frames of "
            f"shapes {sorted({clip.shape for clip in clips})[:3]}."
        )
    n_frames = torch.tensor([len(clip) for clip in clips], dtype=torch.float32)
    frames = torch.zeros(n_clips, max(map(len, clips)), clips[0].shape[1])
    for number, clip in enumerate(clips):
        frames[number, : len(clip)] = torch.from_numpy(clip.astype(np.float32))
    if not torch.isfinite(frames).all():
        raise NonFiniteError(
            f"Expected finite features, got NaN or infinity. {NonFiniteError.ADVICE}"
        )
    return frames, n_frames


def _standardize(frames: Tensor, n_frames: Tensor) -> tuple[Tensor, Tensor]:
    """Standardize features in place; return their mean and scale, float64, shape (width,)."""
    n_total = float(n_frames.sum())
    mean = frames.sum(dim=(0, 1), dtype=torch.float64) / n_total
    squares = torch.zeros_like(mean)
    for clip, length in zip(frames, n_frames.int().tolist(), strict=True):
        clip[:length] -= mean.float()
        squares += clip[:length].double().square().sum(dim=0)
    scale = (squares / n_total).sqrt()
    is_constant = scale <= _RELATIVE_ROUNDING * mean.abs()
    scale = torch.where(is_constant, 1.0, scale)
    frames /= scale.float()
    return mean, scale
