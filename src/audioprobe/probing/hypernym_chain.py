"""How far up a model follows: a grouse, a bird, an animal; and where it contradicts itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from audioprobe.probing.questions import Condition
from audioprobe.probing.trial import AnswerReading, Trial


@dataclass(frozen=True, slots=True)
class HypernymChain:
    """One concept under one condition.

    Attributes:
        concept: its id.
        condition: what stood for it.
        rungs: classes that were asked for, the nearest first; the concept itself before them where
            it was asked for.
        yes: share of "yes" for each, over clips and wordings.
        depth: how many rungs from the first one on have "yes" in more than half.
        contradictions: rungs with "yes" in more than half below one without, such as "a grouse, but
            no bird".
    """

    concept: str
    condition: Condition
    rungs: tuple[str, ...]
    yes: tuple[float, ...]
    depth: int
    contradictions: int


def hypernym_chains(
    trials: Sequence[Trial], reading: AnswerReading, condition: Condition
) -> tuple[HypernymChain, ...]:
    """The ladder of every concept, in the order of the trials.

    Args:
        trials: those of right pairs, asked for yes or no, under the condition are taken.
        reading: how answers are read; unread ones are left out.
        condition: what stood for the concepts.
    """
    answers: dict[str, dict[tuple[int, str], list[bool]]] = {}
    for trial in trials:
        pair = trial.question.pair
        if (
            trial.question.condition != condition
            or trial.question.form != "yes-no"
            or pair.relation == "synonym"
            or not pair.holds
        ):
            continue
        said = trial.said_yes(reading)
        if said is not None:
            rung = pair.level, pair.target_phrase
            answers.setdefault(pair.concept, {}).setdefault(rung, []).append(said)
    return tuple(_climb(concept, condition, rungs) for concept, rungs in answers.items())


def _climb(
    concept: str, condition: Condition, answers: dict[tuple[int, str], list[bool]]
) -> HypernymChain:
    ordered = sorted(answers)
    shares = [sum(answers[rung]) / len(answers[rung]) for rung in ordered]
    granted = [share > 0.5 for share in shares]
    depth = granted.index(False) if False in granted else len(granted)
    contradictions = sum(below and not above for below, above in pairwise(granted))
    return HypernymChain(
        concept,
        condition,
        tuple(phrase for _, phrase in ordered),
        tuple(shares),
        depth,
        contradictions,
    )
