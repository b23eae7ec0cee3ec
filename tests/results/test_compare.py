"""Two results of the same clips are compared on what both scored and somebody annotated."""

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


def test_what_is_better_is_found_and_by_how_much() -> None:
    noise = RNG.random((40, 2))
    found = compare(result(RIGHT), result(noise))
    assert found.macro_auc.p_value is not None
    assert found.macro_auc.p_value < 0.01
    assert found.best_label.p_value is not None
    assert found.best_label.p_value < 0.01
    for one in found.labels:
        assert one.auc.p_value is not None
        assert one.holm is not None
        assert one.benjamini_hochberg is not None
        assert one.auc.p_value <= one.benjamini_hochberg <= one.holm
        assert one.detectable is not None
    assert "rain, AUC" in found.table().to_text()


def test_a_result_does_not_differ_from_itself() -> None:
    found = compare(result(RIGHT), result(RIGHT))
    assert found.macro_auc.p_value == found.best_label.p_value == 1.0
    assert [one.auc.difference.value for one in found.labels] == [0.0, 0.0]


def test_only_what_both_scored_is_compared() -> None:
    found = compare(result(RIGHT), result(RIGHT[:30], NAMES[:30]))
    assert (len(found.clip_ids), found.n_left_out) == (30, 10)
    known = {name: TRUTH[name] for name in NAMES[:12]}
    assert len(compare(result(RIGHT), result(RIGHT), truth=known).clip_ids) == 12


def test_results_that_have_nothing_in_common_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="No annotated clip"):
        compare(result(RIGHT), result(RIGHT), truth={})
    other = ClassificationResult(
        label_scores=LabelScores(NAMES, ("a", "b"), RIGHT),
        captions=(),
        failures=(),
        provenance=Provenance(components={}, options={}, seed=0, data="", versions={}, created=""),
        truth=TRUTH,
    )
    with pytest.raises(InvalidInputError, match="other labels"):
        compare(result(RIGHT), other)


def with_groups(scores: np.ndarray, groups: dict[str, str]) -> ClassificationResult:
    return replace(result(scores), groups=groups)


FOUR_SITES = {name: f"site {n % 4}" for n, name in enumerate(NAMES)}


def test_the_groups_of_the_results_are_exchanged_and_named() -> None:
    noise = RNG.random((40, 2))
    found = compare(with_groups(RIGHT, FOUR_SITES), with_groups(noise, FOUR_SITES))
    assert found.units == "4 groups"
    for test in (found.macro_auc, found.best_label, *(one.auc for one in found.labels)):
        assert (test.n_units, test.smallest_p_value) == (4, 0.125)
        assert test.p_value is not None
        assert test.p_value >= 0.125
    assert [one.detectable for one in found.labels] == [None, None]
    assert "cannot give a p-value below 0.125" in found.conclusion()
    assert compare(result(RIGHT), result(noise)).units == "40 clips"
    assert compare(result(RIGHT), result(noise), groups=FOUR_SITES).units == "4 groups"


def test_results_whose_groups_differ_are_refused_unless_groups_are_given() -> None:
    other = {**FOUR_SITES, NAMES[0]: "elsewhere"}
    with pytest.raises(InvalidInputError, match="'elsewhere'"):
        compare(with_groups(RIGHT, FOUR_SITES), with_groups(RIGHT, other))
    found = compare(with_groups(RIGHT, FOUR_SITES), with_groups(RIGHT, other), groups=FOUR_SITES)
    assert found.units == "4 groups"


def test_clips_that_are_not_compared_are_counted_by_reason() -> None:
    failed = tuple(Failure(name, "read", "AudioReadError", "?") for name in NAMES[30:])
    first = replace(result(RIGHT[:30], NAMES[:30]), failures=failed)
    second = replace(result(RIGHT[:25], NAMES[:25]), failures=failed[:6])
    found = compare(first, second, truth={name: TRUTH[name] for name in NAMES[:20]})
    assert dict(found.left_out) == {
        "failed in both": 6,
        "failed in the first": 4,
        "failed in the second": 0,
        "only in the first": 5,
        "only in the second": 0,
        "not annotated": 5,
    }
    assert (found.n_failed_in_both, found.n_left_out) == (6, 20)


def test_a_best_label_that_ties_with_a_wrong_one_is_not_right() -> None:
    found = compare(result(RIGHT), result(np.zeros((40, 2))))
    assert found.best_label.difference.value == 1.0


def test_a_table_names_the_results_and_ends_with_a_sentence() -> None:
    noise = np.random.default_rng(3).random((40, 2))
    found = compare(result(RIGHT), result(noise), names=("labels", "caption"))
    assert found.table().header[1] == "labels minus caption"
    assert found.conclusion().startswith("labels is significantly better than caption")
    assert str(found).endswith(found.conclusion())


def test_groups_are_saved_and_old_files_without_them_are_read() -> None:
    first = with_groups(RIGHT, FOUR_SITES)
    assert ClassificationResult.from_json(first.to_json()).groups == FOUR_SITES
    old = json.loads(first.to_json())
    del old["groups"]
    assert ClassificationResult.from_json(json.dumps(old)).groups == {}


def test_truth_and_groups_are_joined_in_either_unicode_form() -> None:
    composed, decomposed = (
        {unicodedata.normalize(form, f"bl\u00e4ss {n}"): name for n, name in enumerate(NAMES)}
        for form in ("NFC", "NFD")
    )
    scored = result(RIGHT, tuple(composed))
    truth = {clip_id: TRUTH[name] for clip_id, name in decomposed.items()}
    groups = {clip_id: FOUR_SITES[name] for clip_id, name in decomposed.items()}
    found = compare(scored, scored, truth=truth, groups=groups)
    assert (found.clip_ids, found.units) == (tuple(composed), "4 groups")
