"""What a choice does to a measure, in words: no stronger than corrected tests allow."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from audioprobe.experiments.finetuning.ablations import Ablation
from audioprobe.experiments.finetuning.factor_effects import FactorEffect
from audioprobe.experiments.finetuning.paired_difference import ALPHA, Measure
from audioprobe.experiments.finetuning.study_results import StudySummary
from audioprobe.probing.scores import without_counts


@dataclass(frozen=True, slots=True)
class SignificanceSummary:
    """What is told apart of the levels of a factor, in one measure.

    Attributes:
        alone: by pairs that differ in this choice alone; "" where nothing is.
        average: on average over all strategies; "" where nothing is.
        raising: levels that raise the measure in either way.
        rest: levels that are told apart in neither way.
        evidence: the numbers of those that are.
    """

    alone: str
    average: str
    raising: tuple[str, ...]
    rest: tuple[str, ...]
    evidence: str

    def __str__(self) -> str:
        ways = (("all else the same", self.alone), ("on average", self.average))
        parts = [f"{way}, {told}" for way, told in ways if told]
        if not parts:
            return f"nothing is told apart, of {', '.join(self.rest)}"
        return "; ".join([*parts, *([f"not told apart {', '.join(self.rest)}"] * bool(self.rest))])


def by_choice(found: StudySummary, measure: Measure, factor: str) -> SignificanceSummary | None:
    """Which levels of a factor raise or lower a measure; None where nothing speaks to it.

    A pair tells a level apart by a corrected test, a whole interval, and every seed; an average
    over all strategies by a corrected test.
    """
    pairs, effects = _pairs(found, measure, factor), _effects(found, measure, factor)
    if not pairs and not effects:
        return None
    alone = [(one.level, _of_pair(one, measure)) for one in pairs]
    average = [(one.effect.level, _of_effect(one)) for one in effects]
    clear = {level for level, direction in (*alone, *average) if direction}
    return SignificanceSummary(
        _told(alone, pairs[0].baseline if pairs else ""),
        _told(average, effects[0].baseline if effects else ""),
        tuple(dict.fromkeys(level for level, sign in (*alone, *average) if sign > 0)),
        tuple(level for level in dict(average) | dict(alone) if level not in clear),
        _evidence(pairs, effects, measure),
    )


def _pairs(found: StudySummary, measure: Measure, factor: str) -> list[Ablation]:
    return [one for one in found.matched if one.factor == factor and measure in one.changes]


def _effects(found: StudySummary, measure: Measure, factor: str) -> list[FactorEffect]:
    return [e for e in found.effects.get(measure, ()) if e.effect.factor == factor]


def _evidence(pairs: Sequence[Ablation], effects: Sequence[FactorEffect], measure: Measure) -> str:
    found = [
        f"{one.level} beside {' and '.join(one.beside)} "
        f"{without_counts(one.changes[measure].estimate)}{_p(one.corrected[measure])}"
        for one in pairs
        if _of_pair(one, measure)
    ]
    found += [
        f"{one.effect.level} on average {without_counts(one.effect.estimate)}{_p(one.corrected)}"
        for one in effects
        if _of_effect(one)
    ]
    return f"{'; '.join(found)}." if found else ""


def _of_pair(one: Ablation, measure: Measure) -> int:
    return one.changes[measure].told_apart(one.corrected[measure])


def _of_effect(one: FactorEffect) -> int:
    value, corrected = one.effect.estimate.value, one.corrected
    if value is None or corrected is None or corrected >= ALPHA:
        return 0
    return 1 if value > 0 else -1


def _told(directions: Sequence[tuple[str, int]], baseline: str) -> str:
    """Levels that do something; one that does so in some of its pairs says in how many."""
    counts, clear = Counter(level for level, _ in directions), Counter(directions)

    def named(direction: int) -> str:
        return ", ".join(
            level if n == of else f"{level} ({n} of {of} times)"
            for level, of in counts.items()
            if (n := clear[level, direction])
        )

    each = (("raised by", named(1)), ("lowered by", named(-1)))
    told = " and ".join(f"{verb} {levels}" for verb, levels in each if levels)
    return f"{told} instead of {baseline}" if told else ""


def _p(corrected: float | None) -> str:
    return "" if corrected is None else f" (corrected p {corrected:.2g})"
