"""Table of the measures of a probe, each with its interval and chance level."""

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from audioprobe.io.text_table import Table
from audioprobe.metrics.variance import Component
from audioprobe.probing.analyses import ProbeAnalyses
from audioprobe.probing.logical_consistency import CHANCE
from audioprobe.probing.trial import AnswerReading, Condition, Form
from audioprobe.types import Estimate

HEADER = ("measure", "value", "chance", "n")
"""Columns of the table."""

_Row: TypeAlias = tuple[str, Estimate, float | None]  # name, value, chance level
_VARIANTS: Mapping[Form, str] = {"yes-no": "paraphrases", "choice": "orders and paraphrases"}
_VARIANCE: Mapping[Component, str] = {
    "clusters": "between concepts",
    "items": "between questions about a concept",
    "variants": "between variants",
    "interaction": "concepts by variants",
    "residual": "residual",
}


def measures_table(outcome: ProbeAnalyses, reading: AnswerReading) -> Table:
    """Return a table with one row per measure for which there are trials.

    Args:
        outcome: the outcome of a probe.
        reading: how an answer is turned into an option.
    """
    rows = [
        *_audio_use(outcome, reading),
        *_whole_clip_and_conflict(outcome, reading),
        *_agreement(outcome, reading),
        *(row for c in outcome.conditions for row in _consistency(outcome, reading, c)),
        *(row for c in outcome.conditions for row in _stability(outcome, c)),
    ]
    cells = tuple(
        (name, str(estimate), "–" if chance is None else f"{chance:.3f}", str(estimate.n))
        for name, estimate, chance in rows
        if estimate.n or estimate.n_undefined
    )
    return Table(HEADER, cells, (2, 3))


def _audio_use(outcome: ProbeAnalyses, reading: AnswerReading) -> Iterator[_Row]:
    use = outcome.audio_use(reading)
    yield f"text prior: accuracy minus chance, {use.control}", use.text_prior, 0.0
    yield "audio reliance: audio minus wrong clip", use.audio_reliance, 0.0
    yield f"share of accuracy left, {use.control}", use.share_without_audio, 1.0
    yield f"share above chance left, {use.control}", use.share_above_chance, None


def _whole_clip_and_conflict(outcome: ProbeAnalyses, reading: AnswerReading) -> Iterator[_Row]:
    need = outcome.whole_clip_need(reading)
    yield f"needs the whole clip, not one of {need.n_windows} windows", need.of_all, need.chance
    yield "the same, of correct items", need.of_correct, None
    yield "the same, of items wrong without audio", need.of_dependent, None
    conflict = outcome.conflict_answers(reading)
    yield "conflicting text: answers follow the audio", conflict.audio, None
    yield "conflicting text: answers follow the text", conflict.text, None
    yield "conflicting text: neither", conflict.neither, None
    yield "conflicting text: correct answers that switch to the text", conflict.switched, None


def _agreement(outcome: ProbeAnalyses, reading: AnswerReading) -> Iterator[_Row]:
    cascade = outcome.condition_agreement(reading)
    yield "audio and own caption: same answer", cascade.agreement, None
    yield "audio and own caption: Cohen's kappa", cascade.kappa, 0.0
    readings = outcome.reading_agreement()
    yield "accuracy, free-text", readings.first_accuracy, None
    yield "accuracy, likelihood, same questions", readings.second_accuracy, None
    yield "free-text and likelihood: same answer", readings.agreement, None
    yield "free-text and likelihood: Cohen's kappa", readings.kappa, 0.0


def _consistency(
    outcome: ProbeAnalyses, reading: AnswerReading, condition: Condition
) -> Iterator[_Row]:
    if condition not in ("text", "audio"):
        return
    for form, variants in _VARIANTS.items():
        result = outcome.consistency(condition, reading, form=form)
        start = f"{condition}, {variants}"
        yield f"{start}: same answer to all", result.agreement, result.chance_agreement
        yield f"{start}: consistency rate", result.consistency_rate, result.chance_consistency
        yield f"{start}: correctness rate", result.correctness_rate, result.chance_correctness
        for component, name in _VARIANCE.items():
            part = result.variance[component]
            if part.chance is not None:
                yield f"{start}: variance {name}", part.share, part.chance
    logic = outcome.logical_consistency(condition, reading)
    yield f"{condition}, negation: opposite answer", logic.negation, CHANCE
    yield f"{condition}, names exchanged: same answer", logic.symmetry, CHANCE
    yield f"{condition}, class of an accepted class: yes", logic.transitivity, CHANCE
    for distance, estimate in logic.by_distance.items():
        yield f"{condition}, class {distance} above an accepted class: yes", estimate, CHANCE


def _stability(outcome: ProbeAnalyses, condition: Condition) -> Iterator[_Row]:
    result = outcome.stability(condition)
    start = f"{condition}, {result.n_samples} samples"
    yield f"{start}: share of the most frequent answer", result.agreement, result.chance_agreement
    yield f"{start}: entropy (bits)", result.entropy, None
    yield f"{start}: accuracy of a sample", result.sample_accuracy, None
    yield f"{start}: accuracy of the majority", result.majority_accuracy, None
