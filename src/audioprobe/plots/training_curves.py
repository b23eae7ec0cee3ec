"""Plot training losses."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audioprobe.errors import InvalidInputError, needs_extra
from audioprobe.parsing import parse_json
from audioprobe.plots.canvas import Canvas, check_format
from audioprobe.plots.figures import legend, plain

with needs_extra("report"):
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

_SMOOTH = 25  # number of steps of the running mean


def read_log(path: str | Path) -> tuple[Mapping[str, float], ...]:
    """Return the entries of a training log, which has one JSON object per line.

    Raises:
        InvalidInputError: if the file is not a log of a training run.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
        return tuple(map(_entry, lines))
    except (OSError, ValueError) as error:
        raise InvalidInputError(
            f"{path}: not the log of a training run ({error!s:.100})."
        ) from error


def _entry(line: str) -> Mapping[str, float]:
    """Return the entry in a line; raise `ValueError` if it is not a JSON object of numbers."""
    entry: object = parse_json(line)
    if not isinstance(entry, dict) or not all(
        isinstance(value, int | float) for value in entry.values()
    ):
        raise ValueError(f"expected an object of numbers, got {line!r:.60}")
    return entry


def save_curves(
    logs: Mapping[str, Sequence[Mapping[str, float]]], path: str | Path, *, smooth: int = _SMOOTH
) -> Path:
    """Plot the loss of each stage over its steps (thin) and its running mean (thick).

    Args:
        logs: log entries of each stage, keyed by the name of the stage; each entry has "step" and
            "loss" (nats).
        path: file that ends in .png, .svg or .pdf; its folder is created.
        smooth: number of steps of the running mean.

    Returns:
        The path of the file.

    Raises:
        InvalidInputError: if the file has another ending, or a log is empty.
    """
    target = Path(path)
    check_format(target)
    if not logs or not all(logs.values()):
        raise InvalidInputError("Nothing to plot: pass a non-empty log for each stage.")
    figure = Figure(figsize=(3.2 * len(logs), 2.8), layout="constrained")
    FigureCanvasAgg(figure)
    for number, (name, log) in enumerate(logs.items(), 1):
        axes = figure.add_subplot(1, len(logs), number)
        steps = np.array([entry["step"] for entry in log])
        losses = np.array([entry["loss"] for entry in log])
        axes.plot(steps, losses, color="#9ecae1", linewidth=0.6)
        width = max(1, min(smooth, len(losses)))
        means = np.convolve(losses, np.ones(width) / width, mode="valid")
        axes.plot(steps[width - 1 :], means, color="#08519c", linewidth=1.5)
        axes.set_title(name, fontsize=9, parse_math=False)
        axes.set_xlabel("step", fontsize=8)
        axes.set_ylim(bottom=0)
        axes.tick_params(labelsize=7)
    figure.axes[0].set_ylabel("loss (nats)", fontsize=8)
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=150)
    return target


def plot_history(columns: Mapping[str, Sequence[Any]], canvas: Canvas) -> Axes:
    """Plot every measure over the steps; the training loss is thin, with its running mean.

    Args:
        columns: columns step, measure and value of equal length.
        canvas: function that returns the axes.
    """
    axes = canvas(6.4, 3.8)
    series: dict[str, list[tuple[int, float]]] = {}
    for step, measure, value in zip(
        *(columns[x] for x in ("step", "measure", "value")), strict=True
    ):
        series.setdefault(measure, []).append((step, value))
    for number, (name, points) in enumerate(series.items()):
        steps, values = (np.array(column, dtype=float) for column in zip(*points, strict=True))
        color = f"C{number % 10}"
        if name == "training loss" and len(values) > _SMOOTH:
            axes.plot(steps, values, color=color, linewidth=0.5, alpha=0.5)
            means = np.convolve(values, np.ones(_SMOOTH) / _SMOOTH, mode="valid")
            axes.plot(steps[_SMOOTH - 1 :], means, color=color, label=f"{name}, mean of {_SMOOTH}")
        else:
            axes.plot(
                steps, values, marker="os^D"[number % 4], markersize=4, color=color, label=name
            )
    axes.set_xlabel("step")
    axes.set_ylabel("loss (nats), or unit of the measure")
    legend(axes, "best")
    plain(axes)
    return axes


PLOTS: Mapping[str, Callable[[Mapping[str, Sequence[Any]], Canvas], Axes]] = {
    "history": plot_history
}
"""Functions that draw the columns of a training history, by the name of the plot."""
