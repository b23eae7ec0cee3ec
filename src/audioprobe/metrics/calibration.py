"""Calibration of probabilities: Platt scaling, reliability curve, calibration error, Brier score.

Conventions:
    Targets are True/False or 1/0, probabilities are in [0, 1], both of shape (n_items,). Invalid
    arrays raise `InvalidInputError`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.bootstrap import Statistic
from audioprobe.metrics.validation import validate
from audioprobe.types import BoolArray, Float64Array, FloatArray


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Summary of the items whose predicted probability lies in one interval.

    Attributes:
        low: lower edge, inclusive.
        high: upper edge, exclusive except in the last bin.
        n: number of items, at least 1.
        mean_probability: mean predicted probability, in [0, 1].
        positive_rate: share of positives, in [0, 1].
    """

    low: float
    high: float
    n: int
    mean_probability: float
    positive_rate: float


@dataclass(frozen=True, slots=True)
class Platt:
    """Platt scaling: probability = 1 / (1 + exp(-slope * score - offset)) (Platt 1999).

    Attributes:
        slope: positive if higher scores mean "more likely present".
        offset: log-odds at a score of 0.
    """

    slope: float
    offset: float

    @classmethod
    def fit(cls, targets: npt.ArrayLike, scores: npt.ArrayLike) -> "Platt":
        """Fit the logistic curve to Platt's smoothed targets, so that slope and offset are finite.

        Args:
            targets: shape (n_items,), with both positives and negatives.
            scores: shape (n_items,), finite. Use other items than the items to be calibrated.

        Raises:
            InvalidInputError: if an array is invalid, or all targets are equal.
        """
        present, values = validate(targets, scores, n_dimensions=1)
        n_positive, n_negative = int(present.sum()), int((~present).sum())
        if not n_positive or not n_negative:
            raise InvalidInputError(
                "Platt scaling needs positives and negatives, got "
                f"{n_positive} positives and {n_negative} negatives."
            )
        # An item with a smoothed target counts as one positive and one negative with fractional
        # weights.
        smoothed = np.where(present, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))
        center, scale = float(values.mean()), float(values.std()) or 1.0
        standardized = np.tile((values - center) / scale, 2)[:, None]
        regression = LogisticRegression(C=np.inf, tol=1e-9, max_iter=1000).fit(
            standardized,
            np.repeat([True, False], len(values)),
            sample_weight=np.concatenate([smoothed, 1 - smoothed]),
        )
        slope, offset = float(regression.coef_[0, 0]), float(regression.intercept_[0])
        return cls(slope / scale, offset - slope * center / scale)

    def __call__(self, scores: npt.ArrayLike) -> Float64Array:
        """Return the probability for each score, in an array of the same shape."""
        logits = self.slope * np.asarray(scores, dtype=np.float64) + self.offset
        return np.asarray(expit(logits), dtype=np.float64)


def reliability(
    targets: npt.ArrayLike, probabilities: npt.ArrayLike, *, n_bins: int = 10
) -> tuple[CalibrationBin, ...]:
    """Return the reliability curve: one `CalibrationBin` per bin that is not empty.

    Args:
        targets: shape (n_items,).
        probabilities: shape (n_items,), in [0, 1].
        n_bins: number of bins of equal width, at least 1.
    """
    present, predicted = _validate_probabilities(targets, probabilities, n_dimensions=1)
    if n_bins < 1:
        raise InvalidInputError(f"Calibration needs n_bins >= 1, got {n_bins}.")
    bin_of = _bin_numbers(predicted, n_bins)
    # scikit-learn's `calibration_curve` returns neither the counts nor the edges of its bins.
    counts, probability_sums, positives = (
        np.bincount(bin_of, weights=weights, minlength=n_bins)
        for weights in (None, predicted, present)
    )
    return tuple(
        CalibrationBin(
            low=k / n_bins,
            high=(k + 1) / n_bins,
            n=int(counts[k]),
            mean_probability=float(probability_sums[k] / counts[k]),
            positive_rate=float(positives[k] / counts[k]),
        )
        for k in np.flatnonzero(counts).tolist()
    )


def expected_calibration_error(
    targets: npt.ArrayLike, probabilities: npt.ArrayLike, *, n_bins: int = 10
) -> float:
    """Return the expected calibration error (Naeini et al. 2015), in [0, 1].

    In each bin, the error is the absolute difference of mean probability and share of positives.
    The result is the mean over bins, weighted by their numbers of items. See `reliability` for the
    arguments.
    """
    bins = reliability(targets, probabilities, n_bins=n_bins)
    distances = sum(b.n * abs(b.mean_probability - b.positive_rate) for b in bins)
    return distances / sum(b.n for b in bins)


def resampled_calibration_error(
    targets: npt.ArrayLike, probabilities: npt.ArrayLike, *, n_bins: int = 10
) -> Statistic:
    """Return a function that computes the calibration error of many resamples, for `Bootstrap`.

    Args:
        targets: shape (n_clips, n_labels).
        probabilities: shape (n_clips, n_labels), in [0, 1].
        n_bins: number of bins of equal width.
    """
    present, predicted = _validate_probabilities(targets, probabilities, n_dimensions=2)
    bin_of = _bin_numbers(predicted, n_bins)
    # Sum of probability minus target, shape (n_clips, n_bins).
    excess = np.stack(
        [((predicted - present) * (bin_of == k)).sum(axis=1) for k in range(n_bins)], axis=1
    )

    def statistic(counts: Float64Array) -> Float64Array:
        n_items: Float64Array = counts.sum(axis=1) * present.shape[1]
        total: Float64Array = np.abs(counts @ excess).sum(axis=1)
        return np.divide(total, n_items, out=np.full_like(total, np.nan), where=n_items > 0)

    return statistic


def brier(targets: npt.ArrayLike, probabilities: npt.ArrayLike) -> float:
    """Return the mean squared difference of probabilities and targets (Brier 1950), in [0, 1]."""
    present, predicted = _validate_probabilities(targets, probabilities, n_dimensions=1)
    return float(brier_score_loss(present, predicted, pos_label=True))


def _bin_numbers(probabilities: FloatArray, n_bins: int) -> npt.NDArray[np.int64]:
    return np.minimum((probabilities * n_bins).astype(np.int64), n_bins - 1)


def _validate_probabilities(
    targets: npt.ArrayLike, probabilities: npt.ArrayLike, *, n_dimensions: int
) -> tuple[BoolArray, FloatArray]:
    present, values = validate(targets, probabilities, n_dimensions=n_dimensions)
    if values.min() < 0 or values.max() > 1:
        raise InvalidInputError(
            f"Calibration needs probabilities in [0, 1], got {values.min():g} to "
            f"{values.max():g}. Convert cosines and log-likelihoods with `Platt` first."
        )
    return present, values
