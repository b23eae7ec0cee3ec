"""Are scores that read as probabilities true to their word?

Conventions:
    Targets are True/False or 1/0, probabilities in [0, 1], both of shape (n_items,).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.validation import validate
from audioprobe.types import BoolArray, FloatArray


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
    where = np.minimum((said * n_bins).astype(np.int64), n_bins - 1)
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


def brier(targets: npt.ArrayLike, probabilities: npt.ArrayLike) -> float:
    """Mean squared distance of probabilities from 0 and 1 (Brier 1950), in [0, 1].

    Raises:
        InvalidInputError: as `reliability`.
    """
    truth, said = _validated(targets, probabilities)
    return float(np.mean((said - truth) ** 2))


def _validated(
    targets: npt.ArrayLike, probabilities: npt.ArrayLike
) -> tuple[BoolArray, FloatArray]:
    truth, said = validate(targets, probabilities, n_dimensions=1)
    if said.min() < 0 or said.max() > 1:
        raise InvalidInputError(
            f"Calibration needs probabilities in [0, 1], got {said.min():g} to {said.max():g}. "
            "Cosines and log-likelihoods are no probabilities."
        )
    return truth, said


def _bin(number: int, n_bins: int, truth: BoolArray, said: FloatArray, inside: BoolArray) -> Bin:
    return Bin(
        low=float(number / n_bins),
        high=float((number + 1) / n_bins),
        n=int(np.count_nonzero(inside)),
        said=float(said[inside].mean()),
        true=float(truth[inside].mean()),
    )
