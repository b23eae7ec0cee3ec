"""Are scores that read as probabilities true to their word?

Conventions:
    Targets are True/False or 1/0, probabilities in [0, 1], both of shape (n_items,).
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.bootstrap import Statistic
from audioprobe.metrics.validation import validate
from audioprobe.types import BoolArray, Float64Array, FloatArray

_STEPS = 100
_TOLERANCE = 1e-10


@dataclass(frozen=True, slots=True)
class Bin:
    """Items whose probabilities are alike.

    Attributes:
        low: its lower edge; the edge belongs to it.
        high: its upper edge; that of the last bin belongs to it.
        n: items in it, at least one.
        said: mean probability.
        true: share of positives.
    """

    low: float
    high: float
    n: int
    said: float
    true: float


@dataclass(frozen=True, slots=True)
class Platt:
    """Scores to probabilities by a logistic curve (Platt 1999): 1 / (1 + exp(-slope s - offset)).

    Cosines and log-likelihoods are no probabilities; fitted on other clips, this makes them some.

    Attributes:
        slope: above 0 where higher scores mean "more likely present".
        offset: log-odds at a score of 0.
    """

    slope: float
    offset: float

    @classmethod
    def fit(cls, targets: npt.ArrayLike, scores: npt.ArrayLike) -> "Platt":
        """The likeliest curve, with Platt's targets, which keep it finite where all is separable.

        Args:
            targets: shape (n_items,).
            scores: shape (n_items,), finite, of other items than those to be judged.

        Raises:
            InvalidInputError: if shapes differ, there are no items, or not both answers are there.
        """
        truth, values = validate(targets, scores, n_dimensions=1)
        n_true, n_false = int(truth.sum()), int((~truth).sum())
        if not n_true or not n_false:
            raise InvalidInputError(
                f"A curve needs both answers, got {n_true} present and {n_false} absent."
            )
        wanted = np.where(truth, (n_true + 1) / (n_true + 2), 1 / (n_false + 2))
        center, width = float(values.mean()), float(values.std()) or 1.0
        slope, offset = _logistic((values - center) / width, wanted)
        return cls(slope / width, offset - slope * center / width)

    def __call__(self, scores: npt.ArrayLike) -> Float64Array:
        """Probabilities, of the shape of the scores."""
        logits = self.slope * np.asarray(scores, dtype=np.float64) + self.offset
        found: Float64Array = np.exp(-np.logaddexp(0.0, -logits))
        return found


def reliability(
    targets: npt.ArrayLike, probabilities: npt.ArrayLike, *, n_bins: int = 10
) -> tuple[Bin, ...]:
    """The reliability curve: what was said and what was true, bin by bin; empty bins are left out.

    Args:
        targets: shape (n_items,).
        probabilities: shape (n_items,), in [0, 1].
        n_bins: of equal width.

    Raises:
        InvalidInputError: if shapes differ, there are no items, or a probability is none.
    """
    truth, said = _validated(targets, probabilities)
    if n_bins < 1:
        raise InvalidInputError(f"Calibration needs n_bins >= 1, got {n_bins}.")
    where = _bins(said, n_bins)
    return tuple(_bin(number, n_bins, truth, said, where == number) for number in np.unique(where))


def expected_calibration_error(
    targets: npt.ArrayLike, probabilities: npt.ArrayLike, *, n_bins: int = 10
) -> float:
    """Mean distance between what was said and what was true (Naeini et al. 2015), in [0, 1].

    Raises:
        InvalidInputError: as `reliability`.
    """
    bins = reliability(targets, probabilities, n_bins=n_bins)
    return sum(b.n * abs(b.said - b.true) for b in bins) / sum(b.n for b in bins)


def resampled_calibration_error(
    targets: npt.ArrayLike, probabilities: npt.ArrayLike, *, n_bins: int = 10
) -> Statistic:
    """The expected calibration error of many resamples of clips at once, for `Bootstrap`.

    Args:
        targets: shape (n_clips, n_labels).
        probabilities: of the same shape, in [0, 1].
        n_bins: of equal width.

    Raises:
        InvalidInputError: as `reliability`.
    """
    truth, said = validate(targets, probabilities, n_dimensions=2)
    _refuse_unlike_probabilities(said)
    where = _bins(said, n_bins)
    # Of every clip and bin: by how much more was said than was true.
    excess = np.stack([((said - truth) * (where == n)).sum(axis=1) for n in range(n_bins)], axis=1)

    def statistic(counts: Float64Array) -> Float64Array:
        n_items: Float64Array = counts.sum(axis=1) * truth.shape[1]
        total: Float64Array = np.abs(counts @ excess).sum(axis=1)
        found = np.full_like(total, np.nan)
        return np.divide(total, n_items, out=found, where=n_items > 0)

    return statistic


def brier(targets: npt.ArrayLike, probabilities: npt.ArrayLike) -> float:
    """Mean squared distance of probabilities from 0 and 1 (Brier 1950), in [0, 1].

    Raises:
        InvalidInputError: as `reliability`.
    """
    truth, said = _validated(targets, probabilities)
    return float(np.mean((said - truth) ** 2))


def _bins(said: FloatArray, n_bins: int) -> npt.NDArray[np.int64]:
    found: npt.NDArray[np.int64] = np.minimum((said * n_bins).astype(np.int64), n_bins - 1)
    return found


def _logistic(values: FloatArray, wanted: FloatArray) -> tuple[float, float]:
    """Slope and offset by Newton's method; the problem is convex, so halved steps always end."""
    design = np.stack([values, np.ones_like(values)], axis=1).astype(np.float64)
    found = np.zeros(2)

    def loss(weights: Float64Array) -> float:
        logits = design @ weights
        return float(np.sum(np.logaddexp(0.0, logits) - wanted * logits))

    for _ in range(_STEPS):
        said = 1 / (1 + np.exp(-(design @ found)))
        slope = design.T @ (said - wanted)
        curvature = design.T @ (design * (said * (1 - said))[:, None]) + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, slope)
        while loss(found - step) > loss(found) and np.abs(step).max() > _TOLERANCE:
            step = step / 2
        found = found - step
        if math.hypot(*step) < _TOLERANCE:
            break
    return float(found[0]), float(found[1])


def _validated(
    targets: npt.ArrayLike, probabilities: npt.ArrayLike
) -> tuple[BoolArray, FloatArray]:
    truth, said = validate(targets, probabilities, n_dimensions=1)
    _refuse_unlike_probabilities(said)
    return truth, said


def _refuse_unlike_probabilities(said: FloatArray) -> None:
    if said.min() < 0 or said.max() > 1:
        raise InvalidInputError(
            f"Calibration needs probabilities in [0, 1], got {said.min():g} to {said.max():g}. "
            "Cosines and log-likelihoods are no probabilities: `Platt` makes them some."
        )


def _bin(number: int, n_bins: int, truth: BoolArray, said: FloatArray, inside: BoolArray) -> Bin:
    return Bin(
        low=float(number / n_bins),
        high=float((number + 1) / n_bins),
        n=int(np.count_nonzero(inside)),
        said=float(said[inside].mean()),
        true=float(truth[inside].mean()),
    )
