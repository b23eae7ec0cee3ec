"""Compare answers that imply each other: negation, exchanged names, and classes of classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product

from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.vectorized_metrics import mean, ratio
from audioprobe.probing.consistency import HypernymChain, hypernym_chains
from audioprobe.probing.scores import concept_estimates
from audioprobe.probing.trial import AnswerReading, Condition, Form, Trial
from audioprobe.types import Estimate

CHANCE = 0.5
"""Expected value of each rate of `LogicalConsistency` for independent uniform guesses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogicalConsistency:
    """Rates of answers that agree with what another answer implies, correct or not.

    Intervals resample concepts. Invalid answers are left out; questions for which an answer to
    one of the two forms is missing are counted in `Estimate.n_undefined`. The chance level of each
    rate is `CHANCE`. A model that always says yes has a negation rate of 0 and the other rates 1.

    Attributes:
        negation: share of opposite answers to a question and its negation; the mean over
            questions, with all pairs of a wording and a negated wording.
        symmetry: share of equal answers to a question for a synonym and the same question with both
            names exchanged.
        transitivity: share of "yes" for a class among all pairs of a class and a class below it (or
            the concept itself) that was answered with yes: "a crow is a bird" implies "a crow is an
            animal". An answer is "yes" if more than half of the answers are, over clips and
            wordings; only true pairs are used. `n` counts the pairs of levels.
        by_distance: `transitivity` of the pairs that are the given number of levels apart.
    """

    negation: Estimate
    symmetry: Estimate
    transitivity: Estimate
    by_distance: Mapping[int, Estimate]


def logical_consistency(
    trials: Sequence[Trial],
    reading: AnswerReading,
    condition: Condition,
    bootstrap: Bootstrap,
) -> LogicalConsistency:
    """Compute how often answers agree with what other answers imply, under one condition.

    Args:
        trials: all trials.
        reading: how an answer is turned into yes/no.
        condition: the condition to use; reversed questions exist in text only.
        bootstrap: how confidence intervals are computed.
    """
    selected = [trial for trial in trials if trial.question.condition == condition]
    chains = hypernym_chains(selected, reading, condition)
    example = {trial.question.pair.concept: trial for trial in selected}
    of_chains = [example[chain.concept] for chain in chains]
    distances = range(1, max((len(chain.levels) for chain in chains), default=0))
    return LogicalConsistency(
        negation=_rate(selected, "negated", reading, bootstrap, equal=False),
        symmetry=_rate(selected, "reversed", reading, bootstrap, equal=True),
        transitivity=_transitivity(chains, of_chains, (), bootstrap),
        by_distance={n: _transitivity(chains, of_chains, (n,), bootstrap) for n in distances},
    )


def _rate(
    trials: Sequence[Trial],
    form: Form,
    reading: AnswerReading,
    bootstrap: Bootstrap,
    *,
    equal: bool,
) -> Estimate:
    """Return the rate of equal (or opposite) answers to yes/no questions and to another form.

    Args:
        trials: trials of one condition.
        form: the other form.
        reading: how an answer is turned into yes/no.
        bootstrap: how confidence intervals are computed.
        equal: whether both answers should be equal; otherwise they should be opposite.
    """
    items: dict[tuple[object, ...], tuple[list[Trial], list[Trial]]] = {}
    for trial in trials:
        question, pair = trial.question, trial.question.pair
        if question.form in ("yes-no", form) and trial.has_reading(reading):
            key = *pair.key, pair.negatives, pair.match, question.clip, question.audio
            items.setdefault(key, ([], []))[question.form == form].append(trial)
    both = [forms for forms in items.values() if all(forms)]
    rates: list[tuple[Trial, float]] = []
    for forms in both:
        answers = [
            [yes for trial in of_form if (yes := trial.says_yes(reading)) is not None]
            for of_form in forms
        ]
        pairs = [(a == b) == equal for a, b in product(*answers)]
        if pairs:
            rates.append((forms[0][0], sum(pairs) / len(pairs)))
    (estimate,) = concept_estimates(
        [mean([rate for _, rate in rates])],
        [trial for trial, _ in rates],
        bootstrap,
        len(both) - len(rates),
    )
    return estimate


def _transitivity(
    chains: Sequence[HypernymChain],
    trials: Sequence[Trial],
    distances: Sequence[int],
    bootstrap: Bootstrap,
) -> Estimate:
    """Return the share of accepted classes above an accepted class.

    Args:
        chains: hypernym chains.
        trials: a trial about the concept of each chain.
        distances: numbers of levels between the two classes; () means all.
        bootstrap: how confidence intervals are computed.
    """
    n_implied, n_accepted = [], []
    for chain in chains:
        accepted = [rate > 0.5 for rate in chain.yes_rates]
        upper = [
            accepted[b]
            for a, b in combinations(range(len(accepted)), 2)
            if accepted[a] and (not distances or b - a in distances)
        ]
        n_implied.append(len(upper))
        n_accepted.append(sum(upper))
    (estimate,) = concept_estimates([ratio(n_accepted, n_implied)], trials, bootstrap)
    return replace(estimate, n=sum(n_implied), n_undefined=0)
