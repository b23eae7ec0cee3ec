"""Charts contain the numbers that they were given, compile, and treat names as text."""

import numpy as np
import pytest

from audioprobe.metrics.calibration import CalibrationBin
from audioprobe.metrics.vectorized_metrics import RocCurve
from audioprobe.plots.forest_plot import ForestRow
from audioprobe.reports.charts import Chart, javascript
from audioprobe.reports.curve_charts import curves, reliability, roc
from audioprobe.reports.estimate_charts import TradeoffPoint, forest, tradeoff
from audioprobe.reports.heat_maps import STRONGEST, confusion, matrix, steps
from audioprobe.reports.theme import COLORS
from audioprobe.types import Estimate

EVIL = "</script><b>datum.value}'];alert(1)//"
UNDEFINED = Estimate(value=None, n=0)


def near(value: float) -> Estimate:
    return Estimate(value=value, n=9, low=value - 0.02, high=value + 0.02)


def bins() -> list[CalibrationBin]:
    return [CalibrationBin(0.2, 0.3, 8, 0.25, 0.5), CalibrationBin(0.8, 0.9, 2, 0.85, 1.0)]


def values(chart: Chart) -> list[dict[str, object]]:
    data = chart.spec["data"]
    assert isinstance(data, dict)
    rows: list[dict[str, object]] = data["values"]
    return rows


def curve() -> RocCurve:
    x = np.linspace(0, 1, 5)
    return RocCurve(x, np.sqrt(x), x, np.ones(5), 3)


CHARTS = [
    forest([ForestRow(EVIL, near(0.5)), ForestRow(EVIL, UNDEFINED, True)], EVIL, EVIL),
    tradeoff([TradeoffPoint(EVIL, near(0.1), near(0.2), EVIL, True)], EVIL, EVIL, EVIL),
    roc({EVIL: curve()}, EVIL),
    reliability({EVIL: bins()}, EVIL),
    curves({EVIL: [[1.0, None, 2.0], [2.0, 1.0]]}, EVIL, EVIL, EVIL),
    confusion(np.array([[2.0, 1.0], [0.0, 3.0]]), [EVIL, "b"], EVIL),
    steps({EVIL: [(EVIL, 0.25)]}, EVIL, EVIL),
    matrix([EVIL], [EVIL, "b"], [[near(0.5), None]], EVIL, EVIL),
]


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: str(chart.table.header[0])[:12])
def test_charts_compile_and_show_names_as_text(chart: Chart) -> None:
    svg = chart.to_svg()
    assert "<b>" not in svg
    assert "&lt;b&gt;" in svg  # the title of an axis, a name or a description
    assert "var(--" not in svg
    assert chart.table.rows


def test_forest_has_each_estimate_with_its_interval() -> None:
    rows = [ForestRow("a", near(0.5)), ForestRow("a", UNDEFINED), ForestRow("b", near(0.7))]
    chart = forest(rows, "AUC", "caption", reference=0.5)
    assert [(r["name"], r["value"], r["low"], r["high"]) for r in values(chart)] == [
        ("a", 0.5, 0.48, 0.52),
        ("a (2)", None, None, None),
        ("b", 0.7, pytest.approx(0.68), 0.72),
    ]
    assert chart.table.rows == tuple(
        (name, str(row.estimate)) for name, row in zip(("a", "a (2)", "b"), rows, strict=True)
    )
    assert "undefined" in chart.to_svg()


def test_undefined_points_of_a_tradeoff_are_only_in_the_table() -> None:
    points = [
        TradeoffPoint("one", near(0.1), near(0.2), "g", best=True),
        TradeoffPoint("gone", UNDEFINED, near(0.1), "h"),
    ]
    chart = tradeoff(points, "gain", "loss", "caption")
    assert [row["number"] for row in values(chart)] == ["1"]
    assert [(row[1], row[2], row[4]) for row in chart.table.rows] == [
        ("one", str(near(0.1)), "yes"),
        ("gone", "undefined", "no"),
    ]


def test_roc_chart_has_the_curve_and_its_band() -> None:
    rows = values(roc({"a": curve()}, "caption"))
    assert [row["x"] for row in rows] == [0, 0.25, 0.5, 0.75, 1]
    assert rows[1]["y"] == 0.5
    assert (rows[1]["low"], rows[1]["high"]) == (0.25, 1.0)


def test_mean_curve_skips_missing_values_and_ends_where_most_have_ended() -> None:
    replicates: list[list[float | None]] = [[1.0, 1.0, 1.0, 1.0], [2.0, 2.0], [3.0, None, 3.0]]
    table = curves({"a": replicates}, "step", "loss", "caption", first=1).table
    assert table.rows == (
        ("a", "1", "2.000", "3"),
        ("a", "2", "1.500", "2"),
        ("a", "3", "2.000", "2"),
    )


def test_large_confusion_matrix_says_how_many_labels_are_not_drawn() -> None:
    labels = [f"label {n}" for n in range(40)]
    chart = confusion(np.diag(np.arange(1.0, 41.0)), labels, "Confusions.")
    assert len({row["label"] for row in values(chart)}) == 30
    assert "label 0" not in {row["label"] for row in values(chart)}  # the one with fewest clips
    assert chart.caption == "Confusions. 10 labels with fewer clips are not drawn."
    assert len(chart.table.rows) == 40


def test_confusion_shares_are_of_the_clips_of_a_label() -> None:
    rows = values(confusion(np.array([[1.0, 3.0], [0.0, 0.0]]), ["a", "b"], "caption"))
    assert {(row["label"], row["best"]): row["share"] for row in rows} == {
        ("a", "a"): 0.25,
        ("a", "b"): 0.75,
    }


def test_matrix_shows_a_dash_for_undefined_and_signs_for_differences() -> None:
    chart = matrix(["r"], ["a", "b", "c"], [[near(-0.5), None, UNDEFINED]], "difference", "c")
    assert [row["mean"] for row in values(chart)] == ["-0.50", "–", "–"]
    assert values(chart)[0]["sign"] == "decrease"


def test_bundle_cannot_end_its_script_element() -> None:
    assert "</script" not in javascript().lower()
    assert "vegaEmbed" in javascript()


@pytest.mark.parametrize("mode", [0, 1])
def test_colours_of_text_and_marks_have_enough_contrast(mode: int) -> None:
    for name in ("ink", "soft", "accent", "right", "wrong"):
        assert contrast(COLORS[name][mode], COLORS["paper"][mode]) >= 4.5, name
        assert contrast(COLORS[name][mode], COLORS["faint"][mode]) >= 4.5, name
    for name in (*(n for n in COLORS if n.startswith("series")), "increase", "decrease"):
        assert contrast(COLORS[name][mode], COLORS["paper"][mode]) >= 3, name


@pytest.mark.parametrize("mode", [0, 1])
@pytest.mark.parametrize("name", ["accent", "increase", "decrease"])
def test_text_in_boxes_of_heat_maps_has_enough_contrast(name: str, mode: int) -> None:
    ink, paper, color = (COLORS[n][mode] for n in ("ink", "paper", name))
    pairs = zip(channels(color), channels(paper), strict=True)
    mixed = [round(STRONGEST * top + (1 - STRONGEST) * below) for top, below in pairs]
    assert contrast("#" + "".join(f"{value:02x}" for value in mixed), ink) >= 4.5


def channels(color: str) -> list[int]:
    return [int(color[n : n + 2], 16) for n in (1, 3, 5)]


def contrast(first: str, second: str) -> float:
    """Contrast of two colours, from 1 to 21 (WCAG 2.2)."""
    lights = sorted((luminance(first), luminance(second)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def luminance(color: str) -> float:
    shares = [value / 255 for value in channels(color)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
