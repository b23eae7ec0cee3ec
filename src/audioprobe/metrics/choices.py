"""Choice of the most likely option, and the accuracy of guessing without seeing the input."""

import math
from collections import Counter
from collections.abc import Hashable, Sequence

from audioprobe.errors import InvalidInputError

TIE = 5e-7
"""Largest difference, in nats, between tied log-likelihoods: it may be a rounding error."""


def most_likely_option(log_likelihoods: Sequence[float]) -> int | None:
    """Return the index of the option with the highest log-likelihood.

    Args:
        log_likelihoods: one per option, in nats; a prior may have been subtracted.

    Returns:
        None if there are no options, if the highest value is tied, or if a value is not finite.
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

    The guess is the option with the highest base rate: among the other questions with the same
    option, the share in which this option is right. The questions of a matched pair do not count
    for each other (cross-validation), because each would reveal the answer to the other. If several
    options have the highest base rate, one is drawn. For balanced pairs the result is one half.

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
