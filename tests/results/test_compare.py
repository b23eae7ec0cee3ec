"""Comparison of two results on the annotated clips that both scored."""

import json
import unicodedata
from dataclasses import replace

import numpy as np
import pytest

from audioprobe.errors import InvalidInputError
from audioprobe.results import ClassificationResult, Failure, LabelScores, Provenance
from audioprobe.results.compare import compare

LABELS = ("crow", "rain")
NAMES = tuple(f"clip {n}" for n in range(40))
TRUTH = {name: (LABELS[n % 2],) for n, name in enumerate(NAMES)}
RNG = np.random.default_rng(0)
RIGHT = np.array([[1.0, 0.0] if n % 2 == 0 else [0.0, 1.0] for n in range(40)])


def result(scores: np.ndarray, names: tuple[str, ...] = NAMES) -> ClassificationResult:
    table = LabelScores(names, LABELS, scores)
    return ClassificationResult(
        label_scores=table,
        captions=(),
        failures=(),
        provenance=Provenance(components={}, options={}, seed=0, data="", versions={}, created=""),
        truth=TRUTH,
        measure="total",
    )


def test_better_result_is_significantly_better() -> None:
    noise = RNG.random((40, 2))
    comparison = compare(result(RIGHT), result(noise))
    assert comparison.macro_auc.p_value is not None
    assert comparison.macro_auc.p_value < 0.01
    assert comparison.best_label.p_value is not None
    assert comparison.best_label.p_value < 0.01
    for label in comparison.labels:
        assert label.auc.p_value is not None
        assert label.holm is not None
        assert label.benjamini_hochberg is not None
        assert label.auc.p_value <= label.benjamini_hochberg <= label.holm
        assert label.detectable is not None
    assert "rain, AUC" in comparison.table().to_text()


def test_data_of_a_comparison_are_those_of_its_table() -> None:
    comparison = compare(result(RIGHT), result(RNG.random((40, 2))))
    frame = comparison.to_pandas()
    assert comparison.data().columns["label"] == [None, None, *LABELS]
    assert len(frame) == len(comparison.table().rows)
    assert frame.p_value[0] == comparison.macro_auc.p_value
    assert frame.holm[2] == comparison.labels[0].holm
    assert (frame.low[0], frame.high[0]) == (
        comparison.macro_auc.difference.low,
        comparison.macro_auc.difference.high,
    )
    assert frame.holm[:2].isna().all()


def test_result_does_not_differ_from_itself() -> None:
    comparison = compare(result(RIGHT), result(RIGHT))
    assert comparison.macro_auc.p_value == comparison.best_label.p_value == 1.0
    assert [label.auc.difference.value for label in comparison.labels] == [0.0, 0.0]


def test_only_clips_scored_in_both_are_compared() -> None:
    comparison = compare(result(RIGHT), result(RIGHT[:30], NAMES[:30]))
    assert (len(comparison.clip_ids), comparison.n_left_out) == (30, 10)
    known = {name: TRUTH[name] for name in NAMES[:12]}
    assert len(compare(result(RIGHT), result(RIGHT), truth=known).clip_ids) == 12


def test_results_without_common_clips_or_labels_are_rejected() -> None:
    with pytest.raises(InvalidInputError, match="No clip with reference labels"):
        compare(result(RIGHT), result(RIGHT), truth={})
    other = ClassificationResult(
        label_scores=LabelScores(NAMES, ("a", "b"), RIGHT),
        captions=(),
        failures=(),
        provenance=Provenance(components={}, options={}, seed=0, data="", versions={}, created=""),
        truth=TRUTH,
    )
    with pytest.raises(InvalidInputError, match="the same labels"):
        compare(result(RIGHT), other)


def with_groups(scores: np.ndarray, groups: dict[str, str]) -> ClassificationResult:
    return replace(result(scores), groups=groups)


FOUR_SITES = {name: f"site {n % 4}" for n, name in enumerate(NAMES)}


def test_groups_of_the_results_are_exchanged_and_reported() -> None:
    noise = RNG.random((40, 2))
    comparison = compare(with_groups(RIGHT, FOUR_SITES), with_groups(noise, FOUR_SITES))
    assert comparison.units == "4 groups"
    for test in (
        comparison.macro_auc,
        comparison.best_label,
        *(label.auc for label in comparison.labels),
    ):
        assert (test.n_units, test.smallest_p_value) == (4, 0.125)
        assert test.p_value is not None
        assert test.p_value >= 0.125
    assert [label.detectable for label in comparison.labels] == [None, None]
    assert "cannot give a p-value below 0.125" in comparison.conclusion()
    assert compare(result(RIGHT), result(noise)).units == "40 clips"
    assert compare(result(RIGHT), result(noise), groups=FOUR_SITES).units == "4 groups"


def test_conflicting_groups_are_rejected_unless_groups_are_given() -> None:
    other = {**FOUR_SITES, NAMES[0]: "elsewhere"}
    with pytest.raises(InvalidInputError, match="'elsewhere'"):
        compare(with_groups(RIGHT, FOUR_SITES), with_groups(RIGHT, other))
    comparison = compare(
        with_groups(RIGHT, FOUR_SITES), with_groups(RIGHT, other), groups=FOUR_SITES
    )
    assert comparison.units == "4 groups"


def test_clips_that_are_not_compared_are_counted_by_reason() -> None:
    failed = tuple(Failure(name, "read", "AudioReadError", "?") for name in NAMES[30:])
    first = replace(result(RIGHT[:30], NAMES[:30]), failures=failed)
    second = replace(result(RIGHT[:25], NAMES[:25]), failures=failed[:6])
    comparison = compare(first, second, truth={name: TRUTH[name] for name in NAMES[:20]})
    assert dict(comparison.left_out) == {
        "failed in both": 6,
        "failed in the first": 4,
        "failed in the second": 0,
        "only in the first": 5,
        "only in the second": 0,
        "not annotated": 5,
    }
    assert (comparison.left_out["failed in both"], comparison.n_left_out) == (6, 20)


def test_best_label_tied_with_a_wrong_one_is_not_right() -> None:
    comparison = compare(result(RIGHT), result(np.zeros((40, 2))))
    assert comparison.best_label.difference.value == 1.0


def test_comparison_table_names_the_results_and_ends_with_a_conclusion() -> None:
    noise = np.random.default_rng(3).random((40, 2))
    comparison = compare(result(RIGHT), result(noise), names=("labels", "caption"))
    assert comparison.table().header[1] == "labels minus caption"
    assert comparison.conclusion().startswith("labels is significantly better than caption")
    assert str(comparison).endswith(comparison.conclusion())


def test_groups_are_saved_and_may_be_missing_in_files() -> None:
    first = with_groups(RIGHT, FOUR_SITES)
    assert ClassificationResult.from_json(first.to_json()).groups == FOUR_SITES
    old = json.loads(first.to_json())
    del old["groups"]
    assert ClassificationResult.from_json(json.dumps(old)).groups == {}


def test_truth_and_groups_are_matched_in_either_unicode_form() -> None:
    composed, decomposed = (
        {unicodedata.normalize(form, f"bl\u00e4ss {n}"): name for n, name in enumerate(NAMES)}
        for form in ("NFC", "NFD")
    )
    scored = result(RIGHT, tuple(composed))
    truth = {clip_id: TRUTH[name] for clip_id, name in decomposed.items()}
    groups = {clip_id: FOUR_SITES[name] for clip_id, name in decomposed.items()}
    comparison = compare(scored, scored, truth=truth, groups=groups)
    assert (comparison.clip_ids, comparison.units) == (tuple(composed), "4 groups")
