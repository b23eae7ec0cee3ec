"""Conclusions on records whose mechanism is known."""

from collections.abc import Mapping, Sequence

import numpy as np
from tests.experiments.interpretability.tiny_interpretability import (
    answered,
    effect_curve,
    planted,
)

from audioprobe.experiments.interpretability.interventions import (
    TEXT_PATCHED,
    WORD_ERASED,
    WORD_PATCHED,
    WORD_READABLE,
)
from audioprobe.experiments.interpretability.mechanisms import (
    SEPARATE,
    UNFAMILIAR,
    WORDS,
    conclusions,
)
from audioprobe.experiments.interpretability.representations import LINEAR, SIMILARITY, TRANSFER
from audioprobe.experiments.interpretability.rules import Conclusion
from audioprobe.experiments.interpretability.storage import InterpretabilityRecord
from audioprobe.experiments.interpretability.trials import MatchedTrial, RelationRole
from audioprobe.io.data_table import DataTable

CONCEPTS = [f"c{n}" for n in range(16)]
ROLES: tuple[RelationRole, ...] = ("text_only", "held_out")
NOTHING, STRONG = np.zeros(3), np.array([0.0, 0.6, 0.3])


def conclusion(record: InterpretabilityRecord, mechanism: str) -> Conclusion:
    return next(each for each in conclusions(record) if each.mechanism == mechanism)


def outcomes(record: InterpretabilityRecord, mechanism: str) -> list[str]:
    return [each.outcome for each in conclusion(record, mechanism).evidence]


def roles(*, audio_of_text_only: bool, text: bool = True) -> list[MatchedTrial]:
    """Trials in which only the relations that were not trained in audio may fail."""
    trained = [answered(c, text=text, audio=n > 0) for n, c in enumerate(CONCEPTS)]
    others = [
        answered(c, text=text, audio=audio_of_text_only and n > 0, role=ROLES[n % 2])
        for n, c in enumerate(CONCEPTS)
    ]
    return trained + others


def probe_table(familiar: float, unfamiliar: float, word_site: float = 0.3) -> DataTable:
    """Return AUC and selectivity of the class by group and site."""
    rows = [
        ("all", "encoder.out", 0.9, 0.3),
        ("all", "lm.resid.0", 0.9, word_site),
        ("all", "lm.resid.1", 0.9, 0.3),
        ("familiar", "connector.out", familiar, 0.3),
        ("unfamiliar", "connector.out", unfamiliar, 0.3),
    ]
    columns: dict[str, list[object]] = {
        "group": [row[0] for row in rows],
        "site": [row[1] for row in rows],
        "modality": ["audio"] * len(rows),
        "label": ["class"] * len(rows),
    }
    for name, position in (("auc", 2), ("selectivity", 3)):
        for suffix, shift in (("", 0.0), ("_low", -0.04), ("_high", 0.04)):
            columns[name + suffix] = [float(row[position]) + shift for row in rows]
        columns[f"{name}_concepts"] = [16] * len(rows)
    return DataTable(columns)


def transfer_table(auc: float, p_value: float) -> DataTable:
    columns: dict[str, Sequence[object]] = {
        "train": ["text", "text"],
        "test": ["audio", "audio"],
        "label": ["class", "class"],
        "site": ["lm.resid.0", "lm.resid.1"],
        "p_value": [0.001, p_value],
    }
    for name, values in (("auc", (0.99, auc)), ("ceiling_auc", (0.8, 0.95))):
        columns |= {name: values, f"{name}_concepts": (16, 16)}
        columns |= {f"{name}_low": [v - 0.04 for v in values]}
        columns |= {f"{name}_high": [v + 0.04 for v in values]}
    return DataTable(columns)


def test_words_are_supported_if_they_can_be_read_and_are_used() -> None:
    trials = [answered(concept) for concept in CONCEPTS]
    used = {
        WORD_READABLE: effect_curve(trials, STRONG),
        WORD_ERASED: effect_curve(trials, STRONG),
        WORD_PATCHED: effect_curve(trials, STRONG),
    }
    record = planted(trials, used)
    assert conclusion(record, WORDS).name == "supported"
    assert outcomes(record, WORDS) == ["agrees", "not measured", "agrees", "agrees"]
    evidence = conclusion(record, WORDS).evidence[0]
    assert evidence.place == "lm.resid.1, audio"
    assert evidence.estimate is not None
    assert abs((evidence.estimate.value or 0) - 0.6) < 0.1
    unused = used | {WORD_ERASED: effect_curve(trials, NOTHING)}
    assert conclusion(planted(trials, unused), WORDS).name == "contradicted"
    assert conclusion(planted(trials, {WORD_READABLE: used[WORD_READABLE]}), WORDS).name == (
        "cannot be decided"
    )


def test_the_class_before_the_word_speaks_against_words() -> None:
    trials = [answered(concept) for concept in CONCEPTS]
    curves = {WORD_READABLE: effect_curve(trials, np.array([0.0, 0.6, 0.6]))}
    early = planted(trials, curves, {LINEAR: probe_table(0.9, 0.9)})
    assert outcomes(early, WORDS)[1] == "disagrees"
    table = probe_table(0.9, 0.9, word_site=0.0)
    table.columns["selectivity"][0] = 0.0  # type: ignore[index]
    table.columns["selectivity_low"][0], table.columns["selectivity_high"][0] = -0.04, 0.04  # type: ignore[index]
    late = planted(trials, curves, {LINEAR: table})
    evidence = conclusion(late, WORDS).evidence[1]
    assert evidence.outcome == "agrees"
    assert "from lm.resid.1 on" in evidence.note


def test_separate_representations_are_distinguished_from_shared_ones() -> None:
    lost = roles(audio_of_text_only=False)
    repaired = {TEXT_PATCHED: effect_curve(lost, STRONG)}
    tables = {TRANSFER: transfer_table(0.5, 0.5)}
    record = planted(lost, repaired, tables)
    assert outcomes(record, SEPARATE) == ["agrees", "agrees", "not measured", "agrees"]
    assert conclusion(record, SEPARATE).name == "supported"
    shared = planted(
        roles(audio_of_text_only=True), repaired, {TRANSFER: transfer_table(0.9, 0.01)}
    )
    assert outcomes(shared, SEPARATE)[:2] == ["disagrees", "disagrees"]
    assert conclusion(shared, SEPARATE).name == "contradicted"


def test_relations_that_are_unknown_in_text_decide_nothing() -> None:
    (gap, *_) = conclusion(planted(roles(audio_of_text_only=True, text=False)), SEPARATE).evidence
    assert gap.outcome == "undecided"
    assert "not above chance" in gap.note
    (missing, *_) = conclusion(planted([answered("c0", role="unknown")]), SEPARATE).evidence
    assert missing.outcome == "not measured"


def test_only_answers_that_text_can_repair_are_patched() -> None:
    trials = roles(audio_of_text_only=True)  # one concept is wrong about audio
    values = np.where([[t.is_correct("audio") is False] for t in trials], 0.0, STRONG)
    curve = effect_curve(trials, values[0])
    object.__setattr__(curve, "values", values)
    evidence = conclusion(planted(trials, {TEXT_PATCHED: curve}), SEPARATE).evidence[3]
    assert evidence.estimate is not None
    assert evidence.estimate.n == 1  # the concept with a wrong answer
    all_right = [answered(concept) for concept in CONCEPTS]
    record = planted(all_right, {TEXT_PATCHED: effect_curve(all_right, STRONG)})
    assert conclusion(record, SEPARATE).evidence[3].note == "no trial has such answers"


def test_a_significant_similarity_speaks_against_separation() -> None:
    def table(p_value: float) -> Mapping[str, DataTable]:
        columns: dict[str, Sequence[object]] = {
            "group": ["all", "all", "familiar"],
            "n_concepts": [16, 16, 8],
            "first": ["lm.embed"] * 3,
            "second": ["connector.out", "lm.embed", "lm.embed"],
            "excess": [0.4, None, 0.9],
            "corrected_p_value": [p_value, None, 0.0001],
        }
        return {SIMILARITY: DataTable(columns)}

    trials = [answered(concept) for concept in CONCEPTS]
    assert outcomes(planted(trials, {}, table(0.01)), SEPARATE)[2] == "disagrees"
    assert outcomes(planted(trials, {}, table(0.3)), SEPARATE)[2] == "undecided"


def familiarity(unfamiliar_right: bool) -> list[MatchedTrial]:
    known = [answered(c, familiar=True, recognised=True) for c in CONCEPTS]
    new = [
        answered(c, audio=unfamiliar_right, familiar=False, recognised=unfamiliar_right)
        for c in CONCEPTS
    ]
    return known + new


def test_worse_representations_of_unfamiliar_sound_are_distinguished_from_equal_ones() -> None:
    worse = planted(familiarity(False), {}, {LINEAR: probe_table(0.95, 0.7)})
    assert outcomes(worse, UNFAMILIAR) == ["agrees", "agrees", "agrees"]
    assert conclusion(worse, UNFAMILIAR).name == "supported"
    equal = planted(familiarity(True), {}, {LINEAR: probe_table(0.9, 0.91)})
    assert outcomes(equal, UNFAMILIAR) == ["disagrees", "disagrees", "disagrees"]
    assert conclusion(equal, UNFAMILIAR).name == "contradicted"


def test_other_questions_about_unfamiliar_recordings_are_not_compared() -> None:
    known = [answered(c, familiar=True) for c in CONCEPTS[:8]]
    new = [answered(c, familiar=False, audio=False) for c in CONCEPTS[8:]]
    evidence = conclusion(planted(known + new), UNFAMILIAR).evidence
    assert [each.outcome for each in evidence] == ["not measured"] * 3


def test_a_model_that_always_says_yes_decides_nothing() -> None:
    trials = [
        answered(c, text=holds, audio=holds, familiar=familiar, role=role, holds=holds)
        for c in CONCEPTS
        for holds in (True, False)
        for familiar in (True, False)
        for role in ("audio_and_text", *ROLES)
    ]
    for each in conclusions(planted(trials)):
        assert each.name == "cannot be decided"
        assert {e.outcome for e in each.evidence} <= {"undecided", "not measured"}
