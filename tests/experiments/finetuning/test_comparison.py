"""Paired differences are those of known changes, and missing values are never zero."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from tests.experiments.finetuning.study_records import (
    AUCS,
    CONCEPTS,
    STRATEGY_RUNS,
    Measurements,
    answers,
    before,
    captions,
    changed,
    evaluated,
    record,
    result,
    texts,
)

from audioprobe.experiments.finetuning.comparison import (
    BEFORE_TRAINING,
    FACTORS,
    MEASURES,
    PairedDifference,
    mean_values,
    paired_difference,
)
from audioprobe.experiments.finetuning.storage import MeasurementRow
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.types import Estimate, Float64Array

FEW = Bootstrap(50)
BEFORE = evaluated()
RUNS = [run for run in STRATEGY_RUNS if run.configuration == STRATEGY_RUNS[0].configuration]


def differences(
    after: Sequence[Measurements], first: Measurements = BEFORE
) -> dict[str, PairedDifference]:
    """Compare one strategy, evaluated with one seed each, with the model before."""
    runs = [replace(result(RUNS[0], m), seed=seed) for seed, m in enumerate(after)]
    table = record(runs, first=before(first)).table()
    return {d["measure"]: d for d in paired_difference(table, FACTORS, BEFORE_TRAINING, FEW)}


def value(measure: str, after: Sequence[Measurements], first: Measurements = BEFORE) -> float:
    estimate = differences(after, first)[measure].estimate.value
    assert estimate is not None
    return estimate


def auc(measurements: Measurements, measure: str) -> float:
    selected = [m for m in measurements if m.measure == measure]
    targets, scores = (
        np.array([m.reference for m in selected]),
        np.array([m.value for m in selected]),
    )
    return float(roc_auc_score(targets, scores, average="macro"))


def replaced(measure: str, measurements: Measurements) -> Measurements:
    return (*(m for m in BEFORE if m.measure != measure), *measurements)


def test_no_change_is_zero_with_p_value_one() -> None:
    compared = differences([BEFORE, BEFORE])
    assert set(compared) == set(MEASURES)
    for difference in compared.values():
        estimate = difference.estimate
        assert (estimate.value, estimate.low, estimate.high) == (0, 0, 0)
        assert difference.p_value == 1
        assert difference.by_seed == {0: 0, 1: 0}


def test_text_loss_rises_by_nats_per_token() -> None:
    after = replaced("text loss", texts(0.25))
    estimate = differences([after])["text loss"].estimate
    assert estimate.value == pytest.approx(0.25)
    assert estimate.low == pytest.approx(0.25)  # the same in every passage
    assert value("in-domain AUC", [after]) == 0
    losses = [m for m in BEFORE if m.measure == "text loss"]
    levels = mean_values(record([], first=before(BEFORE)).table(), (), FEW)
    tokens = sum(float(m.reference) for m in losses if isinstance(m.reference, float))
    nats = sum(m.value for m in losses if isinstance(m.value, float))
    assert levels["text loss",].value == pytest.approx(nats / tokens)


def test_auc_differences_are_those_of_scikit_learn_averaged_over_seeds() -> None:
    after = [evaluated(4, gain=1.0), evaluated(5, gain=1.0)]
    for measure in AUCS:
        expected = [auc(m, measure) - auc(BEFORE, measure) for m in after]
        difference = differences(after)[measure]
        assert difference.estimate.value == pytest.approx(np.mean(expected))
        assert list(difference.by_seed.values()) == pytest.approx(expected)


def test_seeds_are_averaged_and_failed_seeds_left_out() -> None:
    after = [evaluated(4, gain=1, forgetting=0.1), (), evaluated(5, gain=1, forgetting=0.3)]
    compared = differences(after)
    for difference in compared.values():
        assert set(difference.by_seed) == {0, 2}
        assert difference.estimate.value == pytest.approx(
            np.mean([v for v in difference.by_seed.values() if v is not None])
        )
    assert compared["text loss"].estimate.value == pytest.approx(0.2)
    assert differences([(), ()]) == {}


def test_only_clips_with_scores_in_every_run_are_compared() -> None:
    measured = captions("in-domain AUC", 0, 0.5)
    assert tuple(m for m in BEFORE if m.measure == "in-domain AUC") == measured
    failed = replace(measured[0], value=None, text="unreadable")
    reversed_scores = [
        replace(m, value=m.value[::-1]) for m in measured[1:] if isinstance(m.value, tuple)
    ]
    after = replaced("in-domain AUC", (failed, *reversed_scores))
    expected = auc(after[: -len(measured)] + tuple(reversed_scores), "in-domain AUC")
    assert value("in-domain AUC", [after]) == pytest.approx(
        expected - auc(measured[1:], "in-domain AUC")
    )
    others = tuple(replace(m, item=f"other {m.item}") for m in measured)
    undefined = differences([replaced("in-domain AUC", others)])["in-domain AUC"]
    assert undefined.estimate.value is None
    assert undefined.p_value is None
    assert undefined.by_seed == {0: None}


def test_modality_gap_is_text_minus_audio_on_questions_answered_in_both() -> None:
    after = [evaluated(7, gain=2.0), evaluated(8, forgetting=1.5)]
    text, audio = value("text accuracy", after), value("audio accuracy", after)
    assert text != audio
    assert value("modality gap", after) == pytest.approx(text - audio)
    unanswered = tuple(replace(m, value=None) if m.text == "owl.flac" else m for m in evaluated(7))
    estimate = differences([unanswered])["modality gap"].estimate
    assert estimate.n == 2 * (len(CONCEPTS) - 1)
    tied = changed(BEFORE, {"audio accuracy": lambda _: 0.0})
    assert "audio accuracy" not in differences([tied])


def test_p_value_of_captions_is_that_of_all_exchanges() -> None:
    n, measure = 6, "in-domain AUC"
    rng = np.random.default_rng(3)

    def rounded(skill: float) -> Measurements:
        measured = captions(measure, int(rng.integers(99)), skill)[:n]
        scores = [m.value for m in measured]
        return tuple(
            replace(m, value=tuple(float(round(x)) for x in s))
            for m, s in zip(measured, scores, strict=True)
            if isinstance(s, tuple)
        )

    first, *after = rounded(0.5), rounded(2.0), rounded(2.0)
    targets = np.array([m.reference for m in first])
    old, *new = (np.array([m.value for m in measurements]) for measurements in (first, *after))

    def macro(scores: Float64Array) -> float:
        return float(roc_auc_score(targets, scores, average="macro"))

    def exchanged(swaps: tuple[bool, ...]) -> float:
        mask = np.array(swaps)[:, None]
        pairs = [(np.where(mask, old, x), np.where(mask, x, old)) for x in new]
        return float(np.mean([macro(a) - macro(b) for a, b in pairs]))

    observed = abs(exchanged((False,) * n))
    every = [abs(exchanged(swaps)) for swaps in product((False, True), repeat=n)]
    exact = float(np.mean(np.array(every) >= observed - 1e-12))
    p_value = differences(after, first)[measure].p_value
    assert 0.01 < exact < 0.7
    assert p_value == pytest.approx(exact)


def test_exchanging_group_and_baseline_reverses_the_difference() -> None:
    first = [evaluated(4, gain=1), evaluated(5)]
    second = [evaluated(6, forgetting=0.2), evaluated(7)]
    runs = [
        replace(result(RUNS[0], m), alignment=name, seed=seed)
        for name, seeds in (("first", first), ("second", second))
        for seed, m in enumerate(seeds)
    ]
    table = record(runs).table()
    forward, backward = (
        {d["measure"]: d for d in paired_difference(table, FACTORS, {"alignment": name}, FEW)}
        for name in ("first", "second")
    )
    assert set(forward) == set(backward) == set(MEASURES)
    for measure in MEASURES:
        assert forward[measure].estimate.value == pytest.approx(
            -(backward[measure].estimate.value or 0)
        )
        assert forward[measure].p_value == backward[measure].p_value
        gained = [value(measure, seeds) for seeds in (first, second)]
        assert forward[measure].estimate.value == pytest.approx(gained[1] - gained[0])


@pytest.mark.parametrize(
    ("low", "high", "by_seed", "direction"),
    [
        (0.1, 0.3, (0.2, None, 0.1), 1),
        (0.1, 0.3, (0.5, -0.1), 0),
        (-0.1, 0.3, (0.2, 0.1), 0),
        (-0.3, -0.1, (-0.2,), -1),
        (-0.3, -0.1, (-0.4, 0.0), 0),
        (None, None, (None,), 0),
    ],
)
def test_direction_needs_the_interval_and_every_seed(
    low: float | None, high: float | None, by_seed: tuple[float | None, ...], direction: int
) -> None:
    difference = PairedDifference(
        columns={"measure": "text loss"},
        baseline={},
        estimate=Estimate(value=0.2, n=9, low=low, high=high),
        p_value=0.01,
        n_runs=len(by_seed),
        by_seed=dict(enumerate(by_seed)),
    )
    assert difference.direction == direction
    assert difference.significant == 0
    assert replace(difference, corrected=0.01).significant == direction
    assert replace(difference, corrected=0.2).significant == 0


def test_table_is_a_data_frame_with_one_row_per_measurement() -> None:
    runs = [result(RUNS[0], answers(lambda *_: None)), result(RUNS[1], BEFORE)]
    frame = record(runs).to_pandas()
    added = ["value_by_label", "reference_by_label"]
    assert list(frame.columns) == [*MeasurementRow._fields, *added]
    assert set(frame.run) == {"before", RUNS[1].name}, "undefined measurements have no row"
    means: Mapping[str, float] = (
        frame[(frame.run == RUNS[1].name) & frame.measure.str.endswith("y")]
        .groupby("measure")
        .value.apply(lambda values: float(np.mean(list(values))))
        .to_dict()
    )
    assert set(means) == {"text accuracy", "audio accuracy"}
    assert 0 < means["audio accuracy"] < 1
