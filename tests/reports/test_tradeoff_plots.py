"""Trade-off plots: drawn points, listed missing points, and names that are not markup."""

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.text import Annotation, Text

from audioprobe.plots.figures import to_svg
from audioprobe.reports.tradeoff_plots import Point, lines, matrix, plane
from audioprobe.types import Estimate

EVIL = "<b>$x^2$</b>\n"


def near(value: float) -> Estimate:
    return Estimate(value=value, n=9, low=value - 0.02, high=value + 0.02)


def points(n: int, name: str = "s") -> list[Point]:
    """Gains and losses that rise together, so that all are on the front."""
    return [
        Point(f"{name}{k}", near(0.1 * k), near(0.05 * k**2), f"group {k % 3}", best=True)
        for k in range(1, n + 1)
    ]


def axes_of(figure: Figure) -> Axes:
    return figure.axes[0]


def written(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts if text.get_text()]


def boxes(figure: Figure) -> list[tuple[float, float, float, float]]:
    figure.canvas.draw()
    return [
        text.get_window_extent().extents
        for text in axes_of(figure).texts
        if isinstance(text, Annotation) and text.get_text()
    ]


def test_a_few_points_have_their_names_and_many_have_numbers() -> None:
    assert written(plane(points(4), "gain", "loss")) == ["s1", "s2", "s3", "s4"]
    assert written(plane(points(9), "gain", "loss")) == [str(n) for n in range(1, 10)]
    assert written(plane(points(2, "a name of some length "), "gain", "loss")) == ["1", "2"]


def test_points_stand_where_they_are_with_bars_both_ways() -> None:
    axes = axes_of(plane(points(3)[1:2], "gain", "loss"))
    star, dots = [c for c in axes.collections if isinstance(c, PathCollection)]
    assert np.asarray(star.get_offsets()).tolist() == [[0, 0]]
    assert np.asarray(dots.get_offsets()) == pytest.approx(np.array([[0.2, 0.2]]))
    bars = [
        np.asarray(line.get_xydata()) for line in axes.lines if np.shape(line.get_xydata())[0] == 2
    ]
    assert any(np.allclose(bar, [[0.18, 0.2], [0.22, 0.2]]) for bar in bars)
    assert any(np.allclose(bar, [[0.2, 0.18], [0.2, 0.22]]) for bar in bars)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("gain", "loss")


def test_the_front_is_stairs_of_what_can_be_had_for_each_gain() -> None:
    strategies = [*points(3), Point("beaten", near(0.1), near(0.9), "group 1")]
    axes = axes_of(plane(strategies, "gain", "loss"))
    (front,) = [line for line in axes.lines if line.get_label() == "Pareto front"]
    assert front.get_drawstyle() == "steps-pre"  # as much is lost as at the next one to the right
    ends = np.array([[0.1, 0.05], [0.2, 0.2], [0.3, 0.45]])
    assert np.asarray(front.get_xydata()) == pytest.approx(ends)
    legend = axes.get_legend()
    assert legend is not None
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["before", "group 1", "group 2", "group 0", "Pareto front"]
    assert legend.get_window_extent().x0 > axes.get_window_extent().x1  # it covers no point


def test_an_undefined_point_is_named_and_drawn_nowhere() -> None:
    strategies = [*points(2), Point("gone", Estimate(value=None, n=0), near(0.1), "group 9")]
    figure = plane(strategies, "gain", "loss")
    assert "undefined, not drawn: gone" in written(figure)
    dots = [
        collection
        for collection in axes_of(figure).collections
        if isinstance(collection, PathCollection)
    ]
    assert sum(np.shape(collection.get_offsets())[0] for collection in dots) == 3  # with the star
    assert "undefined" not in " ".join(written(plane(points(2), "gain", "loss")))
    assert plane([], "gain", "loss").axes


def test_labels_of_points_that_are_close_do_not_cover_each_other() -> None:
    rng = np.random.default_rng(0)
    places = rng.normal(0, 0.004, (25, 2))
    strategies = [Point(str(k), near(x), near(y)) for k, (x, y) in enumerate(places)]
    rectangles = boxes(plane(strategies, "gain", "loss"))
    assert len(rectangles) == 25
    covered = 0.0
    for n, (left, low, right, high) in enumerate(rectangles):
        for other in rectangles[n + 1 :]:
            wide = min(right, other[2]) - max(left, other[0])
            tall = min(high, other[3]) - max(low, other[1])
            covered += max(wide, 0) * max(tall, 0)
    area = sum((right - left) * (high - low) for left, low, right, high in rectangles)
    assert covered < 0.01 * area


def _missing(image: AxesImage) -> list[list[bool]]:
    values = image.get_array()
    assert values is not None
    gaps: list[list[bool]] = np.isnan(np.ma.filled(values, np.nan)).tolist()
    return gaps


def test_a_matrix_tells_numbers_with_intervals_and_a_dash_for_what_is_undefined() -> None:
    cells: list[list[Estimate | None]] = [
        [near(0.5), None],
        [Estimate(value=None, n=0), Estimate(value=0.25, n=3)],
    ]
    figure = matrix(["a", "b"], ["c", "d"], cells, "accuracy", reference=0.5)
    assert written(figure) == ["0.50", "[0.48, 0.52]", "–", "–", "0.25"]
    image = axes_of(figure).get_images()[0]
    low, high = image.get_clim()
    assert (low + high) / 2 == 0.5
    assert high - 0.5 == 0.25
    assert _missing(image) == [
        [False, True],
        [True, False],
    ]


def test_a_matrix_without_any_number_is_drawn() -> None:
    figure = matrix(["a"], ["b"], [[None]], "accuracy")
    assert written(figure) == ["–"]


def curves(figure: Figure) -> list[list[float]]:
    return [
        np.asarray(line.get_ydata(), dtype=np.float64).tolist() for line in axes_of(figure).lines
    ]


def test_lines_have_a_thin_one_for_each_replicate_and_a_thick_mean() -> None:
    figure = lines({"a": [[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]], "b": [[7.0, 8.0]]}, "step", "loss", 1)
    assert curves(figure) == [[1, 2, 3], [3, 4, 5], [2, 3, 4], [7, 8]]
    first, _, mean, alone = axes_of(figure).lines
    assert mean.get_linewidth() > first.get_linewidth()
    assert np.asarray(alone.get_xdata()).tolist() == [1, 2]
    assert mean.get_linestyle() != alone.get_linestyle()  # for those who see no colours


def test_gaps_break_lines_and_are_not_drawn_as_zeros() -> None:
    figure = lines({"a": [[1.0, None, 3.0, None, 5.0, 6.0]]}, "layer", "CKA")
    (curve,) = curves(figure)
    assert np.isnan(curve).tolist() == [False, True, False, True, False, False]
    (dots,) = axes_of(figure).collections
    assert isinstance(dots, PathCollection)
    assert np.asarray(dots.get_offsets()).tolist() == [[0, 1], [2, 3]]  # which no line reaches


def test_a_mean_is_of_those_that_have_a_value_and_ends_where_most_have_none() -> None:
    figure = lines({"a": [[1.0, 1.0, 1.0, 1.0], [2.0, 2.0], [3.0, None, 3.0]]}, "step", "loss")
    *_, mean = curves(figure)
    assert mean[:3] == [2, 1.5, 2]
    assert np.isnan(mean[3])


@pytest.mark.parametrize(
    "figure",
    [
        plane([Point(EVIL, near(0.1), near(0.1), EVIL, best=True)], "gain", "loss"),
        plane([Point(EVIL, Estimate(value=None, n=0), near(0.1), EVIL)], "gain", "loss"),
        matrix([EVIL], [EVIL], [[near(0.1)]], "accuracy"),
        lines({EVIL: [[1.0, 2.0]]}, "step", "loss"),
    ],
)
def test_names_stay_text(figure: Figure) -> None:
    svg = to_svg(figure, EVIL)
    assert "<b>" not in svg
    assert "&lt;b&gt;$x^2$&lt;/b&gt;" in svg
    named = [t for t in figure.findobj(Text) if isinstance(t, Text) and "$" in t.get_text()]
    assert named
    assert not any(text.get_parse_math() for text in named if text.get_visible())
