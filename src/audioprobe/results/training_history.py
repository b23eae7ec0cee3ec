"""Losses and tracked measures of a training run over its steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from audioprobe.io.data_table import DataTable, TidyData
from audioprobe.io.text_table import Displayed, Table
from audioprobe.plots.forest_plot import draw_kind
from audioprobe.results.tables import MISSING

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True, repr=False)
class TrainingHistory(TidyData, Displayed):
    """Losses and tracked measures of a training run.

    Attributes:
        steps: one entry per step: "step" (from 0), "loss" (nats), "rate" (learning rate), "norm"
            (gradient norm), "seconds", and after some steps the tracked measures.
        before: tracked measures before the first step.
    """

    steps: Sequence[Mapping[str, float]]
    before: Mapping[str, float]

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def losses(self) -> list[float]:
        """Training loss of each step, in nats."""
        return [entry["loss"] for entry in self.steps]

    def tracked(self, measure: str) -> list[tuple[int, float]]:
        """Return (number of finished steps, value) for each evaluation of a tracked measure."""
        start = [(0, self.before[measure])] if measure in self.before else []
        return start + [
            (int(entry["step"]) + 1, entry[measure]) for entry in self.steps if measure in entry
        ]

    def data(self) -> DataTable:
        """Return a table with the columns step (number of finished steps), measure and value."""
        rows = [(int(x["step"]) + 1, "training loss", x["loss"]) for x in self.steps]
        rows += [(n, name, value) for name in self.before for n, value in self.tracked(name)]
        return DataTable.from_rows(("step", "measure", "value"), rows)

    def plot(self, *, axes: "Axes | None" = None) -> "Axes":
        """Draw the training loss and the tracked measures over the steps.

        Args:
            axes: matplotlib axes to draw on; None makes a new figure.

        Returns:
            The axes.

        Raises:
            MissingDependencyError: if matplotlib (extra `report`) is not installed.
        """
        return draw_kind("audioprobe.plots.training_curves", "history", self.data().columns, axes)

    def table(self) -> Table:
        """Return a table with the loss of the first and last step, and the tracked measures."""
        rows = []
        for name in ("training loss", *self.before):
            losses = [(int(x["step"]) + 1, x["loss"]) for x in self.steps]
            values = losses if name == "training loss" else self.tracked(name)
            first, last = (f"{values[n][1]:.3f}" if values else MISSING for n in (0, -1))
            rows.append((name, first, last))
        return Table(("measure", "first", "last"), tuple(rows), numeric=(1, 2))

    def displayed(self) -> tuple[tuple[Table, ...], tuple[str, ...]]:
        """Return the table, and the number of steps and seconds."""
        seconds = sum(entry["seconds"] for entry in self.steps)
        return (self.table(),), (f"{len(self)} steps in {seconds:.0f} s",)
