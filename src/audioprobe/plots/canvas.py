"""Axes to draw on: for files, for notebooks and windows, or given by the caller."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from audioprobe.errors import InvalidInputError, needs_extra

with needs_extra("report"):
    import matplotlib.pyplot as plt
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

Canvas: TypeAlias = Callable[[float, float], Axes]
"""Function that returns axes for a figure of the given width and height in inches."""

FORMATS = (".png", ".svg", ".pdf")


def off_screen(width: float, height: float) -> Axes:
    """Return the axes of a new figure that is written to a file, and is not shown."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure.add_subplot()


def on_screen(axes: Axes | None = None) -> Canvas:
    """Return a canvas that draws on `axes`; None makes a figure that notebooks and windows show."""

    def canvas(width: float, height: float) -> Axes:
        if axes is not None:
            return axes
        return plt.figure(figsize=(width, height), layout="constrained").add_subplot()

    return canvas


def check_format(path: Path) -> None:
    """Check that a file name has a supported ending.

    Raises:
        InvalidInputError: if the ending is not in `FORMATS`.
    """
    if path.suffix.lower() not in FORMATS:
        raise InvalidInputError(f"{path}: expected a file that ends in {', '.join(FORMATS)}.")


def figure_of(axes: Axes) -> Figure:
    """Return the whole figure that contains the axes.

    Raises:
        InvalidInputError: if the axes were removed from their figure.
    """
    figure = axes.get_figure(root=True)
    if figure is None:
        raise InvalidInputError("These axes were removed from their figure. Pass other axes.")
    return figure


def save_figure(axes: Axes, path: str | Path) -> Path:
    """Write the figure of the axes to a file; its folder is created.

    Args:
        axes: axes of the figure.
        path: file that ends in .png, .svg or .pdf.

    Returns:
        The path.

    Raises:
        InvalidInputError: if the file has another ending.
    """
    target = Path(path)
    check_format(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    figure_of(axes).savefig(target, dpi=150, bbox_inches="tight")
    return target
