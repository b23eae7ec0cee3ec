"""Compare two classification results of the same clips, label by label."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.delong import delong
from audioprobe.metrics.paired import mcnemar, permutation, sign_flips
from audioprobe.metrics.significance import PairedTest, benjamini_hochberg, holm
from audioprobe.results.classification import ClassificationResult
from audioprobe.results.comparison import Comparison, LabelComparison
from audioprobe.results.targets import targets_of
from audioprobe.texts import nfc
from audioprobe.types import BoolArray, FloatArray


def compare(
    first: ClassificationResult,
    second: ClassificationResult,
    *,
    truth: Mapping[str, tuple[str, ...]] | None = None,
    groups: Mapping[str, str] | None = None,
    names: tuple[str, str] = ("first", "second"),
    seed: int = 0,
) -> Comparison:
    """Compare two results of the same clips.

    Args:
        first: result with the same labels as `second`.
        second: result for the same clips, or for some of them.
        truth: reference labels by clip id; None uses those of the results.
        groups: group (site, recorder) by clip id; None uses those of the results. If clips share a
            group, permutation and sign-flip tests replace DeLong's and McNemar's tests.
        names: names of the two results, for tables and sentences.
        seed: random seed of permutations and bootstrap.

    Raises:
        InvalidInputError: if labels or a clip's groups differ, or no clip can be compared.
    """
    annotated = annotated_labels((first, second), truth)
    scored = set(second.clip_ids)
    clip_ids = tuple(name for name in first.clip_ids if name in scored and name in annotated)
    if not clip_ids:
        raise InvalidInputError(
            "No clip with reference labels has scores in both results. Compare the same clips."
        )
    targets = targets_of(annotated, clip_ids, first.labels)
    a, b = rows_of(first, clip_ids), rows_of(second, clip_ids)
    groups = joined_groups((first, second)) if groups is None else groups
    clip_groups = shared_groups(clip_ids, groups)

    def exchange(columns: Sequence[int]) -> PairedTest:
        arrays = (values[:, columns] for values in (targets, a, b))
        return permutation(*arrays, groups=clip_groups, seed=seed, bootstrap=Bootstrap(seed=seed))

    right = _best_is_right(targets, a), _best_is_right(targets, b)
    every_label = list(range(len(first.labels)))
    if clip_groups is None:
        tests = [delong(targets[:, n], a[:, n], b[:, n]) for n in every_label]
        best = mcnemar(*right)
    else:
        tests = [exchange([n]) for n in every_label]
        gains = np.subtract(*right, dtype=np.float64)
        best = sign_flips(gains, groups=clip_groups, seed=seed)
    return Comparison(
        clip_ids=clip_ids,
        macro_auc=exchange(every_label),
        best_label=best,
        labels=_corrected(first.labels, tests),
        left_out=_left_out(first, second, annotated),
        names=names,
    )


def _corrected(labels: Sequence[str], tests: Sequence[PairedTest]) -> tuple[LabelComparison, ...]:
    p_values = [test.p_value for test in tests]
    n_tests = sum(p_value is not None for p_value in p_values)
    corrected = zip(labels, tests, holm(p_values), benjamini_hochberg(p_values), strict=True)
    return tuple(
        LabelComparison(
            label, test, p_holm, p_bh, None if p_holm is None else test.detectable(n_tests=n_tests)
        )
        for label, test, p_holm, p_bh in corrected
    )


def annotated_labels(
    results: Sequence[ClassificationResult], truth: Mapping[str, tuple[str, ...]] | None
) -> dict[str, tuple[str, ...]]:
    """Return the reference labels of clips by id, in Unicode NFC.

    Args:
        results: results to compare; the labels of an earlier result take precedence.
        truth: reference labels by clip id; None uses those of the results.

    Raises:
        InvalidInputError: if the results have different labels (columns).
    """
    if any(result.labels != results[0].labels for result in results):
        raise InvalidInputError(
            "Expected the same labels in the same order in all results, got different labels."
        )
    references = [result.truth for result in reversed(results)] if truth is None else [truth]
    return {nfc(clip): labels for known in references for clip, labels in known.items()}


def joined_groups(results: Iterable[ClassificationResult]) -> dict[str, str]:
    """Return the group of each clip, keyed by clip id.

    Raises:
        InvalidInputError: if a clip has different groups in two results.
    """
    joined: dict[str, str] = {}
    for result in results:
        for name, group in result.groups.items():
            if joined.setdefault(name, group) != group:
                raise InvalidInputError(
                    f"Clip {name!r} has the group {joined[name]!r} in one result and {group!r} in "
                    "another. Pass `groups` to choose."
                )
    return joined


def shared_groups(clip_ids: Sequence[str], groups: Mapping[str, str]) -> list[str | None] | None:
    """Return the group of each clip, in the order of `clip_ids`; None for a clip without a group.

    The result is None instead of a list if no two clips share a group.
    """
    by_id = {nfc(clip_id): group for clip_id, group in groups.items()}
    of_clips = [by_id.get(clip_id) for clip_id in clip_ids]
    sizes = Counter(group for group in of_clips if group is not None)
    return of_clips if any(size > 1 for size in sizes.values()) else None


def _left_out(
    first: ClassificationResult, second: ClassificationResult, annotated: Mapping[str, object]
) -> dict[str, int]:
    """Return the number of clips that are not compared, keyed by reason ("failed in both")."""
    scored_1, scored_2 = set(first.clip_ids), set(second.clip_ids)
    failed_1, failed_2 = ({f.clip_id for f in result.failures} for result in (first, second))
    clips_by_reason = {
        "failed in both": failed_1 & failed_2,
        "failed in the first": failed_1 - failed_2,
        "failed in the second": failed_2 - failed_1,
        "only in the first": scored_1 - scored_2 - failed_2,
        "only in the second": scored_2 - scored_1 - failed_1,
        "not annotated": (scored_1 & scored_2) - annotated.keys(),
    }
    return {reason: len(clips) for reason, clips in clips_by_reason.items()}


def rows_of(result: ClassificationResult, clip_ids: tuple[str, ...]) -> FloatArray:
    """Return the scores of these clips, shape (n_clips, n_labels)."""
    position = {name: n for n, name in enumerate(result.clip_ids)}
    rows: FloatArray = result.scores[[position[name] for name in clip_ids]]
    return rows


def _best_is_right(targets: BoolArray, scores: FloatArray) -> BoolArray:
    """Return a boolean per clip: whether its label with the highest score is correct.

    If several labels have the highest score, all of them must be correct.
    """
    is_best = scores == scores.max(axis=1, keepdims=True)
    right: BoolArray = ~(is_best & ~targets).any(axis=1)
    return right
