"""Statistics of answers: the most likely option, guesses without input, and signal detection.

Signal detection theory separates the sensitivity d' of yes/no answers from their bias, the
criterion. Both use normal scores (quantiles of the normal distribution) of the hit rate and of the
false-alarm rate. The normal score of a rate of 0 or 1 is infinite, so half a trial is added to each
count (log-linear rule, Hautus 1995).
"""

import math
from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.bootstrap import Statistic
from audioprobe.metrics.validation import validate_predictions
from audioprobe.types import Float64Array

TIE = 5e-7
"""Largest difference, in nats, between tied log-likelihoods: it may be a rounding error."""


def most_likely_option(log_likelihoods: Sequence[float]) -> int | None:
    """Return the index of the option with the highest log-likelihood.

    Args:
        log_likelihoods: one per option, in nats; a prior may have been subtracted.

    Returns:
        An index; None if there are no options, the highest value is tied, or a value is not finite.
    """
    if not log_likelihoods or not all(map(math.isfinite, log_likelihoods)):
        return None
    best = max(log_likelihoods)
    best_options = [n for n, value in enumerate(log_likelihoods) if best - value <= TIE]
    return best_options[0] if len(best_options) == 1 else None


def blind_guesses(
    options: Sequence[Sequence[Sequence[Hashable]]],
    right: Sequence[int],
    matches: Sequence[Hashable],
) -> list[float]:
    """Return, for each question, the probability that a guess by base rates is right.

    The base rate of an option is the share of other questions with this option in which it is
    right. The guess is the option with the highest base rate; ties are broken at random. The
    questions of a matched pair do not count for each other (cross-validation), because each would
    reveal the answer to the other. For balanced pairs the result is one half.

    Args:
        options: for each question and each of its options, keys from specific to general, such as
            ("bird", "yes"), then ("yes",). The base rate of an option is computed with its first
            key that other questions have, too; if there is no such key, all options have the same
            base rate.
        right: index of the right option of each question.
        matches: key of the matched pair of each question; its questions have the same key.

    Raises:
        InvalidInputError: if the arguments differ in length, or an index is out of range.
    """
    if not len(options) == len(right) == len(matches) or any(
        not 0 <= n < len(of_question) for of_question, n in zip(options, right, strict=True)
    ):
        raise InvalidInputError(
            "Expected options, the index of the right option, and the key of the matched pair for "
            f"each question, got {len(options)} options, {len(right)} indices (each must be in the "
            f"range of the options) and {len(matches)} keys."
        )
    offered: Counter[Hashable] = Counter()
    correct: Counter[Hashable] = Counter()
    for of_question, position, match in zip(options, right, matches, strict=True):
        for n, keys in enumerate(of_question):
            for key in keys:
                offered.update((key, (match, key)))
                correct.update((key, (match, key)) if n == position else ())

    def base_rate(keys: Sequence[Hashable], match: Hashable, default: float) -> float:
        for key in keys:
            n_others = offered[key] - offered[match, key]
            if n_others:
                return (correct[key] - correct[match, key]) / n_others
        return default

    guesses = []
    for of_question, position, match in zip(options, right, matches, strict=True):
        rates = [base_rate(keys, match, 1 / len(of_question)) for keys in of_question]
        best_options = [n for n, rate in enumerate(rates) if rate >= max(rates) - 1e-12]
        guesses.append((position in best_options) / len(best_options))
    return guesses


def d_prime(targets: npt.ArrayLike, answers: npt.ArrayLike) -> Statistic:
    """Return a function that computes the sensitivity d' of many resamples, for `Bootstrap`.

    d' is the normal score of the hit rate minus that of the false-alarm rate: 0 is chance, above 4
    is nearly perfect. It is NaN if "yes" is right in all trials or in none.

    Args:
        targets: shape (n_trials,); True or 1 where "yes" is right.
        answers: shape (n_trials,); True or 1 where the answer is "yes". Leave out invalid answers.
    """
    return _combined_scores(targets, answers, 1.0, -1.0)


def criterion(targets: npt.ArrayLike, answers: npt.ArrayLike) -> Statistic:
    """Return a function that computes the criterion of many resamples, for `Bootstrap`.

    The criterion is positive for a bias to "no" and negative for a bias to "yes". It is NaN if
    "yes" is right in all trials or in none. See `d_prime` for the arguments.
    """
    return _combined_scores(targets, answers, -0.5, -0.5)


def _combined_scores(
    targets: npt.ArrayLike, answers: npt.ArrayLike, hit_weight: float, false_alarm_weight: float
) -> Statistic:
    """Return a function that computes d' or the criterion of many resamples.

    Its value is `hit_weight` times the normal score of the hit rate, plus `false_alarm_weight`
    times the normal score of the false-alarm rate.
    """
    right, yes = validate_predictions(targets, answers, n_dimensions=1)
    indicators = np.stack([right & yes, right, ~right & yes, ~right], axis=1).astype(np.float64)

    def statistic(counts: Float64Array) -> Float64Array:
        n_hits, n_right, n_false_alarms, n_wrong = (counts @ indicators).T
        hits = ndtri((n_hits + 0.5) / (n_right + 1))
        false_alarms = ndtri((n_false_alarms + 0.5) / (n_wrong + 1))
        combined = hit_weight * hits + false_alarm_weight * false_alarms
        return np.where((n_right > 0) & (n_wrong > 0), combined, np.nan)

    return statistic
