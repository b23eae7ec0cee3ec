"""Main results of a study of architectures as sentences, which follow from fixed rules."""

from collections.abc import Mapping, Sequence, Sized

from audioprobe.experiments.architectures.analysis import ArchitecturesSummary
from audioprobe.experiments.architectures.claim_rules import is_above_floor, outcome_of
from audioprobe.experiments.architectures.claims import IS_LOWER, IS_USED, VERSUS
from audioprobe.experiments.architectures.comparison import (
    is_bound,
    is_significant,
    tested_arms,
)
from audioprobe.experiments.architectures.items import PRIMARY, ArmMeasure, QuestionGroup
from audioprobe.experiments.architectures.seed_means import SeedMean
from audioprobe.experiments.architectures.tables import without_counts
from audioprobe.experiments.interpretability.rules import Outcome

_TRAINED = ArmMeasure("trained relations", QuestionGroup("audio_and_text", "audio").items)
_LEAST_ARMS = 2  # architectures from which a conclusion is general


def all_findings(summary: ArchitecturesSummary) -> list[str]:
    """Return the main results: both questions, the primary measure, claims, and progress."""
    return [
        generality(summary),
        transfer_text(summary),
        primary_text(summary),
        claims_text(summary),
        progress_text(summary),
    ]


def generality(summary: ArchitecturesSummary) -> str:
    """Return whether the gap between text and audio is general for models of this size.

    It is general if the gap of every architecture is above 0, and not general if that of one is
    below the margin. Architectures that do not use the audio significantly are left out, if the
    study has an arm without audio.
    """
    unused = [arm for arm, outcome in _outcomes(summary, IS_USED).items() if outcome != "agrees"]
    outcomes = {
        a: outcome for a, outcome in _outcomes(summary, IS_LOWER).items() if a not in unused
    }
    lower, similar, undecided = (
        [arm for arm, each in outcomes.items() if each == outcome]
        for outcome in ("agrees", "disagrees", "undecided")
    )
    answer = "Cannot be decided"
    if len(outcomes) >= _LEAST_ARMS and similar:
        answer = "No"
    elif len(outcomes) >= _LEAST_ARMS and len(lower) == len(outcomes):
        answer = "Yes"
    reasoning = _above(
        summary, {arm: summary.gaps[arm, "relations", "reasoning"] for arm in outcomes}
    )
    sentences = [
        f"Is the gap between text and audio general, for models of this size? {answer}.",
        f"Answers about audio are less accurate than in text in {_share(lower, outcomes)}.",
        f"The difference is below {summary.record.config.margin:g} in {', '.join(similar)}.",
        f"Undecided: {', '.join(undecided)}.",
        f"A part of the gap is from clips whose concept is recognised in {', '.join(reasoning)}.",
        f"Left out, because their use of the audio is not significant: {', '.join(unused)}.",
    ]
    named = (True, True, similar, undecided, reasoning, unused)
    return " ".join(text for text, names in zip(sentences, named, strict=True) if names)


def transfer_text(summary: ArchitecturesSummary) -> str:
    """Return in how many architectures training in text transfers to audio.

    Architectures that are not above chance in audio for relations that were trained in audio are
    left out: they cannot show what they know.
    """
    record = summary.record
    arms = [arm.name for arm in tested_arms(record)]
    able = [arm for arm in arms if is_above_floor(record, record.of(arm), _TRAINED)]
    unable = [arm for arm in arms if arm not in able]
    from_text = _above(summary, {arm: summary.transfers[arm].from_text for arm in able})
    from_audio = _above(summary, {arm: summary.transfers[arm].from_audio for arm in able})
    left_out = (
        " Left out, because they are not above chance in audio for trained relations: "
        f"{', '.join(unable)}."
    )
    return (
        "Does training in text transfer to audio? Questions about audio are answered more "
        "accurately for relations that were trained in text only than for held-out relations in "
        f"{_share(from_text, able)}, and more accurately for relations that were also trained in "
        f"audio than for those trained in text only in {_share(from_audio, able)}."
        f"{left_out if unable else ''}"
    )


def primary_text(summary: ArchitecturesSummary) -> str:
    """Return the primary measure of the first arm, significant differences, and bounds."""
    first = summary.record.config.arms[0].name
    bounds = "; ".join(
        f"{arm.name} {without_counts(summary.primary(arm.name).estimate)}"
        for arm in summary.arms
        if is_bound(arm)
    )
    shown = f" Bounds: {bounds}." if bounds else ""
    if first not in [arm.name for arm in summary.arms]:
        return f"Primary measure ({PRIMARY.name}): the first arm, {first}, has no result.{shown}"
    compared = [d for d in summary.differences if not is_bound(summary.record.config.arm(d.first))]
    significant = [
        f"{d.first} {without_counts(d.mean.estimate)}" for d in compared if is_significant(d)
    ]
    names = [arm.name for arm in tested_arms(summary.record)]
    guessing = [
        name
        for name in names
        if not is_above_floor(summary.record, summary.record.of(name), PRIMARY)
    ]
    if guessing:
        shown += f" Not above chance: {', '.join(guessing)}."
    return (
        f"Primary measure ({PRIMARY.name}; chance is .5): {first} "
        f"{without_counts(summary.primary(first).estimate)}. The difference from it is significant "
        f"(p < .05 after Holm's correction) in {_share(significant, compared, 'other ')}.{shown}"
    )


def claims_text(summary: ArchitecturesSummary) -> str:
    """Return the outcomes of claims about pairs of architectures."""
    compared = [claim for claim in summary.claims if claim.budget]
    decided = [
        f"{claim.claim}: {claim.outcome} ({claim.arms}, {claim.measure}"
        f"{', equal compute' if claim.budget == 'compute' else ''})"
        for claim in compared
        if claim.outcome in ("agrees", "disagrees")
    ]
    return (
        f"{len(decided)} of {len(compared)} comparisons decide a claim of the literature"
        f"{': ' if decided else ''}{'; '.join(decided)}."
    )


def progress_text(summary: ArchitecturesSummary) -> str:
    """Return how many runs are finished."""
    record = summary.record
    n, n_missing = len(record.results), len(record.missing)
    preliminary = "; all results are preliminary" if n_missing else ""
    return f"{n} of {n + n_missing} training runs have finished{preliminary}."


def _outcomes(summary: ArchitecturesSummary, claim: str) -> dict[str, Outcome]:
    """Return the outcome of a claim about single arms, by the first arm that it names."""
    return {
        each.arms.split(VERSUS)[0]: each.outcome
        for each in summary.claims
        if each.claim == claim and each.outcome != "not measured"
    }


def _above(summary: ArchitecturesSummary, means: Mapping[str, SeedMean]) -> list[str]:
    """Return the arms with a value above 0; see `outcome_of`."""
    margin = summary.record.config.margin
    return [
        arm
        for arm, mean in means.items()
        if outcome_of(mean.estimate, "higher", margin) == "agrees"
    ]


def _share(arms: Sequence[str], of: Sized, more: str = "") -> str:
    """Return how many of the architectures these are, with their names."""
    names = f" ({', '.join(arms)})" if arms else ""
    return f"{len(arms)} of {len(of)} {more}architectures{names}"
