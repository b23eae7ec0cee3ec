"""Linear probes: known answers, groups, control tasks, description length, undefined cases."""

import dataclasses
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import KFold, StratifiedGroupKFold, cross_val_score
from sklearn.preprocessing import StandardScaler

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.linear_probe import LinearProbe, linear_probe
from audioprobe.interpretability.probe_estimates import ProbeSettings
from audioprobe.interpretability.probe_fitting import LabelledStates, online_code
from audioprobe.metrics.bootstrap import Bootstrap

SETTINGS = ProbeSettings(bootstrap=Bootstrap(n_resamples=200))


def probe(
    states: np.ndarray, labels: Sequence[object], groups: Sequence[object], **options: object
) -> LinearProbe:
    arguments = {"n_controls": 4, "n_orders": 1, "settings": SETTINGS} | options
    return linear_probe(states, labels, groups=groups, **arguments)  # type: ignore[arg-type]


def concept_states(
    signal: float, *, n_concepts: int = 20, n_clips: int = 3, width: int = 12, seed: int = 0
) -> tuple[np.ndarray, list[str], list[str]]:
    """States whose first dimension is the label of the concept, with noise."""
    rng = np.random.default_rng(seed)
    groups = [f"concept {n:02}" for n in range(n_concepts) for _ in range(n_clips)]
    labels = ["bird" if int(group[-1]) % 2 else "other" for group in groups]
    states = rng.normal(size=(len(groups), width))
    states[:, 0] += signal * np.where(np.array(labels) == "bird", 1, -1)
    return states, labels, groups


def value(estimate: object) -> float:
    number = getattr(estimate, "value")  # noqa: B009 - an estimate that must be defined
    assert number is not None
    return float(number)


def test_separable_labels_are_read_with_few_bits() -> None:
    result = probe(*concept_states(20.0, n_concepts=60))
    assert result.accuracy.value == 1.0
    assert result.auc.value == 1.0
    assert value(result.selectivity) > 0.3
    assert value(result.bits) < 0.5
    assert value(result.compression) == pytest.approx(1 / value(result.bits))
    assert result.chance == 0.5
    assert result.p_value == 1 / 5
    assert result.labels == ("bird", "other")
    for estimate in (result.accuracy, result.auc, result.bits, result.compression):
        assert estimate.n_groups == 60
        assert estimate.low is not None


def test_states_without_the_label_are_at_chance() -> None:
    results = [probe(*concept_states(0.0, seed=seed)) for seed in range(12)]
    assert np.mean([value(r.auc) for r in results]) == pytest.approx(0.5, abs=0.08)
    assert np.mean([value(r.selectivity) for r in results]) == pytest.approx(0.0, abs=0.06)
    # Folds are stratified by the control labels, too: their accuracy is not below chance.
    assert np.mean([value(r.control_accuracy) for r in results]) == pytest.approx(0.5, abs=0.03)
    assert np.mean([value(r.compression) for r in results]) < 1


def test_group_identity_cannot_be_used() -> None:
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(30), 6)
    labels = rng.permutation(np.repeat([0, 1], 15))[groups]
    states = rng.normal(size=(30, 40))[groups] + 0.05 * rng.normal(size=(180, 40))
    mixed = KFold(5, shuffle=True, random_state=0)
    leaking = cross_val_score(LogisticRegression(), states, labels, cv=mixed)
    assert leaking.mean() > 0.95  # the cheat works if groups are split
    result = probe(states, labels.tolist(), groups.tolist())
    assert value(result.accuracy) < 0.7
    assert value(result.bits) > 0.9


def test_control_task_has_the_labels_of_types_that_other_groups_share() -> None:
    rng = np.random.default_rng(2)
    types = np.tile(np.arange(12), 10)
    groups = np.repeat(np.arange(10), 12)
    labels = types % 2
    identity = 4 * np.eye(12)[types] + 0.1 * rng.normal(size=(120, 12))
    by_type = probe(identity, labels.tolist(), groups.tolist(), types=types.tolist())
    assert value(by_type.accuracy) == 1.0
    assert value(by_type.control_accuracy) == 1.0  # any label of a type can be learned
    assert value(by_type.selectivity) == 0.0
    assert by_type.p_value == 1.0
    shared = np.stack([labels * 2.0 - 1, rng.normal(size=120)], axis=1)
    result = probe(shared, labels.tolist(), groups.tolist(), types=types.tolist())
    assert value(result.accuracy) == 1.0
    assert value(result.selectivity) > 0.2


def test_accuracy_and_auc_agree_with_scikit_learn() -> None:
    states, labels, groups = concept_states(0.5, width=5)
    targets = np.array(labels) == "other"
    correct, wins, pairs = 0, 0.0, 0
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=3)
    data = LabelledStates.of(states, labels, groups)
    states, targets = data.states, data.targets == 1
    for train, test in folds.split(states, targets, data.groups):
        scaler = StandardScaler().fit(states[train])
        model = LogisticRegression(C=10 / 5, tol=1e-8, max_iter=5000)  # C / width, not rescaled
        model.fit(scaler.transform(states[train]), targets[train])
        scores = model.predict_proba(scaler.transform(states[test]))[:, 1]
        correct += int(((scores > 0.5) == targets[test]).sum())
        n = int(targets[test].sum()) * int((~targets[test]).sum())
        wins, pairs = wins + n * roc_auc_score(targets[test], scores), pairs + n
    result = probe(
        states,
        data.targets.tolist(),
        [f"{g:02}" for g in data.groups],
        settings=dataclasses.replace(SETTINGS, seed=3),
    )
    assert result.accuracy.value == pytest.approx(correct / len(targets))
    assert result.auc.value == pytest.approx(wins / pairs)
    assert 0.5 < correct / len(targets) < 1


def test_auc_of_three_labels_is_the_mean_over_labels() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    states = 6 * np.eye(3)[labels] + rng.normal(size=(60, 3))
    result = probe(states, labels.tolist(), list(range(60)))
    assert value(result.auc) > 0.98
    assert result.chance == pytest.approx(1 / 3)
    assert value(result.bits) < np.log2(3)


def test_online_code_agrees_with_its_definition_and_with_wide_states() -> None:
    rng = np.random.default_rng(4)
    labels = np.arange(40) % 2
    states = rng.normal(size=(40, 90)) + labels[:, None]  # wider than any prefix is long
    data = LabelledStates.of(states, labels.tolist(), list(range(40)))
    rank = np.random.default_rng([7, 0]).permutation(40)
    expected = np.zeros(40)
    blocks = [0, 1, 2, 3, 5, 10, 20, 40]
    for start, end in pairwise(blocks):
        train, test = rank < start, (rank >= start) & (rank < end)
        p = np.full(40, 0.5)
        if start and len(set(data.targets[train])) == 1:
            p = (data.targets == data.targets[train][0]).astype(float)
        elif start:
            mean, scale = data.states[train].mean(axis=0), data.states[train].std(axis=0)
            x = (data.states - mean) / scale / np.sqrt(90)
            model = LogisticRegression(C=10, tol=1e-8, max_iter=5000)
            p = model.fit(x[train], data.targets[train]).predict_proba(x)[
                np.arange(40), data.targets
            ]
        expected[test] = -np.log2((start * p[test] + 1) / (start + 2))
    bits = online_code(data, inverse_strength=10, n_orders=1, seed=7)
    assert bits == pytest.approx(expected, abs=2e-3)
    assert bits.mean() < 1


def test_code_of_labels_that_are_never_surprising_is_near_its_lower_bound() -> None:
    labels = np.arange(1024) % 2
    states = np.stack([np.where(labels, 1.0, -1.0), np.zeros(1024)], axis=1)
    result = probe(states, labels.tolist(), list(range(1024)), n_controls=1)
    assert value(result.bits) < 0.05  # the uniform code needs 1 bit per label
    assert value(result.compression) > 20


@settings(deadline=None, max_examples=5)
@given(st.integers(0, 1000))
def test_result_does_not_depend_on_order_names_or_scale_of_dimensions(seed: int) -> None:
    states, labels, groups = concept_states(0.7, n_concepts=8, seed=seed)
    first = probe(states, labels, groups)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(states))
    again = probe(states[order], [labels[n] for n in order], [groups[n] for n in order])
    assert dataclasses.asdict(again) == dataclasses.asdict(first)
    turned = states[:, rng.permutation(12)] * rng.uniform(0.1, 10, 12) + rng.normal(size=12)
    rescaled = probe(turned, labels, groups)
    assert rescaled.auc.value == pytest.approx(first.auc.value, abs=0.02)
    assert rescaled.bits.value == pytest.approx(first.bits.value, abs=1e-3)


def test_undefined_probes_state_the_reason() -> None:
    states = np.random.default_rng(0).normal(size=(6, 3))
    cases: dict[str, tuple[Sequence[object], list[str]]] = {
        "all labels are 'bird'": (["bird"] * 6, list("aabbcc")),
        "label 'bird' is in 1 group, and needs two": (["bird"] * 2 + ["x"] * 4, list("aabbcc")),
        "label 0 is in 1 group, and needs two": ([0, 1] * 3, ["a"] * 6),
    }
    for reason, (labels, groups) in cases.items():
        result = probe(states, labels, groups)
        for estimate in (result.accuracy, result.auc, result.selectivity, result.bits):
            assert (estimate.value, estimate.n, estimate.n_undefined) == (None, 0, 6)
            assert estimate.method == reason
        assert result.p_value is None
        assert result.chance is None
        assert reason in repr(result)


def test_labels_that_vary_within_groups_are_permuted_within_groups() -> None:
    rng = np.random.default_rng(5)
    groups, labels = np.repeat(np.arange(10), 8), np.tile([0, 0, 0, 0, 1, 1, 1, 1], 10)
    states = rng.normal(size=(80, 4)) + 3 * labels[:, None]
    result = probe(states, labels.tolist(), groups.tolist(), n_controls=20)
    assert value(result.accuracy) > 0.95
    assert value(result.control_accuracy) == pytest.approx(0.5, abs=0.1)
    assert result.p_value == 1 / 21


def test_table_has_a_row_per_measure() -> None:
    (table,), (sentence,) = probe(*concept_states(2.0)).displayed()
    assert [row[0] for row in table.rows] == [
        "accuracy",
        "AUC",
        "accuracy in control tasks",
        "selectivity",
        "description length (bits per item)",
        "compression",
    ]
    assert sentence == "p = 0.2 from 4 control tasks."


def test_invalid_arguments_are_rejected() -> None:
    states, labels, groups = concept_states(1.0, n_concepts=4)
    with pytest.raises(InvalidInputError, match="1 of 12 labels are missing"):
        probe(states, [None, *labels[1:]], groups)
    with pytest.raises(InvalidInputError, match="a label for each of 12 items, got 11"):
        probe(states, labels[1:], groups)
    with pytest.raises(InvalidInputError, match="a group for each of 12 items, got 11"):
        probe(states, labels, groups[1:])
    with pytest.raises(InvalidInputError, match="items of a type have several labels"):
        probe(states, labels, groups, types=["a"] * 12)
    with pytest.raises(InvalidInputError, match="n_controls >= 1, got 0"):
        probe(states, labels, groups, n_controls=0)
    with pytest.raises(InvalidInputError, match=r"n_folds >= 2 .* got 1 and 10"):
        ProbeSettings(n_folds=1)
    with pytest.raises(InvalidInputError, match=r"positive, finite inverse_strength, got 5 and 0"):
        ProbeSettings(inverse_strength=0)
    with pytest.raises(InvalidInputError, match="finite numbers of shape"):
        probe(states * np.nan, labels, groups)
