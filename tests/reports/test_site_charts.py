"""Charts over the sites of a model."""

import numpy as np

from audioprobe.reports.site_charts import site_curves, site_heat_map
from audioprobe.types import Estimate


def estimate(value: float | None) -> Estimate:
    if value is None:
        return Estimate(value=None, n=0)
    return Estimate(value=value, n=5, low=value - 0.1, high=value + 0.1, n_groups=5)


def test_sites_are_in_the_order_of_the_forward_pass() -> None:
    series = {
        "text": {"lm.embed": estimate(0.5), "lm.resid.0": estimate(None)},
        "audio": {
            "encoder.out": estimate(0.7),
            "connector.out": estimate(0.8),
            "lm.embed": estimate(0.9),
            "lm.resid.0": estimate(1.0),
        },
    }
    chart = site_curves(series, "AUC", "caption", reference=0.5)
    svg = chart.to_svg()
    sites = ["encoder.out", "connector.out", "lm.embed", "lm.resid.0"]
    positions = [svg.index(f">{site}<") for site in sites]
    assert positions == sorted(positions)
    assert chart.table.rows[1] == ("text", "lm.resid.0", "undefined")
    assert len(chart.table.rows) == 6


def test_missing_values_are_left_empty_and_signs_are_kept() -> None:
    values = np.array([[0.5, np.nan], [-1.0, 0.0]])
    chart = site_heat_map(["crow", "<b>owl</b>"], ["lm.embed", "lm.resid.0"], values, "effect", "")
    data = chart.spec["data"]["values"]  # type: ignore[index]
    assert [(each["row"], each["site"], each["sign"], each["strength"]) for each in data] == [
        ("crow", "lm.embed", "above", 0.5),
        ("<b>owl</b>", "lm.embed", "below", 1.0),
        ("<b>owl</b>", "lm.resid.0", "above", 0.0),
    ]
    assert chart.table.rows[0] == ("crow", "0.500", "–")
    assert "<b>" not in chart.to_svg()


def test_only_the_largest_rows_are_drawn_and_the_caption_says_so() -> None:
    values = np.arange(160, dtype=np.float64)[:, None]
    chart = site_heat_map([f"c{n}" for n in range(160)], ["lm.embed"], values, "effect", "Effects.")
    rows = [each["row"] for each in chart.spec["data"]["values"]]  # type: ignore[index]
    assert rows == [f"c{n}" for n in range(10, 160)]
    assert chart.caption == "Effects. 10 rows with smaller values are not drawn."
    assert len(chart.table.rows) == 160
