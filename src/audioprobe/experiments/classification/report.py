"""HTML report of a classification run."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

from audioprobe.experiments.classification.across_sets import CalibrationResult, FamiliarityDrop
from audioprobe.experiments.classification.analysis import CellScore
from audioprobe.experiments.classification.labelled_scores import LabelledScores
from audioprobe.experiments.classification.run import ClassificationCell
from audioprobe.experiments.classification.tables import (
    calibration_table,
    drops_table,
    labels_table,
    notes,
    summary,
)
from audioprobe.io.text_table import Table
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.label_metrics import confusion_of_best
from audioprobe.metrics.vectorized_metrics import macro_roc_curve
from audioprobe.reports.audio_clips import AudioClips
from audioprobe.reports.figures import ForestRow, confusion, forest, reliability, roc, to_svg
from audioprobe.reports.html import ClipCard, ClipCards, DataGrid, Drawing, Item, Page, Section
from audioprobe.types import Clip, Float64Array

N_WORST = 12
"""Number of clips shown per cell (one prompt level on one evaluation set)."""

N_BAND = 200
"""Number of resamples for the band of a ROC curve; other intervals use the number in the config."""


class ReportMaker:
    """Builder of the report page of a run.

    Args:
        clips: clips by evaluation set and clip id.
        folder: folder of the run; links to audio files are relative to this folder.
        embed: whether the page contains the audio of the shown clips instead of links to files.
    """

    def __init__(
        self, clips: Mapping[str, Mapping[str, Clip]], folder: Path, *, embed: bool = False
    ) -> None:
        self._clips = clips
        self._audio = AudioClips(folder, embed=embed)

    def __call__(
        self,
        title: str,
        lead: str,
        *,
        cells: Sequence[ClassificationCell],
        scores: Sequence[CellScore],
        drops: Sequence[FamiliarityDrop],
        calibrations: Sequence[CalibrationResult],
        bootstrap: Bootstrap,
        setup: Sequence[Item] = (),
    ) -> Page:
        """Return the page; sections without content are omitted.

        Args:
            title: title of the page.
            lead: paragraph below the title.
            cells: results of the run.
            scores: metrics of each cell.
            drops: differences between familiar and unfamiliar evaluation sets.
            calibrations: calibration of the cells that have an evaluation set to fit the curve on.
            bootstrap: options of the bootstrap that gave the intervals.
            setup: tables of data sets and questions.
        """
        label_grids: list[Item] = [
            DataGrid(score.name, labels_table(score), True, n == 0)
            for n, score in enumerate(scores)
            if score.labels
        ]
        worst = [self._worst(cell) for cell in cells]
        gain_text = " ".join([_GAINS, *notes(scores, bootstrap.level)])
        sections = [
            Section("Results", [DataGrid("All cells", summary(scores))], _BASIS),
            Section("Gain of each prompt level", _gains(scores), gain_text),
            Section("Familiar and unfamiliar audio", _drops(drops)),
            Section("ROC curves", _curves(cells, bootstrap), "Mean over labels; bands are 95 %."),
            Section("Labels", label_grids),
            Section("Calibration", _reliability(calibrations), _CALIBRATION),
            Section("Confusion of labels", _confusions(cells), _CONFUSION),
            Section("Worst clips", worst, _WORST),
            Section("Failures", _failures(cells)),
            Section("Set-up", setup),
        ]
        return Page(title, lead, [section for section in sections if section.items])

    def _worst(self, cell: ClassificationCell) -> Item:
        data = LabelledScores(cell)
        order: list[int] = []
        if data.ids:
            margin = _rank_margin(data)
            worst = np.argsort(-margin, kind="stable")[:N_WORST].tolist()
            order = [n for n in worst if margin[n] >= 0]
        if not order:
            header = ("clips", "with a wrong label above a correct one")
            return DataGrid(cell.name, Table(header, ((str(len(data.ids)), "0"),)))
        return ClipCards(cell.name, tuple(self._card(data, n) for n in order))

    def _card(self, data: LabelledScores, number: int) -> ClipCard:
        cell, name = data.cell, data.ids[number]
        labels, row = cell.result.labels, data.scores[number]
        best = np.argsort(-row, kind="stable")[:3]
        picture, audio = self._audio(self._clips[cell.evaluation_set][name])
        return ClipCard(
            name,
            tuple(c.text for c in cell.result.captions_by_clip()[name]) or ("(no caption)",),
            (
                ("reference labels", ", ".join(cell.result.truth[name]) or "(none)"),
                ("best labels", ", ".join(f"{labels[k]} {row[k]:.3f}" for k in best)),
            ),
            picture,
            audio,
        )


def _gains(scores: Sequence[CellScore]) -> list[Item]:
    items: list[Item] = []
    for name in dict.fromkeys(score.evaluation_set for score in scores):
        rows = [
            ForestRow(s.prompt_level, s.gain.difference, muted=s.prompt_level.endswith(_CONTROLS))
            for s in scores
            if s.evaluation_set == name and s.gain is not None
        ]
        if rows:
            caption = f"{name}: macro AUC minus that of the first prompt level, on the same clips."
            figure = forest(rows, "difference of macro AUC")
            items.append(Drawing(to_svg(figure, caption), f"{caption} Diamonds are controls."))
    return items


def _drops(drops: Sequence[FamiliarityDrop]) -> list[Item]:
    if not drops:
        return []
    rows = [
        ForestRow(f"{d.prompt_level}: {d.unfamiliar} minus {d.familiar}", d.difference)
        for d in drops
    ]
    caption = "Macro AUC on unfamiliar audio minus macro AUC on familiar audio."
    drawing = Drawing(to_svg(forest(rows, "difference of macro AUC"), caption), caption)
    return [drawing, DataGrid("Values", drops_table(drops))]


def _curves(cells: Sequence[ClassificationCell], bootstrap: Bootstrap) -> list[Item]:
    items: list[Item] = []
    band = Bootstrap(N_BAND, level=bootstrap.level, seed=bootstrap.seed)
    for name in dict.fromkeys(cell.evaluation_set for cell in cells):
        curves = {}
        for data in (LabelledScores(cell) for cell in cells if cell.evaluation_set == name):
            if data.ids:
                curve = macro_roc_curve(
                    data.targets, data.scores, bootstrap=band, groups=data.groups
                )
                if curve is not None:
                    curves[data.cell.prompt_level] = curve
        if curves:
            caption = f"{name}: mean ROC curves, {N_BAND} resamples."
            items.append(Drawing(to_svg(roc(curves), caption), caption))
    return items


def _reliability(results: Sequence[CalibrationResult]) -> list[Item]:
    items: list[Item] = []
    for name in dict.fromkeys(result.evaluation_set for result in results):
        bins = {r.prompt_level: r.bins for r in results if r.evaluation_set == name}
        caption = f"{name}: predicted probability and observed frequency in ten bins."
        items.append(Drawing(to_svg(reliability(bins), caption), caption))
    return [*items, DataGrid("Values", calibration_table(results))] if items else []


def _confusions(cells: Sequence[ClassificationCell]) -> list[Item]:
    items: list[Item] = []
    for data in map(LabelledScores, cells):
        if data.ids and data.targets.any():
            counts: Float64Array = confusion_of_best(data.targets, data.scores)
            figure = confusion(counts, data.cell.result.labels)
            items.append(Drawing(to_svg(figure, data.cell.name), data.cell.name))
    return items


def _failures(cells: Sequence[ClassificationCell]) -> list[Item]:
    return [
        DataGrid(cell.name, cell.result.failure_table(), True, False)
        for cell in cells
        if cell.result.failures
    ]


def _rank_margin(data: LabelledScores) -> Float64Array:
    """Return the rank of the worst correct label minus the rank of the best wrong label.

    The result has shape (n_clips,).

    It is positive if a wrong label has a higher score than a correct one, 0 for a tie, and -inf for
    clips that have no label or all labels.
    """
    ranks = rankdata(-data.scores, axis=1)
    correct = np.where(data.targets, ranks, -np.inf).max(axis=1)
    wrong = np.where(data.targets, np.inf, ranks).min(axis=1)
    defined = np.isfinite(correct) & np.isfinite(wrong)
    margin: Float64Array = np.where(defined, correct - wrong, -np.inf)
    return margin


_CONTROLS = (", shuffled", ", absent", ", wrong")
_BASIS = (
    "AUC and AP are macro means over the labels for which they are defined. Intervals resample "
    "groups; their number is given beside each interval. Clips that failed or have no reference "
    "labels are excluded, and counted in the last columns. Clips in which the model recognised "
    "nothing are included, and counted, too."
)
_GAINS = (
    "Difference from the first prompt level on the same clips. p-values are from permutations of "
    "whole groups, after Holm's correction for the number of prompt levels; the smallest p-value "
    "that this number of groups allows is shown next to them. A true difference smaller than the "
    "value in the column “80 % power from” would probably not be significant; a dash means that no "
    "difference could be significant."
)
_CALIBRATION = (
    "Probabilities by one logistic curve for all labels (Platt), fitted on the evaluation set that "
    "thresholds come from. Points below the line are overconfident."
)
_CONFUSION = (
    "Rows are reference labels, columns the label with the highest score. A clip with several "
    "reference labels is divided equally among their rows."
)
_WORST = (
    "Clips in which a wrong label was ranked furthest above a correct one, or equal to it; other "
    "clips are not shown."
)
