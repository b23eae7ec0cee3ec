"""Signal detection theory for yes/no answers: sensitivity d' and criterion.

Conventions:
    Targets and answers are True/False or 1/0, shape (n_trials,). A target is True if "yes" is the
    right answer, an answer is True if it is "yes". The caller excludes trials with an invalid
    answer. An undefined measure is None. Invalid arrays raise `InvalidInputError`.

    The normal score (quantile of the normal distribution) of a rate of 0 or 1 is infinite, so d'
    and criterion are computed with half a trial added to each count (log-linear rule, Hautus 1995).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from audioprobe.metrics.bootstrap import Statistic
from audioprobe.metrics.validation import validate_predictions
from audioprobe.types import Float64Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """Signal detection measures of yes/no answers.

    Attributes:
        accuracy: share of right answers, in [0, 1].
        yes_rate: share of "yes", in [0, 1].
        hit_rate: share of "yes" in trials whose right answer is "yes"; None if there are none.
        false_alarm_rate: share of "yes" in trials whose right answer is "no"; None if there are
            none.
        d_prime: normal score of the hit rate minus that of the false alarm rate; 0 is chance, above
            4 is nearly perfect. None if one of the rates is None.
        criterion: positive for a bias to "no", negative for a bias to "yes"; None if one of the
            rates is None.
        n: number of trials.
    """

    accuracy: float
    yes_rate: float
    hit_rate: float | None
    false_alarm_rate: float | None
    d_prime: float | None
    criterion: float | None
    n: int


def detection(targets: npt.ArrayLike, answers: npt.ArrayLike) -> Detection:
    """Return the signal detection measures of yes/no answers.

    Args:
        targets: shape (n_trials,); True or 1 where "yes" is right.
        answers: shape (n_trials,); True or 1 where the answer is "yes".
    """
    right, yes = validate_predictions(targets, answers, n_dimensions=1)
    defined = right.any() and not right.all()
    once = np.ones((1, len(right)))
    return Detection(
        accuracy=float((right == yes).mean()),
        yes_rate=float(yes.mean()),
        hit_rate=float(yes[right].mean()) if right.any() else None,
        false_alarm_rate=float(yes[~right].mean()) if not right.all() else None,
        d_prime=float(d_prime(right, yes)(once)[0]) if defined else None,
        criterion=float(criterion(right, yes)(once)[0]) if defined else None,
        n=len(right),
    )


def d_prime(targets: npt.ArrayLike, answers: npt.ArrayLike) -> Statistic:
    """Return a function that computes d' of many resamples, for `Bootstrap`."""
    return _combined_scores(targets, answers, 1.0, -1.0)


def criterion(targets: npt.ArrayLike, answers: npt.ArrayLike) -> Statistic:
    """Return a function that computes the criterion of many resamples, for `Bootstrap`."""
    return _combined_scores(targets, answers, -0.5, -0.5)


def _combined_scores(
    targets: npt.ArrayLike, answers: npt.ArrayLike, hit_weight: float, false_alarm_weight: float
) -> Statistic:
    """Return a function for a weighted sum of the normal scores of hit and false alarm rate."""
    right, yes = validate_predictions(targets, answers, n_dimensions=1)
    indicators = np.stack([right & yes, right, ~right & yes, ~right], axis=1).astype(np.float64)

    def statistic(counts: Float64Array) -> Float64Array:
        n_hits, n_right, n_false_alarms, n_wrong = (counts @ indicators).T
        hits = ndtri((n_hits + 0.5) / (n_right + 1))
        false_alarms = ndtri((n_false_alarms + 0.5) / (n_wrong + 1))
        combined = hit_weight * hits + false_alarm_weight * false_alarms
        return np.where((n_right > 0) & (n_wrong > 0), combined, np.nan)

    return statistic
