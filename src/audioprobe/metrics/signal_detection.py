"""Signal detection theory for yes/no answers: sensitivity d' and criterion.

Conventions:
    Targets and answers are True/False or 1/0, shape (n_trials,): whether "yes" is right, and
    whether it was the answer. Trials with an invalid answer are left out by the caller. Undefined
    is None. Invalid arrays raise `InvalidInputError`.

    Rates of 0 and 1 have no normal score: for d' and criterion half a trial is added to each count
    (the log-linear rule, Hautus 1995).
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
        hit_rate: share of "yes" where it is right; None if it never is.
        false_alarm_rate: share of "yes" where it is wrong; None if it never is.
        d_prime: difference of the normal scores of both rates; 0 is chance, above 4 nearly perfect.
            None unless both rates are defined.
        criterion: above 0 is a bias to "no", below 0 to "yes"; None unless both rates are defined.
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
    """Return d' of many resamples at once, for `Bootstrap`."""
    return _combined_scores(targets, answers, 1.0, -1.0)


def criterion(targets: npt.ArrayLike, answers: npt.ArrayLike) -> Statistic:
    """Return the criterion of many resamples at once, for `Bootstrap`."""
    return _combined_scores(targets, answers, -0.5, -0.5)


def _combined_scores(
    targets: npt.ArrayLike, answers: npt.ArrayLike, hit_weight: float, false_alarm_weight: float
) -> Statistic:
    """Weighted sum of the normal scores of hit rate and false alarm rate."""
    right, yes = validate_predictions(targets, answers, n_dimensions=1)
    indicators = np.stack([right & yes, right, ~right & yes, ~right], axis=1).astype(np.float64)

    def statistic(counts: Float64Array) -> Float64Array:
        n_hits, n_right, n_false_alarms, n_wrong = (counts @ indicators).T
        hits = ndtri((n_hits + 0.5) / (n_right + 1))
        false_alarms = ndtri((n_false_alarms + 0.5) / (n_wrong + 1))
        combined = hit_weight * hits + false_alarm_weight * false_alarms
        return np.where((n_right > 0) & (n_wrong > 0), combined, np.nan)

    return statistic
