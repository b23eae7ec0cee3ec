"""At which stage a concept is lost between encoder and answer: conclusions from several curves.

The evidence and the tests are described in `location_evidence`, the rules in `location_rules`.

Conventions:
    Probes read a label of the audio, such as whether it is of a bird. All curves of audio prompts
    have the same items in the same order. The unit of all tests is the concept. Conclusions of
    different groups are not corrected for their number.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.location_evidence import LocationCriteria, StageEvidence
from audioprobe.interpretability.location_inputs import LocationInputs, joined_probes
from audioprobe.interpretability.location_rules import LocationEvidence, Loss, loss_of
from audioprobe.interpretability.site_curve import Place, SiteCurve
from audioprobe.io.data_table import DataTable, TidyData
from audioprobe.io.text_table import Displayed, Table
from audioprobe.metrics.significance import least_units
from audioprobe.types import BoolArray, Estimate, Float64Array

Answers: TypeAlias = Literal["all", "right", "wrong"]
STAGES = ("encoder", "connector", "audio", "last", "used", "shared_code")
"""Names of the stages of `LocationEvidence`, in the order of the forward pass."""

_CRITERIA = LocationCriteria()


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where a label is lost, for the concepts of a group.

    Attributes:
        group: name of the group.
        answers: which items: all, those with right or those with wrong answers.
        n_items: number of items.
        n_concepts: number of concepts.
        evidence: evidence about each stage.
        lost: the stage at which the label is lost.
        reason: the reason as a sentence.
    """

    group: Hashable
    answers: Answers
    n_items: int
    n_concepts: int
    evidence: LocationEvidence
    lost: Loss
    reason: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Locations(TidyData, Displayed):
    """Where a label is lost, by group and by answers.

    Attributes:
        locations: a location for each group and for all, right and wrong answers.
        criteria: settings of the tests.
    """

    locations: tuple[Location, ...]
    criteria: LocationCriteria

    def of(self, answers: Answers = "all", group: Hashable = "all") -> Location:
        """Return the location of a group; "all" is the name of the group if there are no groups."""
        for location in self.locations:
            if (location.answers, location.group) == (answers, group):
                return location
        known = sorted({str(location.group) for location in self.locations})
        raise InvalidInputError(
            f"Expected a group ({', '.join(known)}) and answers (all, right, wrong), got "
            f"{group!r} and {answers!r}."
        )

    def data(self) -> DataTable:
        """Return a table with one row per location and stage."""
        names = ("group", "answers", "n_items", "n_concepts", "lost", "reason", "stage", "presence")
        numbers = ("site", "span", "value", "difference", "low", "high")
        depths = ("depth", "depth_low", "depth_high")
        rows = [_row(location, stage) for location in self.locations for stage in STAGES]
        return DataTable.from_rows((*names, *numbers, *depths), rows)

    def displayed(self) -> tuple[tuple[Table, ...], tuple[str, ...]]:
        """Return a table with one row per location, and the criteria as a sentence."""
        header = ("group", "answers", "concepts", "encoder", "connector", "audio positions")
        rows = tuple(
            (
                str(location.group),
                location.answers,
                str(location.n_concepts),
                *(_cell(getattr(location.evidence, stage)) for stage in STAGES[:5]),
                location.lost,
            )
            for location in self.locations
        )
        level, share = self.criteria.bootstrap.level, self.criteria.share
        sentence = (
            "Numbers are differences to the control; depth 1 is the last layer. yes: significantly "
            f"above the control; no: significantly below {share:g} of the stage before (level "
            f"{level:.0%}, tests over concepts)."
        )
        return (Table((*header, "last position", "used", "lost"), rows, (2,)),), (sentence,)


def locate(
    probes: SiteCurve | Sequence[SiteCurve],
    *,
    answers: npt.ArrayLike,
    patch: SiteCurve | None = None,
    knock_out: SiteCurve | None = None,
    text: SiteCurve | None = None,
    transfer: SiteCurve | None = None,
    groups: Sequence[Hashable] | None = None,
    n_layers: int | None = None,
    criteria: LocationCriteria = _CRITERIA,
) -> Locations:
    """Return at which stage a label is lost, for all, right and wrong answers apart.

    Args:
        probes: curves of `probe_curve` of audio prompts: sites of the encoder and of the connector,
            and of the language model with the spans "audio" and "last". Other spans are not used.
        answers: logit difference of each item without intervention, such as `baseline` of
            `knock_out`: positive for a right answer, negative for a wrong one, NaN if it failed.
        patch: recovered share of patching text states into audio prompts, at the span "last", such
            as `patch(...).recovered`.
        knock_out: change of the logit difference if the attention to audio is removed, such as
            `knock_out(...).logit_difference`. Select edges that begin at "audio".
        text: curve of `probe_curve` of text prompts about the same concepts, at the span "last".
        transfer: curve of `transfer_curve`, trained on text and tested on audio.
        groups: group of each item, such as the family of its concept; None means one group, "all".
        n_layers: number of layers of the language model; None means the last layer of the probes.
        criteria: level and share of the tests.

    Raises:
        InvalidInputError: if curves of audio prompts have different items.
    """
    curves = (probes,) if isinstance(probes, SiteCurve) else tuple(probes)
    values = np.asarray(answers, dtype=np.float64)
    others = [curve for curve in (patch, knock_out, transfer) if curve is not None]
    _check([*curves, *others], values, groups)
    inputs = LocationInputs(
        probes=joined_probes(curves),
        answers=_as_curve(values, curves[0].concepts),
        patch=patch,
        knock_out=knock_out,
        text=text,
        transfer=transfer,
        n_layers=n_layers or 0,
        criteria=criteria,
    )
    names = ["all"] * len(values) if groups is None else list(groups)
    chosen: dict[Answers, BoolArray] = {
        "all": np.ones(len(values), dtype=np.bool_),
        "right": np.asarray(values > 0),
        "wrong": np.asarray(values < 0),
    }
    locations = []
    for group in dict.fromkeys(names):
        members = np.array([name == group for name in names])
        for kind, rows in chosen.items():
            locations.append(_located(inputs.only(members & rows), group, kind))
    return Locations(tuple(locations), criteria)


def _located(inputs: LocationInputs, group: Hashable, answers: Answers) -> Location:
    """Return the location of the items of a group."""
    evidence, concepts = inputs.evidence(), inputs.probes.concepts
    lost, reason = loss_of(evidence)
    n_concepts, needed = len(set(concepts)), least_units(inputs.criteria.bootstrap.level)
    if n_concepts < needed:
        lost = "cannot be decided"
        reason = f"Number of concepts: {n_concepts}; at least {needed} are needed."
    return Location(
        group=group,
        answers=answers,
        n_items=len(concepts),
        n_concepts=n_concepts,
        evidence=evidence,
        lost=lost,
        reason=reason,
    )


def _as_curve(answers: Float64Array, concepts: tuple[Hashable, ...]) -> SiteCurve:
    """Return the logit differences of the answers as a curve with one place."""
    return SiteCurve(
        measure="logit difference",
        places=(Place("lm.logits", "last"),),
        concepts=concepts,
        values=answers[:, None],
        controls={},
    )


def _check(
    curves: Sequence[SiteCurve], answers: Float64Array, groups: Sequence[Hashable] | None
) -> None:
    """Raise `InvalidInputError` unless all curves, answers and groups have the same items."""
    if not curves:
        raise InvalidInputError("Expected at least one curve of probes, got none.")
    concepts = curves[0].concepts
    n_groups = len(concepts) if groups is None else len(groups)
    if answers.shape != (len(concepts),) or n_groups != len(concepts):
        raise InvalidInputError(
            f"Expected an answer and a group for each of {len(concepts)} items, got answers of "
            f"shape {answers.shape} and {n_groups} groups."
        )
    for curve in curves[1:]:
        if curve.concepts != concepts:
            raise InvalidInputError(
                "Expected curves of audio prompts with the same items in the same order, got other "
                f"concepts in the curve of the {curve.measure}. Compute all curves for the same "
                "prompts."
            )


def _cell(evidence: StageEvidence) -> str:
    """Return the presence at a stage, with its depth or its difference to the control."""
    if evidence.depth is not None and evidence.depth.value is not None:
        return f"{evidence.presence} from depth {_short(evidence.depth)}"
    if evidence.difference is None:
        return evidence.presence
    return f"{evidence.presence} {_short(evidence.difference)}"


def _short(estimate: Estimate) -> str:
    """Return an estimate with its interval, with two decimals and without counts."""
    value, low, high = _values(estimate)
    if value is None:
        return "–"
    return f"{value:.2f}" + ("" if low is None else f" [{low:.2f}, {high:.2f}]")


def _row(location: Location, stage: str) -> tuple[object, ...]:
    """Return the values of a row of `Locations.data`."""
    evidence: StageEvidence = getattr(location.evidence, stage)
    place, difference, depth = evidence.place, evidence.difference, evidence.depth
    group = location.group
    return (
        group if isinstance(group, str) else repr(group),
        location.answers,
        location.n_items,
        location.n_concepts,
        location.lost,
        location.reason,
        stage,
        evidence.presence,
        None if place is None else place.site,
        None if place is None else place.span,
        None if evidence.estimate is None else evidence.estimate.value,
        *((None,) * 3 if difference is None else _values(difference)),
        *((None,) * 3 if depth is None else _values(depth)),
    )


def _values(estimate: Estimate) -> tuple[float | None, ...]:
    return estimate.value, estimate.low, estimate.high
