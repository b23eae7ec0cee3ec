"""LEACE: closed form, guarantees, and agreement with the package concept-erasure."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
import torch
from concept_erasure import LeaceFitter
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.leace import Leace

Array = npt.NDArray[np.float64]


def labelled(n: int, width: int, n_labels: int, seed: int = 0) -> tuple[Array, list[int]]:
    """States whose mean depends on the label, with correlated dimensions."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % n_labels
    means, mixing = rng.normal(size=(n_labels, width)), rng.normal(size=(width, width))
    return means[labels] + rng.normal(size=(n, width)) @ mixing + 3, labels.tolist()


def covariance(states: Array, labels: Sequence[int]) -> Array:
    one_hot = np.eye(max(labels) + 1)[list(labels)]
    return np.asarray((states - states.mean(axis=0)).T @ one_hot / len(states))


@pytest.mark.parametrize("n_labels", [2, 4])
def test_erasure_equals_that_of_the_package_concept_erasure(n_labels: int) -> None:
    states, labels = labelled(300, 12, n_labels)
    x, z = torch.from_numpy(states), torch.eye(n_labels, dtype=torch.float64)[labels]
    fitter = LeaceFitter.fit(x, z, shrinkage=False, constrain_cov_trace=False, svd_tol=1e-9)
    expected = fitter.eraser(x).numpy()
    eraser = Leace.fit(states, labels, shrinkage=0.0)
    assert eraser.rank == n_labels - 1
    np.testing.assert_allclose(eraser(states), expected, atol=1e-8)


@given(st.integers(4, 40), st.integers(1, 30), st.integers(2, 3), st.sampled_from([0.0, 0.3, None]))
def test_covariance_with_the_label_is_zero_for_any_shape_and_shrinkage(
    n: int, width: int, n_labels: int, shrinkage: float | None
) -> None:
    states, labels = labelled(n, width, n_labels, seed=n * width)
    eraser = Leace.fit(states, labels, shrinkage=shrinkage)
    erased = eraser(states)
    assert eraser.rank <= n_labels - 1
    np.testing.assert_allclose(covariance(erased, labels), 0, atol=1e-7)
    np.testing.assert_allclose(erased.mean(axis=0), states.mean(axis=0), atol=1e-7)
    np.testing.assert_allclose(eraser(erased), erased, atol=1e-6)


def test_a_classifier_is_at_chance_afterwards_also_on_other_items() -> None:
    states, labels = labelled(4000, 10, 2)
    eraser = Leace.fit(states[:2000], labels[:2000])
    accuracies = {}
    for name, values in {"before": states, "after": eraser(states)}.items():
        classifier = LogisticRegression(max_iter=1000).fit(values[:2000], labels[:2000])
        accuracies[name] = classifier.score(values[2000:], labels[2000:])
    assert accuracies["before"] > 0.6
    assert abs(accuracies["after"] - 0.5) < 4 * 0.5 / np.sqrt(2000)


def test_no_other_erasure_changes_states_less() -> None:
    states, labels = labelled(200, 8, 3)
    centred, cross = states - states.mean(axis=0), covariance(states, labels)
    eraser = Leace.fit(states, labels, shrinkage=0.0)
    smallest = np.mean(np.sum((eraser(states) - states) ** 2, axis=1))
    directions = np.linalg.svd(cross)[0][:, :2]
    orthogonal = np.eye(8) - directions @ directions.T  # spectral attribute removal
    best = np.eye(8) - eraser.left @ eraser.right.T
    rng = np.random.default_rng(0)
    others = [best + rng.normal(scale=0.1, size=(8, 8)) @ orthogonal for _ in range(20)]
    for matrix in (orthogonal, *others):
        np.testing.assert_allclose(matrix @ cross, 0, atol=1e-8)  # it erases the label
        change = np.mean(np.sum((centred @ matrix.T - centred) ** 2, axis=1))
        assert change > smallest


def test_shrinkage_limits_the_change_of_other_items_if_there_are_few() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(470) % 2
    states = np.outer(labels, rng.normal(size=60)) / 3 + rng.normal(size=(470, 60))
    changes = []
    for shrinkage in (0.0, None):
        eraser = Leace.fit(states[:70], labels[:70].tolist(), shrinkage=shrinkage)
        changes.append(np.mean(np.sum((eraser(states[70:]) - states[70:]) ** 2, axis=1)))
    assert changes[1] < 0.5 * changes[0]


def test_a_random_subspace_has_the_same_rank_and_keeps_the_label() -> None:
    states, labels = labelled(500, 20, 3)
    eraser = Leace.fit(states, labels)
    control = eraser.random([0, 1])
    assert control.rank == eraser.rank == 2
    np.testing.assert_allclose(control.basis.T @ control.basis, np.eye(2), atol=1e-12)
    np.testing.assert_array_equal(eraser.random([0, 1]).basis, control.basis)
    left = np.linalg.norm(covariance(control(states), labels))
    assert left > 0.5 * np.linalg.norm(covariance(states, labels))


def test_states_without_information_are_not_changed() -> None:
    constant = np.ones((6, 3))
    eraser = Leace.fit(constant, [0, 1, 0, 1, 0, 1])
    assert eraser.rank == 0
    np.testing.assert_array_equal(eraser(constant), constant)


def test_arguments_that_do_not_fit_are_refused() -> None:
    states, labels = labelled(6, 2, 2)
    for arguments, options in (
        ((states, labels[:5]), {}),
        ((states, [*labels[:5], None]), {}),
        ((states * np.nan, labels), {}),
        ((states, labels), {"shrinkage": 1.5}),
    ):
        with pytest.raises(InvalidInputError):
            Leace.fit(*arguments, **options)  # type: ignore[arg-type]
