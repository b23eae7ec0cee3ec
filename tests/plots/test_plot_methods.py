"""The `plot` methods of results draw what the results contain, on the axes that are given."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from tests.probing.known_models import CLIPS, CONCEPTS, known_model
from tests.results.test_compare import LABELS, NAMES, RIGHT, TRUTH, result

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.label_metrics import roc_auc
from audioprobe.plots.canvas import figure_of
from audioprobe.probing import ConceptProbe, ProbeOutcome
from audioprobe.results import ClassificationResult, LabelScores
from audioprobe.results.compare import compare
from audioprobe.results.leaderboard import compare_many
from audioprobe.results.training_history import TrainingHistory

NOISE = np.random.default_rng(0).random((40, 2))
SCORED: ClassificationResult = result(RIGHT)


@pytest.fixture(autouse=True)
def _no_window() -> Iterator[None]:
    with mpl.rc_context({"backend": "agg"}):
        yield
    plt.close("all")


@pytest.fixture(scope="module")
def outcome() -> ProbeOutcome:
    probe = ConceptProbe(known_model(), concepts=CONCEPTS, n_clips=1, bootstrap=Bootstrap(20))
    return probe("hypernym", CLIPS)


def points_of(line: Line2D) -> list[list[float]]:
    points: list[list[float]] = np.asarray(line.get_xydata()).tolist()
    return points


def rows_of(axes: Axes) -> list[str]:
    """Return the names of the rows of a forest plot, from top to bottom."""
    return [label.get_text() for label in axes.get_yticklabels()][::-1]


@pytest.mark.parametrize("kind", ["scores", "roc", "confusion"])
def test_a_result_is_drawn_on_new_axes_or_on_given_ones(kind: Any) -> None:
    drawn = SCORED.plot(kind)
    given = plt.figure().add_subplot()
    assert SCORED.plot(kind, axes=given) is given is not drawn
    assert drawn.get_figure() in [plt.figure(n) for n in plt.get_fignums()], "notebooks show it"


@pytest.mark.parametrize("kind", ["scores", "confusion"])
def test_small_results_with_long_names_have_space(kind: Any) -> None:
    name = "a-recording-with-a-long-name-in-a-folder/0001.flac"
    small = replace(
        SCORED,
        label_scores=LabelScores(
            (name,), ("a very long label indeed", "b"), np.array([[1.0, 0.0]])
        ),
        truth={name: ("b",)},
    )
    figure = figure_of(small.plot(kind))
    figure.draw_without_rendering()  # a layout without space is a warning, and warnings are errors
    assert figure.axes[0].get_position().width > 0


def test_the_mean_roc_curve_of_a_perfect_result_is_at_the_top() -> None:
    (curve,) = [points for line in SCORED.plot("roc").lines if len(points := points_of(line)) > 2]
    assert {height for _, height in curve} == {1.0}


def test_an_evaluation_has_a_row_with_an_interval_per_label() -> None:
    evaluation = result(NOISE).evaluate()
    axes = evaluation.plot()
    names = [f"{e.label} ({e.n_positive})" for e in evaluation.labels]
    assert rows_of(axes) == [*names, "macro mean"]
    ends = {tuple(x for x, _ in points_of(line)) for line in axes.lines}
    assert {(e.auc.low, e.auc.high) for e in evaluation.labels} <= ends


def test_the_interval_of_a_label_contains_its_auc_and_needs_two_groups() -> None:
    evaluation = result(NOISE).evaluate()
    targets = np.array([[label in TRUTH[name] for label in LABELS] for name in NAMES])
    for n, entry in enumerate(evaluation.labels):
        assert entry.auc.value == pytest.approx(roc_auc(targets[:, n], NOISE[:, n]))
        assert entry.auc.low is not None
        assert entry.auc.high is not None
        assert entry.auc.low < (entry.auc.value or 0) < entry.auc.high
    columns = evaluation.data().columns
    assert columns["auc_low"] == [entry.auc.low for entry in evaluation.labels]
    one_crow = {name: ("crow",) if name == NAMES[0] else () for name in NAMES}
    single = SCORED.evaluate(one_crow)
    assert single.labels[0].auc.low is None, "one clip says nothing about other clips"


def test_comparisons_and_rankings_have_a_row_per_label_or_result() -> None:
    other = result(NOISE)
    assert rows_of(compare(SCORED, other).plot()) == [*LABELS, "macro mean"]
    assert rows_of(compare_many({"noise": other, "right": SCORED}).plot()) == ["right", "noise"]


@pytest.mark.parametrize("kind", ["conditions", "text-audio", "hypernyms"])
def test_an_outcome_is_drawn(outcome: ProbeOutcome, kind: Any) -> None:
    axes = outcome.plot(kind)
    assert axes.lines
    assert axes.get_xlabel()


def test_the_plot_of_conditions_shows_each_relation_and_condition(outcome: ProbeOutcome) -> None:
    scores = outcome.by("relation", "condition", form="yes-no")
    names = [f"{relation}, {condition}" for relation, condition in scores]
    assert rows_of(outcome.plot("conditions")) == names


def test_a_history_shows_losses_and_measures_over_the_steps() -> None:
    steps = [{"step": float(n), "loss": 3.0 - n, "seconds": 1.0} for n in range(3)]
    steps[1]["text loss"] = 2.0
    history = TrainingHistory(steps, {"text loss": 1.0})
    assert history.tracked("text loss") == [(0, 1.0), (2, 2.0)]
    lines = {line.get_label(): points_of(line) for line in history.plot().lines}
    assert lines["training loss"] == [[1, 3.0], [2, 2.0], [3, 1.0]]
    assert lines["text loss"] == [[0, 1.0], [2, 2.0]]
    assert len(history.data()) == 5


def test_unknown_kinds_and_results_without_annotations_are_refused(outcome: ProbeOutcome) -> None:
    wrong: Any = "pie"
    for subject in (SCORED, outcome):
        with pytest.raises(InvalidInputError):
            subject.plot(wrong)
    with pytest.raises(InvalidInputError):
        replace(SCORED, truth={}).plot("roc")
