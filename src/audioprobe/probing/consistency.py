"""Compare a model's answers to paraphrases, and to the classes of a concept (bird, animal)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.vectorized_metrics import mean
from audioprobe.probing.trial import AnswerReading, Condition, Form, Trial
from audioprobe.types import Estimate, Float64Array


@dataclass(frozen=True, slots=True)
class Consistency:
    """Agreement of the answers to paraphrases (wordings) of a question.

    Attributes:
        agreement: share of questions with the same answer to all wordings; the confidence interval
            resamples concepts. Questions with one wording or an invalid answer are not counted.
        between_concepts: share of the variance of correctness that is between concepts, in [0, 1];
            None if all answers are correct or all are wrong.
        between_wordings: share of the variance of correctness that is between the wordings of a
            relation, in [0, 1]; None if all answers are correct or all are wrong.
        n: number of questions that `agreement` counts.
    """

    agreement: Estimate
    between_concepts: float | None
    between_wordings: float | None
    n: int


def consistency(
    trials: Sequence[Trial],
    reading: AnswerReading,
    bootstrap: Bootstrap,
    *,
    form: Form = "yes-no",
) -> Consistency:
    """Compare the answers to the wordings (paraphrases) of each question.

    The shares of variance are eta squared: the sum of squares between groups divided by the total
    sum of squares. Wordings are compared within their relation, so that differences between
    relations do not count.

    Args:
        trials: trials of one condition.
        reading: how an answer is turned into an option.
        bootstrap: how confidence intervals are computed.
        form: form of the questions that are compared; others are ignored.
    """
    counted = [t for t in trials if t.has_reading(reading) and t.question.form == form]
    choices: dict[tuple[object, ...], list[str | None]] = {}
    for trial in counted:
        question, pair, choice = trial.question, trial.question.pair, trial.choice(reading)
        key = *pair.key, pair.negatives, pair.match, question.condition, question.clip
        answer = None if choice is None else question.options[choice]
        choices.setdefault(key, []).append(answer)
    complete = {k: c for k, c in choices.items() if len(c) > 1 and None not in c}
    agreement = Estimate(value=None, n=0, method="no question in several wordings was answered")
    if complete:
        agrees = [float(len(set(c)) == 1) for c in complete.values()]
        concepts = [str(concept) for concept, *_ in complete]
        agreement = bootstrap.estimate(mean(agrees), len(agrees), groups=concepts, unit="concepts")
    valid = [(t, correct) for t in counted if (correct := t.is_correct(reading)) is not None]
    values = np.array([float(correct) for _, correct in valid])
    pairs = [trial.question.pair for trial, _ in valid]
    relations = [pair.relation for pair in pairs]
    wordings = [f"{t.question.pair.relation} {t.question.wording}" for t, _ in valid]
    return Consistency(
        agreement,
        _eta_squared(values, [pair.concept for pair in pairs], [""] * len(pairs)),
        _eta_squared(values, wordings, relations),
        len(complete),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HypernymChain:
    """Answers to the questions about the classes of one concept, under one condition.

    Attributes:
        concept: id of the concept.
        condition: what stands for the concept in the prompt (text, audio, ...).
        levels: phrases that the questions asked for: the concept itself (only if it was asked for),
            then the classes above it, the nearest class first.
        yes_rates: share of "yes" for each phrase, over clips and wordings.
        depth: number of phrases up to which the model mostly agrees: those before the first phrase
            with a share of "yes" of one half or less.
        contradictions: number of phrases with a share of "yes" above one half whose next phrase has
            a share of one half or less ("a grouse, but not a bird").
    """

    concept: str
    condition: Condition
    levels: tuple[str, ...]
    yes_rates: tuple[float, ...]
    depth: int
    contradictions: int


def hypernym_chains(
    trials: Sequence[Trial], reading: AnswerReading, condition: Condition
) -> tuple[HypernymChain, ...]:
    """Return one chain per concept: the share of "yes" for the concept and each class above it.

    Only questions about true pairs are used, so "yes" is the correct answer.

    Args:
        trials: all trials; only yes/no questions about concepts and their classes are used.
        reading: how an answer is turned into yes/no; invalid answers are left out.
        condition: the condition to use.
    """
    answers: dict[str, dict[tuple[int, str], list[bool]]] = {}
    for trial in trials:
        question, pair = trial.question, trial.question.pair
        says_yes = trial.says_yes(reading)
        is_yes_no = question.condition == condition and question.form == "yes-no"
        if is_yes_no and pair.holds and pair.relation != "synonym" and says_yes is not None:
            level = pair.level, pair.target_phrase
            answers.setdefault(pair.concept, {}).setdefault(level, []).append(says_yes)
    return tuple(_chain(concept, condition, levels) for concept, levels in answers.items())


def _chain(
    concept: str, condition: Condition, answers: dict[tuple[int, str], list[bool]]
) -> HypernymChain:
    levels = sorted(answers)
    rates = [sum(answers[level]) / len(answers[level]) for level in levels]
    accepted = [rate > 0.5 for rate in rates]
    return HypernymChain(
        concept=concept,
        condition=condition,
        levels=tuple(phrase for _, phrase in levels),
        yes_rates=tuple(rates),
        depth=accepted.index(False) if False in accepted else len(accepted),
        contradictions=sum(lower and not upper for lower, upper in pairwise(accepted)),
    )


def _eta_squared(
    values: Float64Array, groups: Sequence[str], outer_groups: Sequence[str]
) -> float | None:
    """Return eta squared in [0, 1]; None if all values are equal, or if there are no values.

    Eta squared is the share of the variance that is between groups. Groups are compared within
    their outer group only.

    Args:
        values: the values.
        groups: group of each value.
        outer_groups: outer group of each value, such as the relation for groups of wordings.
    """
    total = float(((values - values.mean()) ** 2).sum()) if values.size else 0.0
    if not total:
        return None
    between = (_group_means(values, groups) - _group_means(values, outer_groups)) ** 2
    return float(between.sum()) / total


def _group_means(values: Float64Array, groups: Sequence[str]) -> Float64Array:
    """Return the mean of the group of each value; the result is as long as `values`."""
    _, indices = np.unique(np.array(groups), return_inverse=True)
    means: Float64Array = np.bincount(indices, weights=values) / np.bincount(indices)
    return means[indices]
