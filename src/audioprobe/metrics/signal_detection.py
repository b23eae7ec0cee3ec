"""Signal detection: can yes be told from no, and which of the two is said too often?

Conventions:
    Targets and answers hold True/False or 1/0, shape (n_trials,): whether "yes" is right, and
    whether it was said. Answers that could not be read take no part and are counted by the caller.
    Undefined is None.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from audioprobe.metrics.bootstrap import Statistic
from audioprobe.metrics.validation import validate_predictions
from audioprobe.types import Float64Array

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Detection:
    """How yes and no were told apart.

    Attributes:
        accuracy: share of right answers, in [0, 1].
        yes_rate: share of "yes", in [0, 1].
        hit_rate: share of "yes" where it is right; None where it never is.
        false_alarm_rate: share of "yes" where it is wrong; None where it never is.
        d_prime: distance of both in units of the normal distribution; 0 cannot tell, above 4 hardly
            errs. None unless both rates are there.
        criterion: above 0 leans to "no", below 0 to "yes"; None unless both rates are there.
        n: trials.
    """

    accuracy: float
    yes_rate: float
    hit_rate: float | None
    false_alarm_rate: float | None
    d_prime: float | None
    criterion: float | None
    n: int


def detection(targets: npt.ArrayLike, answers: npt.ArrayLike) -> Detection:
    """Signal detection of yes-or-no answers.

    Rates of 0 and 1 have no normal score: half a trial is added to each count (the log-linear rule,
    Hautus 1995), for d' and criterion alone.

    Args:
        targets: shape (n_trials,); True or 1 where "yes" is right.
        answers: shape (n_trials,); True or 1 where "yes" was said.

    Raises:
        InvalidInputError: if shapes differ, there are no trials, or either is not binary.
    """
    right, said = validate_predictions(targets, answers, n_dimensions=1)
    n_yes, n_no = int(right.sum()), int((~right).sum())
    hits, alarms = int((right & said).sum()), int((~right & said).sum())
    d_prime = criterion = None
    if n_yes and n_no:
        hit, alarm = _score(hits, n_yes), _score(alarms, n_no)
        d_prime, criterion = hit - alarm, -(hit + alarm) / 2
    return Detection(
        accuracy=float((right == said).mean()),
        yes_rate=float(said.mean()),
        hit_rate=hits / n_yes if n_yes else None,
        false_alarm_rate=alarms / n_no if n_no else None,
        d_prime=d_prime,
        criterion=criterion,
        n=len(right),
    )


def d_prime(targets: npt.ArrayLike, answers: npt.ArrayLike) -> Statistic:
    """D' of many resamples at once, for `Bootstrap`; see `detection`.

    Raises:
        InvalidInputError: as `detection`.
    """
    return _of_both(targets, answers, lambda hit, alarm: hit - alarm)


def criterion(targets: npt.ArrayLike, answers: npt.ArrayLike) -> Statistic:
    """The criterion of many resamples at once, for `Bootstrap`; see `detection`.

    Raises:
        InvalidInputError: as `detection`.
    """
    return _of_both(targets, answers, lambda hit, alarm: -(hit + alarm) / 2)


def _of_both(
    targets: npt.ArrayLike, answers: npt.ArrayLike, combined: Callable[[float, float], float]
) -> Statistic:
    """What comes of the normal scores of hits and false alarms."""
    right, said = validate_predictions(targets, answers, n_dimensions=1)
    marks = np.stack([right & said, right, ~right & said, ~right], axis=1).astype(np.float64)

    def statistic(counts: Float64Array) -> Float64Array:
        hits, n_yes, alarms, n_no = (counts @ marks).T
        found = np.full(len(counts), np.nan)
        for row in np.flatnonzero((n_yes > 0) & (n_no > 0)):
            found[row] = combined(_score(hits[row], n_yes[row]), _score(alarms[row], n_no[row]))
        return found

    return statistic


def _score(count: float, n: float) -> float:
    return _NORMAL.inv_cdf((count + 0.5) / (n + 1))
