"""Measure the stability of answers that are sampled several times per question."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import factorial

import numpy as np
from scipy.stats import entropy

from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.vectorized_metrics import mean
from audioprobe.probing.scores import concept_estimates
from audioprobe.probing.trial import Trial
from audioprobe.types import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Stability:
    """Stability of the sampled answers to each question.

    Samples without a valid answer are left out and counted. A question with fewer than two valid
    samples is left out of all estimates and counted in `Estimate.n_undefined`. Each estimate is a
    mean over questions; its interval resamples concepts, and does not contain the variation between
    seeds, which the n-th samples of all questions share.

    Attributes:
        agreement: share of a question's samples with its most frequent answer.
        chance_agreement: expected `agreement` of uniform random answers, with the same numbers of
            options and valid samples; None if there are no questions.
        entropy: Shannon entropy of a question's answers in bits; 0 if all samples are equal.
        sample_accuracy: share of a question's samples that are correct.
        majority_accuracy: share of questions whose most frequent answer is correct. Questions in
            which two answers tie for the most frequent are left out and counted.
        n_samples: number of samples per question.
        n_invalid: number of samples that cannot be parsed.
        n_failed: number of samples without a response.
    """

    agreement: Estimate
    chance_agreement: float | None
    entropy: Estimate
    sample_accuracy: Estimate
    majority_accuracy: Estimate
    n_samples: int
    n_invalid: int
    n_failed: int


def stability(trials: Sequence[Trial], bootstrap: Bootstrap) -> Stability:
    """Measure how often the samples of a question agree, and how often they are correct.

    Samples are free-text responses, which are turned into options by rules.

    Args:
        trials: trials; those without samples are ignored.
        bootstrap: how confidence intervals are computed.
    """
    sampled = [trial for trial in trials if trial.samples]
    counts = [Counter(s.choice for s in t.samples if s.choice is not None) for t in sampled]
    valid = [(t, n) for t, n in zip(sampled, counts, strict=True) if n.total() >= 2]
    questions = [trial for trial, _ in valid]
    modal = [max(n.values()) / n.total() for _, n in valid]
    bits = [float(entropy(list(n.values()), base=2)) for _, n in valid]
    correct = [n[trial.question.correct] / n.total() for trial, n in valid]
    n_left_out = len(sampled) - len(valid)
    estimates = concept_estimates(
        (mean(modal), mean(bits), mean(correct)), questions, bootstrap, n_left_out
    )
    decided = [(t, c) for t, n in valid if (c := _majority(n)) is not None]
    majority = [float(choice == trial.question.correct) for trial, choice in decided]
    (majority_accuracy,) = concept_estimates(
        [mean(majority)], [t for t, _ in decided], bootstrap, len(sampled) - len(decided)
    )
    chances = [expected_modal_share(n.total(), len(t.question.options)) for t, n in valid]
    samples = [sample for trial in sampled for sample in trial.samples]
    n_failed = sum(bool(sample.failure) for sample in samples)
    return Stability(
        agreement=estimates[0],
        chance_agreement=float(np.mean(chances)) if chances else None,
        entropy=estimates[1],
        sample_accuracy=estimates[2],
        majority_accuracy=majority_accuracy,
        n_samples=max((len(trial.samples) for trial in sampled), default=0),
        n_invalid=sum(sample.choice is None for sample in samples) - n_failed,
        n_failed=n_failed,
    )


@cache
def expected_modal_share(n_samples: int, n_options: int) -> float:
    """Return the expected share of the most frequent of uniform random answers.

    The probability that no option is drawn more than j times is the coefficient of x^n in
    n! / m^n * (1 + x + ... + x^j / j!)^m, for n samples of m options.
    """
    expected = 0.0
    for most in range(n_samples):
        factor = [1 / factorial(i) for i in range(most + 1)]
        power = np.polynomial.polynomial.polypow(factor, n_options)
        coefficient = float(power[n_samples]) if n_samples < len(power) else 0.0
        expected += 1 - coefficient * factorial(n_samples) / float(n_options) ** n_samples
    return expected / n_samples


def _majority(counts: Counter[int]) -> int | None:
    """Return the most frequent choice; None if two choices tie."""
    (first, n_first), *others = counts.most_common(2)
    return None if others and others[0][1] == n_first else first
