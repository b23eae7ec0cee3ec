"""Ranking of several results: order, pairs, correction, and the clips that count."""

from dataclasses import replace

import numpy as np
import pytest
from tests.results.test_compare import NAMES, RIGHT, TRUTH, result

from audioprobe.errors import InvalidInputError
from audioprobe.results import ClassificationResult, Failure
from audioprobe.results.compare import compare
from audioprobe.results.leaderboard import compare_many

RNG = np.random.default_rng(0)
NOISE, OTHER_NOISE = RNG.random((40, 2)), RNG.random((40, 2))
NOISY = RIGHT + 1.2 * RNG.random((40, 2))
RESULTS = {"noise": result(NOISE), "right": result(RIGHT), "noisy": result(NOISY)}


def test_best_result_is_first_and_every_pair_is_tested() -> None:
    board = compare_many({**RESULTS, "other noise": result(OTHER_NOISE)})
    assert next(iter(board.evaluations)) == "right"
    means = [evaluation.auc.value for evaluation in board.evaluations.values()]
    assert means == sorted(means, reverse=True, key=lambda value: value or 0)
    assert len(board.pairs) == 6
    assert all((pair.macro_auc.difference.value or 0) >= 0 for pair in board.pairs)


def test_pair_equals_the_comparison_of_two_results_and_correction_counts_all_pairs() -> None:
    board = compare_many(RESULTS)
    pair = next(pair for pair in board.pairs if pair.names == ("right", "noise"))
    alone = compare(RESULTS["right"], RESULTS["noise"])
    assert pair.macro_auc == alone.macro_auc
    p_values = [pair.macro_auc.p_value for pair in board.pairs]
    smallest = min(p for p in p_values if p is not None)
    corrected = min(pair.holm for pair in board.pairs if pair.holm is not None)
    assert corrected == pytest.approx(3 * smallest)


def test_metrics_are_those_of_the_evaluation_of_the_common_clips() -> None:
    short = result(RIGHT[:30], NAMES[:30])
    board = compare_many({"all": result(NOISE), "short": short})
    assert (len(board.clip_ids), board.n_left_out) == (30, 10)
    expected = result(NOISE[:30], NAMES[:30]).evaluate()
    assert board.evaluations["all"].auc == expected.auc


def test_order_of_the_results_does_not_matter() -> None:
    reverse = compare_many(dict(reversed(RESULTS.items())))
    assert reverse.pairs == compare_many(RESULTS).pairs


def test_groups_are_exchanged_as_a_whole() -> None:
    sites = {name: f"site {n % 4}" for n, name in enumerate(NAMES)}
    board = compare_many(RESULTS, groups=sites)
    assert {pair.macro_auc.n_units for pair in board.pairs} == {4}
    assert {pair.macro_auc.smallest_p_value for pair in board.pairs} == {2 / 16}


def test_results_that_do_not_differ_are_named_in_the_ranking() -> None:
    board = compare_many({"one": result(NOISE), "same": result(NOISE), "right": result(RIGHT)})
    (best, *others) = board.table().rows
    assert (best[1], best[4]) == ("right", "–")
    assert {row[4] for row in others} == {"one", "same"}


def test_failed_clips_are_left_out_and_counted() -> None:
    failed = replace(
        result(RIGHT[1:], NAMES[1:]), failures=(Failure(NAMES[0], "read", "Error", "broken"),)
    )
    assert compare_many({"a": result(NOISE), "b": failed}).n_left_out == 1


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ({"one": result(RIGHT)}, "two results"),
        ({"a": result(RIGHT), "b": result(RIGHT[:1], ("other",))}, "No clip"),
    ],
)
def test_results_that_cannot_be_ranked_are_an_error(
    results: dict[str, ClassificationResult], expected: str
) -> None:
    with pytest.raises(InvalidInputError, match=expected):
        compare_many(results)


def test_data_have_one_row_per_pair() -> None:
    frame = compare_many(RESULTS, truth=TRUTH).to_pandas()
    assert list(frame["first"]) == ["right", "right", "noisy"]
    assert (frame.low <= frame.difference).all()


def test_results_in_a_sequence_are_named_after_their_models() -> None:
    board = compare_many(list(RESULTS.values()))
    assert len(board.evaluations) == 3
    assert set(board.evaluations) == {"result (1)", "result (2)", "result (3)"}
    assert next(iter(board.evaluations)) == "result (2)"
