"""Result of classifying clips: display, evaluation, export and storage."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.io.atomic import atomic_write
from audioprobe.io.data_table import DataTable, TidyData
from audioprobe.io.json_codec import from_json, json_pieces, read_json, to_json
from audioprobe.io.text_table import Displayed, Table, text_width
from audioprobe.metrics import Bootstrap, ThresholdPolicy
from audioprobe.metrics.label_metrics import with_failures
from audioprobe.plots.forest_plot import draw_kind
from audioprobe.results.evaluation import Evaluation, evaluate
from audioprobe.results.scores import ScoredClips
from audioprobe.results.tables import (
    clip_table,
    failure_table,
    score_data,
    score_lines,
    summary_sentence,
)
from audioprobe.results.targets import check_labels_occur, targets_of
from audioprobe.types import BoolArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RESULT, SCORES = "result.json", "scores.csv"  # names of the files that `save` writes

PlotKind = Literal["scores", "roc", "confusion"]

_BOOTSTRAP = Bootstrap()


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class ClassificationResult(ScoredClips, TidyData, Displayed):
    """Result of classifying clips: its data, with evaluation, display and storage.

    The attributes are those of `ScoredClips`: label scores, captions, failures and provenance.
    """

    def evaluate(
        self,
        targets: BoolArray | Mapping[str, tuple[str, ...]] | None = None,
        *,
        threshold: ThresholdPolicy | None = None,
        bootstrap: Bootstrap | None = _BOOTSTRAP,
    ) -> Evaluation:
        """Compute metrics of the scores, such as AUC, by comparing them with reference labels.

        Args:
            targets: reference labels by clip id, or a matrix of shape (n_clips, n_labels) with the
                rows of `clip_ids`; None uses `truth`.
            threshold: how thresholds for F1 are chosen; None omits F1.
            bootstrap: settings of the confidence intervals of the macro means, for which groups of
                clips are resampled; None omits the intervals.

        Raises:
            InvalidInputError: if a scored clip has no reference labels, the matrix has another
                shape, none of the labels occurs, or a label has another spelling.
        """
        reference = self.truth if targets is None else targets
        labels_by_clip: Mapping[str, tuple[str, ...]] | None = None
        if isinstance(reference, Mapping):
            labels_by_clip = reference
            reference = targets_of(labels_by_clip, self.clip_ids, self.labels)
            check_labels_occur(reference, labels_by_clip.values(), self.labels)
        evaluation = evaluate(
            self.scores,
            np.asarray(reference),
            self.labels,
            n_failed=len(self.failures),
            threshold=threshold,
            bootstrap=bootstrap,
            groups=self._groups_of(self.clip_ids),
        )
        failed = tuple(failure.clip_id for failure in self.failures)
        if not failed or labels_by_clip is None or not set(failed) <= set(labels_by_clip):
            return evaluation
        all_targets, all_scores = with_failures(
            np.asarray(reference), self.scores, targets_of(labels_by_clip, failed, self.labels)
        )
        strict = evaluate(
            all_scores,
            all_targets,
            self.labels,
            bootstrap=bootstrap,
            groups=self._groups_of((*self.clip_ids, *failed)),
        )
        return replace(
            evaluation,
            strict_auc=strict.auc,
            strict_average_precision=strict.average_precision,
        )

    def _groups_of(self, clip_ids: Sequence[str]) -> list[str | None] | None:
        """Return the group of each clip; None if no clip has a group."""
        return [self.groups.get(name) for name in clip_ids] if self.groups else None

    def table(self) -> Table:
        """Return a table with one row per scored clip: caption (if any) and best labels.

        No labels are shown for clips in which the model recognised nothing.
        """
        return clip_table(self)

    def failure_table(self) -> Table:
        """Return a table with one row per failed clip: id, step that failed, and cause."""
        return failure_table(self)

    def summary(self) -> str:
        """Return a sentence with the numbers of scored and failed clips, and the pooling."""
        return summary_sentence(self)

    def displayed(self) -> tuple[tuple[Table, ...], tuple[str, ...]]:
        """Return the tables of clips and of failures, and the summary."""
        return (self.table(), self.failure_table()), (self.summary(),)

    def __str__(self) -> str:
        return self.to_text()

    def __len__(self) -> int:
        return len(self.clip_ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self.clip_ids)

    def __getitem__(self, clip_id: str) -> dict[str, float]:
        """Return the scores of a clip, keyed by label.

        Raises:
            KeyError: if the clip failed (the message has the cause), or if it is unknown.
        """
        for failure in self.failures:
            if failure.clip_id == clip_id:
                raise KeyError(f"{clip_id}: failed ({failure.message})")
        return self.label_scores.of(clip_id)

    def plot(self, kind: PlotKind = "scores", *, axes: "Axes | None" = None) -> "Axes":
        """Draw the result with matplotlib (extra `report`), and return the axes.

        Args:
            kind: "scores" is a heat map of all scores; a ring marks reference labels, and clips in
                which the model recognised nothing are white. "roc" is the mean ROC curve with its
                95 % band, and "confusion" the label with the highest score for the clips of each
                label; these two use the clips with reference labels.
            axes: axes to draw on; None makes a new figure.

        Raises:
            InvalidInputError: if the kind is unknown, or there is nothing to draw.
            MissingDependencyError: if matplotlib is not installed.
        """
        if kind not in get_args(PlotKind):
            raise InvalidInputError(f"Expected 'scores', 'roc' or 'confusion', got {kind!r}.")
        return draw_kind("audioprobe.results.plotting", kind, self, axes)

    def data(self) -> DataTable:
        """Return the scores as a table with one row per clip and label.

        The columns are clip, group, label, score and present, which is None for clips without
        reference labels. Failed clips have no rows; see `failure_data`.
        """
        return score_data(self)

    def caption_data(self) -> DataTable:
        """Return a table with one row per caption: clip, start in seconds, sample, text, ..."""
        return DataTable.from_rows(
            ("clip", "start", "sample", "text", "abstained", "finish"),
            ((c.clip_id, c.start, c.sample, c.text, c.abstained, c.finish) for c in self.captions),
        )

    def failure_data(self) -> DataTable:
        """Return a table with one row per failed clip: clip, stage, error and message."""
        return DataTable.from_rows(
            ("clip", "stage", "error", "message"),
            ((f.clip_id, f.stage, f.error, f.message) for f in self.failures),
        )

    def to_text(self, width: int = 0, most: int = 50) -> str:
        """Return the table, the failures (if any) and the summary as text for a terminal.

        Args:
            width: width in characters; 0 uses the width of the terminal or the variable COLUMNS.
            most: maximum number of rows of a table; a last line states how many rows are omitted.
        """
        width = width or text_width()
        parts = [table.to_text(width, most) for table in self.displayed()[0] if table.rows]
        return "\n\n".join([*parts, self.summary()])

    def to_csv(self) -> str:
        """Return CSV with one row per clip: captions, details, all scores, and failure."""
        return "".join(self.csv_lines())

    def csv_lines(self) -> Iterator[str]:
        """Yield the lines of `to_csv`, for results that are large."""
        return score_lines(self)

    def to_json(self) -> str:
        """Return the complete result as JSON, which `from_json` reads."""
        return to_json(self)

    def json_pieces(self) -> Iterator[str]:
        """Yield the text of `to_json` in pieces, for results that are large."""
        return json_pieces(self)

    @classmethod
    def from_json(cls, text: str) -> "ClassificationResult":
        """Read a result from the JSON that `to_json` returned.

        Raises:
            InvalidInputError: if the text is not the JSON of a result.
        """
        return from_json(cls, text)

    @classmethod
    def load(cls, path: str | Path) -> "ClassificationResult":
        """Read a result that `save` wrote.

        Args:
            path: the folder, or its `result.json`.

        Raises:
            InvalidInputError: if the file does not exist or is invalid.
        """
        return read_json(cls, path, RESULT)

    def save(self, folder: str | Path) -> tuple[Path, Path]:
        """Write `result.json` and `scores.csv` into a folder, which is created if necessary.

        Returns:
            The two paths.
        """
        Path(folder).mkdir(parents=True, exist_ok=True)
        return (
            atomic_write(Path(folder) / RESULT, self.json_pieces()),
            atomic_write(Path(folder) / SCORES, self.csv_lines()),
        )
