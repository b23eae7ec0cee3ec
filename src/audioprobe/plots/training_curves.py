"""Plot training losses."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from audioprobe.errors import InvalidInputError, needs_extra
from audioprobe.plots.canvas import check_format

with needs_extra("report"):
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
        return tuple(json.loads(line) for line in lines)
    except (OSError, ValueError) as error:
        raise InvalidInputError(
            f"{path}: not the log of a training run ({error!s:.100})."
        ) from error


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
