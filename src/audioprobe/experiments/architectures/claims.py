"""Claims of the literature about architectures, and whether the measurements agree with them.

A claim is a difference between two kinds of arms, or a value of each arm. `claim_rules` defines
when a measurement agrees. Intervals are not corrected for the number of claims.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Literal, NamedTuple

from audioprobe.experiments.architectures.agent_analysis import AgentUse
from audioprobe.experiments.architectures.claim_rules import (
    ALL_WEIGHTS,
    WINDOW_RESAMPLER,
    Expectation,
    is_above_floor,
    kind_of,
    outcome_of,
)
from audioprobe.experiments.architectures.comparison import tested_arms
from audioprobe.experiments.architectures.config import Arm, Budget
from audioprobe.experiments.architectures.items import (
    PRIMARY,
    RECOGNITION,
    SCENE_MEASURES,
    ArmMeasure,
    QuestionGroup,
    gap_measure,
)
from audioprobe.experiments.architectures.seed_means import SeedMean, arm_difference
from audioprobe.experiments.architectures.storage import ArchitecturesRecord
from audioprobe.experiments.interpretability.rules import Outcome
from audioprobe.types import Estimate

VERSUS = " - "
"""Text between the names of two arms: the second one is subtracted."""

GAP = gap_measure("relations").name
"""Accuracy in text minus accuracy in audio on the same questions, relations of all roles."""
KAPPA = "Cohen's kappa"
"""Agreement of the answers of two arms to all questions about clips."""
CAUSES = "false result minus wrong plan, share of questions"

_IN_TEXT = ArmMeasure("accuracy in text", QuestionGroup("relations", "text").items)

IS_USED = "The arm uses the audio"
IS_TOOL = "(g) Tools cause more errors of the controller than plans"
IS_LOWER = "(h) Answers about audio are less accurate than in text"
IS_SIMILAR = "(i) Answers agree with those of the cascade more than by chance"
"""Claims about single arms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmClaim:
    """A claim about two arms, or about one, and what was measured.

    Attributes:
        claim: the claim.
        arms: the arms that are compared, such as "mlp - linear", or the arm.
        measure: name of the measure.
        budget: what is equal in the compared arms; "" for a claim about one arm.
        expected: "higher" for a value above 0, "equal" for one within the margins.
        estimate: measured value with its interval; None if it was not measured.
        outcome: whether the measurement agrees with the claim.
        note: why it was not measured, or could not be decided at all; "" otherwise.
    """

    claim: str
    arms: str
    measure: str
    budget: Budget | Literal[""]
    expected: Expectation
    estimate: Estimate | None
    outcome: Outcome
    note: str = ""


class _Comparison(NamedTuple):
    """A claim about the difference between two kinds of arms.

    A kind is an input such as "tags", or the kind of a connector such as "mlp".
    """

    claim: str
    first: str
    second: str
    measure: ArmMeasure
    expected: Expectation = "higher"


_COMPARISONS = (
    _Comparison("(a) An MLP is as good as a linear layer", "mlp", "linear", PRIMARY, "equal"),
    _Comparison(
        "(b) A resampler loses the order of sounds", "linear", "resampler", SCENE_MEASURES["order"]
    ),
    _Comparison(
        "(b) A resampler does not lose presence", "resampler", "linear", RECOGNITION, "equal"
    ),
    _Comparison(
        "(b) A resampler with windows loses less of the order",
        WINDOW_RESAMPLER,
        "resampler",
        SCENE_MEASURES["order"],
    ),
    _Comparison(
        "(c) With LoRA, audio tokens in the prompt are better than cross-attention",
        "linear",
        "cross_attention",
        PRIMARY,
    ),
    _Comparison("(d) Quantisation lowers the accuracy", "mlp", "quantized", PRIMARY),
    _Comparison(
        "(d) A vocabulary of codes is as good as quantised vectors",
        "codes",
        "quantized",
        PRIMARY,
        "equal",
    ),
    _Comparison(
        "(d) Codes are better if all weights are trained", f"codes{ALL_WEIGHTS}", "codes", PRIMARY
    ),
    _Comparison(
        "(e) Keys and values are as good as audio tokens in the prompt",
        "keys_values",
        "mlp",
        PRIMARY,
        "equal",
    ),
    *(
        _Comparison(
            "(f) A cascade is as good on what labels state", "tags", "linear", measure, "equal"
        )
        for measure in (RECOGNITION, PRIMARY)
    ),
    *(
        _Comparison("(f) A cascade is worse on what labels do not state", "linear", "tags", measure)
        for measure in SCENE_MEASURES.values()
    ),
)


def all_claims(
    record: ArchitecturesRecord,
    gaps: Mapping[str, SeedMean],
    agreement: Mapping[str, SeedMean],
    agents: Mapping[str, AgentUse],
) -> tuple[ArmClaim, ...]:
    """Return all claims that the arms of the configuration allow.

    A comparison is made with equal examples, and with equal compute where an arm of one of the two
    kinds is trained so. Claims about single arms are about architectures with results, not bounds.

    Args:
        record: stored results of the study.
        gaps: accuracy in text minus accuracy in audio, by arm.
        agreement: Cohen's kappa with the cascade, by arm.
        agents: use of tools, by arm.
    """
    names = [arm.name for arm in tested_arms(record)]
    single = [
        *(
            (IS_TOOL, CAUSES, name, agents[name].tool_minus_plan)
            for name in names
            if name in agents
        ),
        *((IS_SIMILAR, KAPPA, n, agreement[n].estimate) for n in names if n in agreement),
    ]
    lower = [
        _judged(
            record,
            IS_LOWER,
            GAP,
            name,
            gaps[name].estimate,
            is_known=is_above_floor(record, record.of(name), _IN_TEXT),
            unknown="accuracy in text is not above chance",
        )
        for name in names
    ]
    budgets: tuple[Budget, ...] = ("examples", "compute")
    compared = [
        claim
        for comparison in _COMPARISONS
        for budget in budgets
        for claim in _compared(record, comparison, budget)
    ]
    others = [_judged(record, *each) for each in single]
    return (*_use_of_audio(record), *compared, *lower, *others)


def _compared(
    record: ArchitecturesRecord, comparison: _Comparison, budget: Budget
) -> Iterator[ArmClaim]:
    """Yield a comparison for each pair of arms of the two kinds with a budget."""
    kinds = comparison.first, comparison.second
    sides = [_of_kind(record, kind, budget) for kind in kinds]
    if budget == "compute" and all(arm.budget == "examples" for side in sides for arm in side):
        return
    named = comparison.claim, comparison.measure.name
    if budget == "compute" and not all(sides):
        lacking = ", ".join(k for k, side in zip(kinds, sides, strict=True) if not side)
        note = f"no arm with equal compute: {lacking}"
        yield _judged(record, *named, VERSUS.join(kinds), None, budget=budget, note=note)
    for first, second in product(*sides):
        results = record.of(first.name), record.of(second.name)
        difference = arm_difference(*results, comparison.measure, record.config.bootstrap)
        yield _judged(
            record,
            *named,
            f"{first.name}{VERSUS}{second.name}",
            None if difference is None else difference.mean.estimate,
            expected=comparison.expected,
            budget=budget,
            is_known=any(is_above_floor(record, side, comparison.measure) for side in results),
            unknown="neither arm is above the floor of the measure",
        )


def _of_kind(record: ArchitecturesRecord, kind: str, budget: Budget) -> list[Arm]:
    """Return the arms of a kind with a budget; the first arm has both budgets."""
    arms = record.config.arms
    return [
        arm
        for arm in arms
        if kind_of(arm) == kind and (arm.budget == budget or arm.name == arms[0].name)
    ]


def _use_of_audio(record: ArchitecturesRecord) -> Iterator[ArmClaim]:
    """Yield the difference of the recognition of each arm from that of the arm without audio."""
    blind = next((arm.name for arm in record.config.arms if arm.input == "nothing"), None)
    if blind is None:
        return
    for arm in tested_arms(record):
        results = record.of(arm.name), record.of(blind)
        difference = arm_difference(*results, RECOGNITION, record.config.bootstrap)
        estimate = None if difference is None else difference.mean.estimate
        yield _judged(record, IS_USED, RECOGNITION.name, f"{arm.name}{VERSUS}{blind}", estimate)


def _judged(
    record: ArchitecturesRecord,
    claim: str,
    measure: str,
    arms: str,
    estimate: Estimate | None,
    *,
    expected: Expectation = "higher",
    budget: Budget | Literal[""] = "",
    note: str = "no common seed with results",
    is_known: bool = True,
    unknown: str = "",
) -> ArmClaim:
    """Return a claim with its outcome; without an estimate, it was not measured.

    Unless `is_known`, a claim is undecided with the note `unknown`.
    """
    outcome: Outcome = "not measured"
    if estimate is not None and is_known:
        outcome, note = outcome_of(estimate, expected, record.config.margin), ""
    elif estimate is not None:
        outcome, note = "undecided", unknown
    return ArmClaim(
        claim=claim,
        arms=arms,
        measure=measure,
        budget=budget,
        expected=expected,
        estimate=estimate,
        outcome=outcome,
        note=note,
    )
