"""Rules by which a measurement agrees or disagrees with a prediction, from its interval."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from audioprobe.errors import InvalidInputError
from audioprobe.types import Estimate

Outcome: TypeAlias = Literal["agrees", "disagrees", "undecided", "not measured"]
"""Relation of a measurement to a prediction."""
ConclusionName: TypeAlias = Literal["supported", "contradicted", "cannot be decided"]


@dataclass(frozen=True, slots=True)
class ConclusionRules:
    """Thresholds of the conclusions.

    Attributes:
        significance: corrected p-value below which an effect at a place counts, in (0, 1).
        accuracy_margin: smallest difference of accuracy that matters, above 0.
        effect_margin: smallest effect of an intervention that matters (share of the effect that is
            possible, or logit difference), above 0.
        least_concepts: number of concepts from which an interval decides; with fewer than 6, no
            sign-flip test has a p-value below .05.
    """

    significance: float = 0.05
    accuracy_margin: float = 0.1
    effect_margin: float = 0.1
    least_concepts: int = 6

    def __post_init__(self) -> None:
        if not 0 < self.significance < 1 or min(self.accuracy_margin, self.effect_margin) <= 0:
            raise InvalidInputError(
                "Expected 0 < significance < 1 and margins above 0, received "
                f"{self.significance}, {self.accuracy_margin} and {self.effect_margin}."
            )

    def outcome(self, estimate: Estimate, margin: float) -> Outcome:
        """Return whether a value is above 0, or certainly smaller than a margin.

        It agrees if its interval is above 0. It disagrees if its interval is below the margin, so
        that no difference that matters is plausible. Otherwise, without an interval, and with fewer
        than `least_concepts` concepts, it is undecided.
        """
        if estimate.low is None or estimate.high is None:
            return "undecided"
        if (estimate.n_groups or 0) < self.least_concepts:
            return "undecided"
        if estimate.low > 0:
            return "agrees"
        return "disagrees" if estimate.high < margin else "undecided"

    def outcome_over_places(
        self, differences: Sequence[Estimate], p_values: Sequence[float | None], margin: float
    ) -> tuple[Outcome, int | None]:
        """Return whether a measure is above its control at any place of a curve.

        It agrees if, at one place at least, the simultaneous band of the difference is above 0 and
        the corrected p-value is below `significance`. It disagrees if the band is below the margin
        at all places. Otherwise it is undecided.

        Returns:
            The outcome, and the place that it is reported for: the largest difference among the
            places that agree, or else among all; None if no difference is defined.
        """
        defined = [n for n, each in enumerate(differences) if each.value is not None]
        outcomes = [self.outcome(each, margin) for each in differences]
        agreeing = [
            n
            for n in defined
            if outcomes[n] == "agrees" and (p := p_values[n]) is not None and p < self.significance
        ]
        if not defined:
            return "undecided", None
        largest = max(agreeing or defined, key=lambda n: differences[n].value or 0.0)
        if agreeing:
            return "agrees", largest
        return ("disagrees" if set(outcomes) == {"disagrees"} else "undecided"), largest


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionEvidence:
    """A prediction of a mechanism, and what was measured.

    Attributes:
        prediction: what the mechanism predicts.
        source: name of the measurement.
        necessary: whether the mechanism is contradicted if the measurement disagrees.
        outcome: relation of the measurement to the prediction.
        estimate: the measured value with its interval; positive values agree. None if it was not
            measured.
        place: site and span of the value; "" if it has none.
        note: how the outcome follows, or why it is missing.
    """

    prediction: str
    source: str
    necessary: bool
    outcome: Outcome
    estimate: Estimate | None = None
    place: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Prediction:
    """A prediction of a mechanism.

    Attributes:
        text: what the mechanism predicts.
        source: name of the curve, table or answers that it is compared with.
        necessary: whether the mechanism is contradicted if it does not hold.
    """

    text: str
    source: str
    necessary: bool

    def measured(
        self, outcome: Outcome, estimate: Estimate | None = None, place: str = "", note: str = ""
    ) -> PredictionEvidence:
        """Return the evidence for the prediction."""
        return PredictionEvidence(
            prediction=self.text,
            source=self.source,
            necessary=self.necessary,
            outcome=outcome,
            estimate=estimate,
            place=place,
            note=note,
        )

    def missing(self, note: str) -> PredictionEvidence:
        """Return the evidence for a prediction that was not measured, with the reason."""
        return self.measured("not measured", note=note)


@dataclass(frozen=True, slots=True)
class Conclusion:
    """Whether a mechanism is supported by its evidence.

    Attributes:
        mechanism: what the mechanism states.
        evidence: all predictions with their measurements.
    """

    mechanism: str
    evidence: tuple[PredictionEvidence, ...]

    @property
    def name(self) -> ConclusionName:
        """The conclusion.

        A mechanism is contradicted if a necessary prediction disagrees, and supported if all
        necessary predictions agree. Otherwise it cannot be decided.
        """
        outcomes = [each.outcome for each in self.evidence if each.necessary]
        if "disagrees" in outcomes:
            return "contradicted"
        supported = bool(outcomes) and set(outcomes) == {"agrees"}
        return "supported" if supported else "cannot be decided"


def independent_difference(first: Estimate, second: Estimate) -> Estimate:
    """Return the difference of two estimates from different items, with a conservative interval.

    The interval contains all differences of values in both intervals: its level is at least that
    of the two intervals together.
    """
    if first.value is None or second.value is None:
        return Estimate(value=None, n=0, method="one of the two values is undefined")
    difference = Estimate(value=first.value - second.value, n=first.n + second.n)
    ends = first.low, first.high, second.low, second.high
    if None in ends:
        return replace(difference, method="one of the two values has no interval")
    low, high, other_low, other_high = (float(end) for end in ends if end is not None)
    groups = [each.n_groups for each in (first, second) if each.n_groups]
    return replace(
        difference,
        low=low - other_high,
        high=high - other_low,
        method="difference of independent estimates; conservative interval",
        n_groups=sum(groups),
        unit=first.unit,
    )


def shifted(estimate: Estimate, by: float) -> Estimate:
    """Return an estimate plus a constant, such as an AUC minus chance."""
    value, low, high = (
        None if number is None else number + by
        for number in (estimate.value, estimate.low, estimate.high)
    )
    return replace(estimate, value=value, low=low, high=high)
