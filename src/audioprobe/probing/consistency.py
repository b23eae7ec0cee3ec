"""Compare a model's answers to paraphrases and orders, and to the classes of a concept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.variance import Component, VarianceShare, variance_shares
from audioprobe.metrics.vectorized_metrics import mean
from audioprobe.probing.agreement import chosen_option
from audioprobe.probing.scores import concept_estimates, concepts_of
from audioprobe.probing.trial import AnswerReading, Condition, Form, Trial
from audioprobe.types import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Consistency:
    """Agreement and correctness of the answers to the variants of a question.

    The variants of a question are its paraphrases (wordings) and, for a choice, the orders of its
    options. Questions with one variant are not counted; questions with an invalid answer to a
    variant are left out and counted in `Estimate.n_undefined`. Intervals resample concepts. Chance
    is independent uniform guesses. A model that always gives the same answer is consistent, too:
    compare `correctness_rate`.

    Attributes:
        agreement: share of questions with the same answer to all variants.
        consistency_rate: mean over questions of the share of pairs of variants with the same answer
            (arXiv 2510.04584).
        correctness_rate: share of questions that are answered correctly in all variants.
        chance_agreement: expected `agreement` by chance; None if no question is counted.
        chance_consistency: expected `consistency_rate` by chance; None if no question is counted.
        chance_correctness: expected `correctness_rate` by chance; None if no question is counted.
        variance: shares of the variance of correctness within relations: between concepts
            ("clusters"), between the questions about a concept ("items"), between wordings and
            orders ("variants"), wordings that differ in another way from concept to concept
            ("interaction") and the rest ("residual"). The shares add up to 1; see
            `metrics.variance`.
        n: number of counted questions.
    """

    agreement: Estimate
    consistency_rate: Estimate
    correctness_rate: Estimate
    chance_agreement: float | None
    chance_consistency: float | None
    chance_correctness: float | None
    variance: Mapping[Component, VarianceShare]
    n: int

    @property
    def between_concepts(self) -> float | None:
        """Share of the variance of correctness that is between concepts; None if undefined."""
        return self.variance["clusters"].share.value

    @property
    def between_wordings(self) -> float | None:
        """Share of the variance of correctness between variants; None if undefined."""
        return self.variance["variants"].share.value


def consistency(
    trials: Sequence[Trial],
    reading: AnswerReading,
    bootstrap: Bootstrap,
    *,
    form: Form = "yes-no",
) -> Consistency:
    """Compare the answers to the variants (paraphrases and orders) of each question.

    Args:
        trials: trials of one condition.
        reading: how an answer is turned into an option.
        bootstrap: how confidence intervals are computed.
        form: form of the questions; the orders of options are variants of the form "choice".
    """
    items: dict[tuple[object, ...], list[Trial]] = {}
    for trial in trials:
        question, pair = trial.question, trial.question.pair
        if question.form == form and trial.has_reading(reading):
            prompt = question.condition, question.clip, question.audio
            key = *pair.key, pair.negatives, pair.match, *prompt
            items.setdefault(key, []).append(trial)
    several = [
        sorted(variants, key=lambda trial: (trial.question.wording, trial.question.order))
        for variants in items.values()
        if len(variants) > 1
    ]
    complete = [v for v in several if all(t.choice(reading) is not None for t in v)]
    answers = [[chosen_option(trial, reading) for trial in v] for v in complete]
    correct = [[float(bool(t.is_correct(reading))) for t in variants] for variants in complete]
    first = [variants[0] for variants in complete]
    sizes = [(len(variants[0].question.options), len(variants)) for variants in complete]
    estimates = concept_estimates(
        (
            mean([len(set(of_question)) == 1 for of_question in answers]),
            mean([_share_of_equal_pairs(of_question) for of_question in answers]),
            mean([all(of_question) for of_question in correct]),
        ),
        first,
        bootstrap,
        len(several) - len(complete),
    )
    return Consistency(
        agreement=estimates[0],
        consistency_rate=estimates[1],
        correctness_rate=estimates[2],
        chance_agreement=_mean([n_options ** (1.0 - n) for n_options, n in sizes]),
        chance_consistency=_mean([1.0 / n_options for n_options, _ in sizes]),
        chance_correctness=_mean([float(n_options) ** -n for n_options, n in sizes]),
        variance=variance_shares(
            correct,
            concepts_of(first),
            [f"{t.question.pair.relation} {n}" for t, (_, n) in zip(first, sizes, strict=True)],
            bootstrap,
            unit="concepts",
        ),
        n=len(complete),
    )


def _share_of_equal_pairs(answers: Sequence[str | None]) -> float:
    equal = [a == b for a, b in combinations(answers, 2)]
    return sum(equal) / len(equal)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


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
