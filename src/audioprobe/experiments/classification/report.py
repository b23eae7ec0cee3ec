"""The report of a run of in-context classification: one page to look at, read and listen to."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

from audioprobe.experiments.classification.analysis import CellScore
from audioprobe.experiments.classification.calibration import CalibrationResult
from audioprobe.experiments.classification.familiarity import FamiliarityDrop
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
from audioprobe.metrics.curves import confusion_of_best, macro_roc_curve
from audioprobe.reports.audio_clips import AudioClips
from audioprobe.reports.figures import ForestRow, confusion, forest, reliability, roc, to_svg
from audioprobe.reports.html import ClipCard, ClipCards, DataGrid, Drawing, Item, Page, Section
from audioprobe.types import Clip, Float64Array

N_WORST = 12
"""Clips shown of each cell."""

N_BAND = 200
"""Resamples behind the band of a ROC curve; numbers rest on the configuration's own."""


class ReportMaker:
    """Makes the page of a run.

    Args:
        clips: of all sounds, by the name of the sounds and the id of the clip.
        folder: of the run; sounds are linked to from there.
        embed: put the sounds of the clips that are shown into the page, instead of links.
    """

    def __init__(
        self, clips: Mapping[str, Mapping[str, Clip]], folder: Path, *, embed: bool = False
    ) -> None:
        self._clips = clips
        self._sounds = AudioClips(folder, embed=embed)

    def __call__(
        self,
        title: str,
        lead: str,
        *,
        cells: Sequence[ClassificationCell],
        scores: Sequence[CellScore],
        drops: Sequence[FamiliarityDrop],
        judged: Sequence[CalibrationResult],
        bootstrap: Bootstrap,
        made: Sequence[Item] = (),
    ) -> Page:
        """All sections; those without anything to show are left out.

        Args:
            title: of the page.
            lead: below it.
            cells: of the run.
            scores: of each cell.
            drops: between familiar and unfamiliar sound.
            judged: scores as probabilities, where there were sounds to tune on.
            bootstrap: how intervals were computed.
            made: what the numbers rest on.
        """
        pairs = list(zip(cells, scores, strict=True))
        sections = [
            Section("Results", [DataGrid("Every cell", summary(scores))], _BASIS),
            Section(
                "What each rung gains",
                _ladders(scores),
                " ".join([_GAINS, *notes(scores, bootstrap.level)]),
            ),
            Section("Familiar and unfamiliar sound", _drops(drops)),
            Section("ROC curves", _curves(cells, bootstrap), "Mean over labels; bands are 95 %."),
            Section(
                "Labels",
                [DataGrid(_name(s), labels_table(s), True, n == 0) for n, s in _some(scores)],
            ),
            Section("Probabilities", _probabilities(judged), _CALIBRATION),
            Section("What is taken for what", _confusions(cells), _CONFUSION),
            Section("The worst clips", [self._worst(*pair) for pair in pairs], _WORST),
            Section("What failed", _failures(cells)),
            Section("How it was made", made),
        ]
        return Page(title, lead, [section for section in sections if section.items])

    def _worst(self, cell: ClassificationCell, score: CellScore) -> Item:
        one = LabelledScores(cell)
        order: list[int] = []
        if one.ids:
            wrongness = _wrongness(one)
            worst = np.argsort(-wrongness, kind="stable")[:N_WORST].tolist()
            order = [n for n in worst if wrongness[n] >= 0]
        if not order:
            row = (str(len(one.ids)), "0")
            return DataGrid(
                _name(score), Table(("clips", "with a wrong label above a right one"), (row,))
            )
        return ClipCards(_name(score), tuple(self._card(one, n) for n in order))

    def _card(self, one: LabelledScores, number: int) -> ClipCard:
        cell, name = one.cell, one.ids[number]
        row = one.scores[number]
        best = np.argsort(-row, kind="stable")[:3]
        picture, sound = self._sounds(self._clips[cell.sounds][name])
        return ClipCard(
            name,
            tuple(c.text for c in cell.result.captions_by_clip()[name]) or ("(no caption)",),
            (
                ("labels of the clip", ", ".join(cell.result.truth[name]) or "(nothing)"),
                ("best labels", ", ".join(f"{cell.result.labels[k]} {row[k]:.3f}" for k in best)),
            ),
            picture,
            sound,
        )


def _name(score: CellScore) -> str:
    return f"{score.sounds}: {score.rung}"


def _some(scores: Sequence[CellScore]) -> list[tuple[int, CellScore]]:
    return [(n, score) for n, score in enumerate(scores) if score.labels]


def _ladders(scores: Sequence[CellScore]) -> list[Item]:
    items: list[Item] = []
    for sounds in dict.fromkeys(score.sounds for score in scores):
        rows = [
            ForestRow(s.rung, s.gain.difference, muted=s.rung.endswith(_CONTROLS))
            for s in scores
            if s.sounds == sounds and s.gain is not None
        ]
        if rows:
            caption = f"{sounds}: macro AUC minus that of the first rung, on the same clips."
            figure = forest(rows, "difference of macro AUC")
            items.append(Drawing(to_svg(figure, caption), f"{caption} Diamonds are controls."))
    return items


def _drops(drops: Sequence[FamiliarityDrop]) -> list[Item]:
    if not drops:
        return []
    rows = [ForestRow(f"{d.rung}: {d.unfamiliar} minus {d.familiar}", d.difference) for d in drops]
    caption = "Macro AUC on unfamiliar sound minus macro AUC on familiar sound."
    drawing = Drawing(to_svg(forest(rows, "difference of macro AUC"), caption), caption)
    return [drawing, DataGrid("In numbers", drops_table(drops))]


def _curves(cells: Sequence[ClassificationCell], bootstrap: Bootstrap) -> list[Item]:
    items: list[Item] = []
    band = Bootstrap(N_BAND, level=bootstrap.level, seed=bootstrap.seed)
    for sounds in dict.fromkeys(cell.sounds for cell in cells):
        found = {}
        for one in (LabelledScores(cell) for cell in cells if cell.sounds == sounds):
            if one.ids:
                curve = macro_roc_curve(one.targets, one.scores, bootstrap=band, groups=one.groups)
                if curve is not None:
                    found[one.cell.rung] = curve
        if found:
            caption = f"{sounds}: mean ROC curves, {N_BAND} resamples."
            items.append(Drawing(to_svg(roc(found), caption), caption))
    return items


def _probabilities(judged: Sequence[CalibrationResult]) -> list[Item]:
    items: list[Item] = []
    for sounds in dict.fromkeys(one.sounds for one in judged):
        own = {one.rung: one.bins for one in judged if one.sounds == sounds}
        caption = f"{sounds}: what was said and what was there, in ten bins."
        items.append(Drawing(to_svg(reliability(own), caption), caption))
    return [*items, DataGrid("In numbers", calibration_table(judged))] if items else []


def _confusions(cells: Sequence[ClassificationCell]) -> list[Item]:
    items: list[Item] = []
    for one in map(LabelledScores, cells):
        if one.ids and one.targets.any():
            counts: Float64Array = confusion_of_best(one.targets, one.scores)
            caption = f"{one.cell.sounds}: {one.cell.rung}"
            figure = confusion(counts, one.cell.result.labels)
            items.append(Drawing(to_svg(figure, caption), caption))
    return items


def _failures(cells: Sequence[ClassificationCell]) -> list[Item]:
    return [
        DataGrid(f"{cell.sounds}: {cell.rung}", cell.result.failure_table(), True, False)
        for cell in cells
        if cell.result.failures
    ]


def _wrongness(one: LabelledScores) -> Float64Array:
    """How far the best wrong label is above the worst right one, in ranks among the clip's labels.

    It is positive where a wrong label has a higher score than a right one, and 0 where they tie. A
    clip without labels, or with all of them, is -inf: nothing of it can be wrong.
    """
    ranks = rankdata(-one.scores, axis=1)
    right = np.where(one.targets, ranks, -np.inf).max(axis=1)
    wrong = np.where(one.targets, np.inf, ranks).min(axis=1)
    found: Float64Array = np.where(np.isfinite(right) & np.isfinite(wrong), right - wrong, -np.inf)
    return found


_CONTROLS = (", shuffled", ", absent", ", wrong")
_BASIS = (
    "AUC and AP are macro means over the labels for which they are defined, with intervals of "
    "resampled groups, whose number stands beside each. Clips that failed, that nobody annotated, "
    "and in which the model itself recognised nothing are counted at the right; only the first two "
    "are left out of the numbers."
)
_GAINS = (
    "Paired with the first rung, clip by clip; p-values are of permutations of whole groups, "
    "corrected for the number of rungs (Holm), beside the smallest that so many groups can give. "
    "A difference below that in the column “80 % power from” would probably have gone unseen; a "
    "dash says that this test finds none, or that resamples do not vary."
)
_CALIBRATION = (
    "Scores made probabilities by one logistic curve for all labels (Platt), fitted on the sounds "
    "that thresholds come from. Where dots lie below the line, too much is claimed."
)
_CONFUSION = "Of each label's clips, which label was best; a clip of several labels is shared."
_WORST = (
    "Clips in which a label that is not there was ranked furthest above one that is, or as high; "
    "other clips are not shown."
)
