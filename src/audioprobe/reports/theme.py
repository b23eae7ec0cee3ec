"""Colours of report pages and charts, for light and dark mode."""

import json
import re
from collections.abc import Mapping
from typing import Any

COLORS: Mapping[str, tuple[str, str]] = {
    "ink": ("#1b2733", "#dfe7ee"),
    "paper": ("#ffffff", "#12181e"),
    "faint": ("#eef2f5", "#1d262e"),
    "soft": ("#56636f", "#a3b0bb"),
    "line": ("#c3cdd5", "#3d4b57"),
    "accent": ("#1f5f99", "#7fb6e6"),
    "right": ("#1a6b3c", "#7fd6a2"),
    "wrong": ("#a32a1f", "#ff9d8f"),
    "increase": ("#a85a00", "#f0a94e"),
    "decrease": ("#5a4fa0", "#b3a7ff"),
    # Series of charts: Okabe and Ito (2008), darker on white and lighter on black.
    "series-1": ("#00619a", "#6cc1f2"),
    "series-2": ("#a86400", "#f2b544"),
    "series-3": ("#00785a", "#3fd0a5"),
    "series-4": ("#a04d7d", "#e6a3c6"),
    "series-5": ("#b24700", "#ff9257"),
    "series-6": ("#555555", "#bbbbbb"),
    "series-7": ("#2f3fa8", "#a3adff"),
}
"""Colour in light mode and in dark mode, by name."""

SERIES = tuple(f"var(--{name})" for name in COLORS if name.startswith("series"))
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-left")
DASHES = ((1, 0), (7, 3), (2, 2), (9, 3, 2, 3), (5, 5), (12, 3), (1, 3))
"""Colours, shapes and dash patterns of series: two series differ in all three."""


def stylesheet() -> str:
    """Return a CSS rule that defines each colour as a variable, such as `--ink`."""
    lines = [f"--{name}: light-dark({light}, {dark});" for name, (light, dark) in COLORS.items()]
    return ":root { " + " ".join(lines) + " }\n"


def with_light_colors(spec: Mapping[str, object]) -> dict[str, Any]:
    """Return a chart specification with colours of light mode instead of CSS variables."""
    text = re.sub(r"var\(--([\w-]+)\)", lambda match: COLORS[match[1]][0], json.dumps(spec))
    fixed: dict[str, Any] = json.loads(text)
    return fixed
