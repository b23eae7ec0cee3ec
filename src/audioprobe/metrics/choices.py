"""Which option a model chose by its log-likelihoods, and what a guesser who never listens reaches.

One definition for probes, the examination of the small LTU and studies of fine-tuning.
"""

import math
from collections import Counter
from collections.abc import Hashable, Sequence

from audioprobe.errors import InvalidInputError

TIE = 5e-7
"""Log-likelihoods that differ by no more nats than this tie: below it, rounding decides."""


def most_likely_option(log_likelihoods: Sequence[float]) -> int | None:
    """Return the position of the most likely option; None for a tie, or without finite numbers.

    Args:
        log_likelihoods: one per option, in nats, or any numbers on that scale such as differences
            from a prior.
    """
    if not log_likelihoods or not all(map(math.isfinite, log_likelihoods)):
        return None
    best = max(log_likelihoods)
    near = [n for n, value in enumerate(log_likelihoods) if best - value <= TIE]
    return near[0] if len(near) == 1 else None


def blind_guesses(
    options: Sequence[Sequence[Sequence[Hashable]]],
    right: Sequence[int],
    matches: Sequence[Hashable],
) -> list[float]:
    """Return how often a guesser is right at each question who knows base rates and never listens.

    The base rate of an option is how often it is right in all other questions that offer it. A
    right pair and its matched wrong one are left out together (cross-validation), or one would give
    the other away. Where options tie, one of them is drawn. On balanced pairs that is one half.

    Args:
        options: of each question, each by its keys from special to general: ("bird", "yes"), then
            ("yes",). Its base rate is that of the first key that another question has; without
            any, all options are as likely.
        right: position of the right option of each question.
        matches: of each question; those of a matched pair have the same.

    Raises:
        InvalidInputError: if there is not one of each per question, or no such option.
    """
    if not len(options) == len(right) == len(matches) or any(
        not 0 <= n < len(own) for own, n in zip(options, right, strict=True)
    ):
        raise InvalidInputError(
            "Blind guesses need options, the position of the right one, and a match for each "
            f"question, got {len(options)}, {len(right)} and {len(matches)}."
        )
    offered: Counter[Hashable] = Counter()
    correct: Counter[Hashable] = Counter()
    for own, position, match in zip(options, right, matches, strict=True):
        for n, keys in enumerate(own):
            for key in keys:
                offered.update((key, (match, key)))
                correct.update((key, (match, key)) if n == position else ())
    guesses = []
    for own, position, match in zip(options, right, matches, strict=True):
        rates = [_rate(keys, match, offered, correct) for keys in own]
        known = [1 / len(own) if rate is None else rate for rate in rates]
        drawn = [n for n, rate in enumerate(known) if rate >= max(known) - 1e-12]
        guesses.append((position in drawn) / len(drawn))
    return guesses


def _rate(
    keys: Sequence[Hashable],
    match: Hashable,
    offered: Counter[Hashable],
    correct: Counter[Hashable],
) -> float | None:
    """How often an option is right in questions of other matches; None where none has its keys."""
    for key in keys:
        n_others = offered[key] - offered[match, key]
        if n_others:
            return (correct[key] - correct[match, key]) / n_others
    return None
