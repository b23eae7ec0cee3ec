"""Content of forest plots, and the `plot` methods of results.

Matplotlib is optional and slow to import, so the modules that draw are loaded by their name.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from audioprobe.errors import optional_import
from audioprobe.types import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True)
class ForestRow:
    """Row of a forest plot: a name and an estimate with its interval.

    Attributes:
        name: text to the left.
        estimate: estimate, drawn with its interval; "undefined" if it has no value.
        muted: whether the row is a control condition, which is drawn as a diamond.
    """

    name: str
    estimate: Estimate
    muted: bool = False


@dataclass(frozen=True, slots=True)
class ForestPlot:
    """Estimates with their intervals, one below the other.

    Attributes:
        rows: rows from top to bottom.
        axis: name and unit of the values.
        reference: position of the dashed line, such as no difference or chance.
    """

    rows: Sequence[ForestRow]
    axis: str
    reference: float = 0.0


class ForestPlotted(ABC):
    """Base of objects that are drawn as a forest plot."""

    __slots__ = ()

    @abstractmethod
    def forest_plot(self) -> ForestPlot:
        """Return the rows of the plot."""

    def plot(self, *, axes: "Axes | None" = None) -> "Axes":
        """Draw the estimates with their intervals, one below the other.

        Args:
            axes: matplotlib axes to draw on; None makes a new figure.

        Returns:
            The axes.

        Raises:
            MissingDependencyError: if matplotlib (extra `report`) is not installed.
        """
        return draw_kind("audioprobe.plots.figures", "forest", self.forest_plot(), axes)


def draw_kind(module: str, kind: str, subject: object, axes: "Axes | None") -> "Axes":
    """Draw an object by one of the functions in `PLOTS` of a module, and return the axes.

    Args:
        module: full name of the module, whose `PLOTS` maps kinds to functions.
        kind: one of the kinds.
        subject: the object to draw.
        axes: axes to draw on; None makes a new figure.

    Raises:
        MissingDependencyError: if matplotlib (extra `report`) is not installed.
    """
    canvas = optional_import("audioprobe.plots.canvas", "report").on_screen(axes)
    drawn: Axes = optional_import(module, "report").PLOTS[kind](subject, canvas)
    return drawn
