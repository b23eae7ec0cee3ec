"""Matched trials: groups, selections and samples."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tests.experiments.interpretability.tiny_interpretability import answered

from audioprobe.experiments.interpretability.trials import StudyTrials, TrialRecord
from audioprobe.io.json_codec import from_json, to_json
from audioprobe.probing.wordings import PromptingOptions

TRIALS = tuple(
    answered(f"c{n}", audio=n % 4 > 0, familiar=n % 2 == 0, role=role, recognised=None)
    for n in range(12)
    for role in ("audio_and_text", "text_only")
)
RECORD = TrialRecord(TRIALS, {f"c{n}": "animal" for n in range(12)})


def study_trials() -> StudyTrials:
    return StudyTrials(RECORD, {}, PromptingOptions())


def test_groups_partition_the_trials() -> None:
    groups = RECORD.groups()
    assert list(groups) == ["all", "familiar", "unfamiliar"]
    np.testing.assert_array_equal(groups["familiar"], ~groups["unfamiliar"])
    alone = TrialRecord(tuple(t for t in TRIALS if t.familiar), {})
    assert list(alone.groups()) == ["all"]


def test_items_of_curves_are_selected_by_properties() -> None:
    items = [trial.id for trial in TRIALS] + [TRIALS[0].clip, "another item"]
    familiar = RECORD.where(items, familiar=True)
    assert familiar.tolist() == [t.familiar is True for t in TRIALS] + [True, False]
    both = RECORD.where(items[:-2], familiar=True, role=("text_only", "held_out"))
    assert both.tolist() == [t.familiar is True and t.role == "text_only" for t in TRIALS]


@given(st.integers(1, 30), st.integers(0, 5))
def test_a_sample_is_even_and_reproducible(n: int, seed: int) -> None:
    sample = study_trials().sample(n, seed)
    assert len(sample) == min(n, len(TRIALS))
    assert sample.ids == study_trials().sample(n, seed).ids
    assert list(sample.ids) == [t.id for t in TRIALS if t.id in set(sample.ids)]
    strata = Counter((t.role, t.familiar, t.is_correct("audio")) for t in sample.record.trials)
    everything = Counter((t.role, t.familiar, t.is_correct("audio")) for t in TRIALS)
    for stratum, total in everything.items():
        assert strata[stratum] >= min(total, n // len(everything))


def test_a_sample_of_zero_is_everything() -> None:
    assert study_trials().sample(0, 0).ids == study_trials().ids


def test_the_table_has_both_answers_and_keeps_invalid_ones() -> None:
    trials = (answered("a", text=True, audio=False), answered("b", text=None, holds=False))
    table = TrialRecord(trials, {}).data().columns
    assert table["text_correct"] == [True, None]
    assert table["audio_correct"] == [False, True]
    assert table["text_log_odds"] == [1.0, 0.0]
    assert table["audio_log_odds"] == [-1.0, 1.0]


def test_records_are_read_as_they_were_written() -> None:
    assert from_json(TrialRecord, to_json(RECORD)) == RECORD
