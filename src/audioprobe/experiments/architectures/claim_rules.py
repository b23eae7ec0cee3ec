"""Rules by which a measurement agrees with a claim about architectures.

The rule is that of `experiments.interpretability.rules`: a claim that something is higher agrees if
the interval is above 0, and disagrees if the interval is below the margin. A claim that two kinds
of arms are equal agrees if the interval is within the margins, and disagrees if it is outside of
them.

Two arms that both guess have equal accuracies, which says nothing about their architectures. So a
comparison is undecided unless one of the two arms is above the floor of the measure.
"""

from collections.abc import Mapping
from typing import Literal, TypeAlias

from audioprobe.experiments.architectures.config import Arm
from audioprobe.experiments.architectures.items import ArmMeasure
from audioprobe.experiments.architectures.seed_means import seed_mean
from audioprobe.experiments.architectures.storage import ArchitecturesRecord, ArmResult
from audioprobe.experiments.interpretability.rules import ConclusionRules, Outcome, shifted
from audioprobe.models.connectors.config import CodesConfig, ResamplerConfig
from audioprobe.types import Estimate

WINDOW_RESAMPLER, ALL_WEIGHTS = "window resampler", ", all weights"
"""Kind of a resampler with windows; suffix of kinds whose language model is trained completely."""

Expectation: TypeAlias = Literal["higher", "equal"]


def outcome_of(estimate: Estimate, expected: Expectation, margin: float) -> Outcome:
    """Return whether a value agrees with an expectation; see the module.

    Without an interval, and with fewer than six groups, it is undecided.
    """
    rules = ConclusionRules(accuracy_margin=margin)
    if expected == "higher":
        return rules.outcome(estimate, margin)
    low, high = estimate.low, estimate.high
    if low is None or high is None or (estimate.n_groups or 0) < rules.least_concepts:
        return "undecided"
    if -margin < low and high < margin:
        return "agrees"
    return "disagrees" if low > margin or high < -margin else "undecided"


def is_above_floor(
    record: ArchitecturesRecord, results: Mapping[int, ArmResult], measure: ArmMeasure
) -> bool:
    """Return whether the interval of a measure of an arm is above the floor of the measure."""
    floors = [measure.floor(result) for result in results.values()]
    known = [floor for floor in floors if floor is not None]
    if not known:
        return False
    items = {seed: measure.items(result) for seed, result in results.items()}
    estimate = seed_mean(items, record.config.bootstrap, measure.unit).estimate
    above = shifted(estimate, -sum(known) / len(known))
    return outcome_of(above, "higher", record.config.margin) == "agrees"


def kind_of(arm: Arm) -> str:
    """Return the kind of an arm: that of its connector, or its input without audio tokens.

    Windows of a resampler, several codebooks, another start of codes, and training of all weights
    make another kind.
    """
    if arm.input != "tokens":
        return arm.input
    connector = arm.connector
    kind: str = connector.kind
    if isinstance(connector, ResamplerConfig) and connector.window:
        kind = WINDOW_RESAMPLER
    elif isinstance(connector, CodesConfig) and connector.n_codebooks > 1:
        kind = f"{connector.n_codebooks} codebooks"
    elif isinstance(connector, CodesConfig) and connector.start_width:
        kind = "codes from projected centroids"
    return f"{kind}{ALL_WEIGHTS}" if arm.train == "llm" else kind
