"""Choice of an option by log-likelihood, and the accuracy of a guesser without the input.

Probes, the small-LTU evaluation and fine-tuning studies share these definitions.
"""

import math
from collections import Counter
from collections.abc import Hashable, Sequence

from audioprobe.errors import InvalidInputError

TIE = 5e-7
"""Log-likelihoods that differ by at most this many nats are tied: rounding decides below it."""


def most_likely_option(log_likelihoods: Sequence[float]) -> int | None:
    """Return the position of the most likely option; None for a tie or a number that is not finite.

    Args:
        log_likelihoods: one per option, in nats, or differences from a prior in nats.
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
    """Return the probability that a guesser who knows only base rates answers each question.

    The base rate of an option is the share of other questions that offer it in which it is right.
    Questions of a matched pair are left out together (cross-validation), or one would reveal the
    other. Of tied options one is drawn. On balanced pairs the result is one half.

    Args:
        options: for each question, the keys of each option from special to general: ("bird",
            "yes"), then ("yes",). The base rate is that of the first key that another question
            has; if none has, all options are equally likely.
        right: position of the right option of each question.
        matches: of each question; equal for the questions of a matched pair.

    Raises:
        InvalidInputError: if there is not one of each per question, or a position is invalid.
    """
    if not len(options) == len(right) == len(matches) or any(
        not 0 <= n < len(of_question) for of_question, n in zip(options, right, strict=True)
    ):
        raise InvalidInputError(
            "Blind guesses need options, the position of the right one, and a match for each "
            f"question, got {len(options)}, {len(right)} and {len(matches)}."
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
