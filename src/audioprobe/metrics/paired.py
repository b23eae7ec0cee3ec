"""Tests of the difference between two systems on the same clips.

Conventions:
    Targets (True/False or 1/0) and scores (finite) have shape (n_clips,) for one label and
    (n_clips, n_labels) for several; both systems have the same clips in the same order. The
    difference is first minus second. A p-value is two-sided; it is None if the difference is
    undefined or there is only one unit (clip or group) to exchange. Invalid arrays, and groups of
    another length than the clips, raise `InvalidInputError`.
"""

import math
from collections.abc import Hashable, Iterable, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt
from scipy import stats

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.grouping import Grouping, grouped, named_groups, rare_label_strata
from audioprobe.metrics.significance import (
    PairedTest,
    each_exchange,
    exchanges_of,
    exchanges_text,
    is_exact,
    smallest_p_value,
    standard_error_of,
    two_sided_p_value,
)
from audioprobe.metrics.validation import finite_columns, validate, validate_predictions
from audioprobe.metrics.vectorized_metrics import macro_roc_auc
from audioprobe.types import BoolArray, Estimate, Float64Array, FloatArray

_CHUNK = 4_000_000  # largest number of scores in memory
N_PERMUTATIONS = 2000  # default number of exchanges


def permutation(
    targets: npt.ArrayLike,
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    groups: Sequence[Hashable] | None = None,
    n_permutations: int = N_PERMUTATIONS,
    seed: int = 0,
    unit: str = "",
    bootstrap: Bootstrap | None = None,
    strata: Sequence[Hashable] | None = None,
) -> PairedTest:
    """Test the difference of two macro AUCs by exchanging the scores of whole groups of clips.

    Scores are converted to ranks within each label, so both systems may use different units.

    Args:
        targets: shape (n_clips, n_labels).
        first: scores of the first system, shape (n_clips, n_labels).
        second: scores of the second system, shape (n_clips, n_labels).
        groups: group of each clip; None makes each clip its own group.
        n_permutations: number of exchanges, drawn at random if more are possible.
        seed: random seed of the exchanges.
        unit: plural name of the groups; "" means "groups", or "clips" if `groups` is None.
        bootstrap: settings of the bootstrap that computes a confidence interval and a standard
            error of the difference; None computes neither.
        strata: stratum of each clip in the bootstrap; None uses those of `rare_label_strata`.
    """
    present, first_scores = validate(targets, first, n_dimensions=2)
    _, second_scores = validate(targets, second, n_dimensions=2)
    n_clips = len(present)
    units = grouped(n_clips, groups, unit or ("clips" if groups is None else "groups"))
    exchanges = each_exchange(units.n_groups, n_permutations, seed)
    name = f"permutation of {units}, {exchanges_text(units.n_groups, n_permutations, seed)}"
    unchanged = np.zeros((1, n_clips), dtype=np.bool_)
    difference = float(exchanged_differences(present, first_scores, second_scores, unchanged)[0])
    if math.isnan(difference):
        return PairedTest(
            difference=Estimate(value=None, n=0, n_undefined=n_clips, method=name),
            p_value=None,
            standard_error=None,
            name=f"{name}: no label is present in some clips and absent in others",
            n_units=units.n_groups,
            unit=units.unit,
        )
    estimate, error = Estimate(value=difference, n=n_clips, method=name), None
    if bootstrap is not None:
        aucs = macro_roc_auc(present, first_scores), macro_roc_auc(present, second_scores)
        estimate = bootstrap.estimate(
            lambda counts: aucs[0](counts) - aucs[1](counts),
            n_clips,
            groups=groups,
            strata=strata or rare_label_strata(named_groups(groups, n_clips), present),
            present=present,
            unit=units.unit,
        )
        error = standard_error_of(estimate, bootstrap.level)
    ranks = stats.rankdata(first_scores, axis=0), stats.rankdata(second_scores, axis=0)
    swaps = (exchange[units.of_item] for exchange in exchanges)
    differences = exchanged_differences(present, *ranks, swaps)
    return _exchange_test(estimate, error, differences, name, units)


def exchanged_differences(
    targets: BoolArray, first: FloatArray, second: FloatArray, swaps: Iterable[BoolArray]
) -> Float64Array:
    """Return the difference of two macro AUCs after each exchange of the scores of some clips.

    Args:
        targets: shape (n_clips, n_labels).
        first: scores of the first system, shape (n_clips, n_labels).
        second: scores of the second system, shape (n_clips, n_labels).
        swaps: for each exchange, whether it swaps each clip, shape (n_clips,).

    Returns:
        Shape (n_exchanges,); NaN if no label has both positives and negatives.
    """
    # Concatenate the clips of both systems; a count of 1 selects the scores of one system.
    auc = macro_roc_auc(np.concatenate([targets, targets]), np.concatenate([first, second]))
    n_rows = max(1, _CHUNK // (2 * len(targets)))
    rows, differences = iter(swaps), []
    while part := list(islice(rows, n_rows)):
        chunk = np.stack(part)
        counts = np.concatenate([~chunk, chunk], axis=1).astype(np.float64)
        differences.append(auc(counts) - auc(1 - counts))
    return np.concatenate(differences)


def exchange_p_value(
    targets: BoolArray,
    pairs: Sequence[tuple[FloatArray, FloatArray]],
    *,
    n_exchanges: int,
    seed: int,
) -> float | None:
    """Return the two-sided p-value of a permutation test of two systems with several replicates.

    Replicates are runs with different seeds. The tested value is the mean difference of macro AUCs.
    An exchange swaps the scores of both systems on the same random clips of all replicates.

    Args:
        targets: shape (n_clips, n_labels).
        pairs: scores of the first and of the second system in each replicate.
        n_exchanges: number of exchanges, including the observed data; at most all possible ones.
        seed: random seed of the exchanges.

    Returns:
        None if there are fewer than two clips, or no label has both positives and negatives.
    """
    n_clips = len(targets)
    swaps = np.random.default_rng(seed).integers(2, size=(n_exchanges, n_clips)).astype(bool)
    swaps[0] = False
    if is_exact(n_clips, n_exchanges):
        swaps = exchanges_of(n_clips, n_exchanges, seed)
    differences = np.mean([exchanged_differences(targets, b, a, swaps) for a, b in pairs], axis=0)
    is_defined = n_clips >= 2 and not np.isnan(differences).any()
    return two_sided_p_value(differences) if is_defined else None


def sign_flips(
    differences: npt.ArrayLike,
    *,
    groups: Sequence[Hashable] | None = None,
    n_permutations: int = N_PERMUTATIONS,
    seed: int = 0,
    unit: str = "",
) -> PairedTest:
    """Test the mean of paired differences by flipping the signs of whole groups of items.

    Args:
        differences: shape (n_items,), finite.
        groups: group of each item; None makes each item its own group.
        n_permutations: number of flips, drawn at random if more are possible.
        seed: random seed of the flips.
        unit: plural name of the groups; "" means "groups", or "items" if `groups` is None.
    """
    (values,) = finite_columns("A test of differences", differences)
    if not values.size:
        raise InvalidInputError("A test of differences needs at least one item, got none.")
    units = grouped(len(values), groups, unit)
    sums = np.bincount(units.of_item, weights=values)
    signs = 2.0 * exchanges_of(units.n_groups, n_permutations, seed) - 1
    name = f"sign flips of {units}, {exchanges_text(units.n_groups, n_permutations, seed)}"
    mean = Estimate(value=float(values.mean()), n=len(values), method=name)
    return _exchange_test(mean, None, signs @ sums, name, units)


def mcnemar(first: npt.ArrayLike, second: npt.ArrayLike) -> PairedTest:
    """Test the difference of two shares of correct answers by the exact test of McNemar (1947).

    Args:
        first: shape (n_items,); True or 1 where the first system is correct.
        second: shape (n_items,); True or 1 where the second system is correct.
    """
    first_correct, second_correct = validate_predictions(first, second, n_dimensions=1)
    only_first = int(np.count_nonzero(first_correct & ~second_correct))
    only_second = int(np.count_nonzero(second_correct & ~first_correct))
    n_discordant = only_first + only_second
    name = f"McNemar, exact, {only_first} correct only in the first, {only_second} in the second"
    p_value = float(stats.binomtest(only_first, n_discordant).pvalue) if n_discordant else 1.0
    difference = (only_first - only_second) / len(first_correct)
    return PairedTest(
        difference=Estimate(value=difference, n=len(first_correct), method=name),
        p_value=p_value,
        standard_error=None,
        name=name,
        n_units=n_discordant,
        smallest_p_value=min(1.0, 2.0 ** (1 - n_discordant)),
        unit="items",
    )


def _exchange_test(
    estimate: Estimate,
    error: float | None,
    differences: Float64Array,
    name: str,
    units: Grouping,
) -> PairedTest:
    is_defined = units.n_groups >= 2
    smallest = smallest_p_value(units.n_groups, len(differences) - 1) if is_defined else 1.0
    return PairedTest(
        difference=estimate,
        p_value=two_sided_p_value(differences) if is_defined else None,
        standard_error=error,
        name=name if is_defined else f"{name}: at least two {units.unit} are needed",
        n_units=units.n_groups,
        smallest_p_value=smallest,
        unit=units.unit,
    )
