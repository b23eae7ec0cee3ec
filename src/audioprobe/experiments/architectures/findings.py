"""Main results of a study of architectures as sentences, which follow from fixed rules."""

from collections import Counter
from collections.abc import Mapping, Sequence

from audioprobe.experiments.architectures.analysis import ArchitecturesSummary
from audioprobe.experiments.architectures.claims import IS_LOWER, IS_USED, VERSUS, outcome_of
from audioprobe.experiments.architectures.comparison import (
    is_bound,
    is_significant,
    tested_arms,
)
from audioprobe.experiments.architectures.items import PRIMARY
from audioprobe.experiments.architectures.seed_means import SeedMean
from audioprobe.experiments.architectures.tables import without_counts
from audioprobe.experiments.interpretability.rules import Outcome

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
    outcomes = _outcomes(summary, IS_LOWER)
    unused = [arm for arm, outcome in _outcomes(summary, IS_USED).items() if outcome != "agrees"]
    used = {arm: outcome for arm, outcome in outcomes.items() if arm not in unused}
    named = {
        outcome: [arm for arm, each in used.items() if each == outcome]
        for outcome in ("agrees", "disagrees", "undecided")
    }
    answer = "cannot be decided"
    if len(used) >= _LEAST_ARMS:
        if named["disagrees"]:
            answer = "no"
        elif len(named["agrees"]) == len(used):
            answer = "yes"
    parts = {arm: summary.gaps[arm, "relations", "reasoning"] for arm in used}
    reasoning = _above(summary, parts)
    without = f" Left out, because they do not use the audio: {_names(unused)}." if unused else ""
    return (
        f"Is the gap between text and audio general, for models of this size? {answer}. Answers "
        f"about audio are less accurate than in text in {len(named['agrees'])} of {len(used)} "
        f"architectures ({_names(named['agrees'])}); the difference is below "
        f"{summary.record.config.margin:g} in {len(named['disagrees'])} "
        f"({_names(named['disagrees'])}), and undecided in {len(named['undecided'])} "
        f"({_names(named['undecided'])}). For clips whose concept is recognised, a part of the gap "
        f"remains in {len(reasoning)} ({_names(reasoning)}).{without}"
    )


def transfer_text(summary: ArchitecturesSummary) -> str:
    """Return in how many architectures training in text transfers to audio."""
    arms = [arm.name for arm in tested_arms(summary.record)]
    from_text = _above(summary, {arm: summary.transfers[arm].from_text for arm in arms})
    from_audio = _above(summary, {arm: summary.transfers[arm].from_audio for arm in arms})
    return (
        "Does training in text transfer to audio? Questions about audio are answered more "
        "accurately for relations that were trained in text only than for held-out relations in "
        f"{len(from_text)} of {len(arms)} architectures ({_names(from_text)}), and more accurately "
        "for relations that were also trained in audio than for those trained in text only in "
        f"{len(from_audio)} ({_names(from_audio)})."
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
    return (
        f"Primary measure ({PRIMARY.name}; chance is .5): {first} "
        f"{without_counts(summary.primary(first).estimate)}. Significant differences from it "
        f"(p < .05 after Holm's correction) in {len(significant)} of {len(compared)} other "
        f"architectures: {_names(significant)}.{shown}"
    )


def claims_text(summary: ArchitecturesSummary) -> str:
    """Return the numbers of claims by outcome."""
    counts = Counter(claim.outcome for claim in summary.claims)
    shown = ", ".join(f"{n} {outcome}" for outcome, n in sorted(counts.items()))
    return f"Claims about architectures: {shown or 'none'}; see the table of claims."


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


def _names(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
