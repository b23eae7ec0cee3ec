"""HTML report of a classification run."""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import rankdata

from audioprobe.experiments.classification.across_sets import (
    CalibrationResult,
    FamiliarityDrop,
    calibrate,
    familiarity_drops,
)
from audioprobe.experiments.classification.analysis import CellScore
from audioprobe.experiments.classification.labelled_scores import LabelledScores
from audioprobe.experiments.classification.run import ClassificationCell, ClassificationRun
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
from audioprobe.plots.figures import confusion, forest, reliability, roc, to_svg
from audioprobe.plots.forest_plot import ForestRow
from audioprobe.reports.audio_clips import AudioClips
from audioprobe.reports.html import ClipCard, ClipCards, DataGrid, Drawing, Item, Page, Section
from audioprobe.types import Clip, Float64Array

N_WORST = 12
"""Number of clips shown per cell (one prompt level on one evaluation set)."""

N_BAND = 200
"""Number of resamples for the band of a ROC curve; other intervals use the number in the config."""


def build_report(
    run: ClassificationRun,
    cells: Sequence[ClassificationCell],
    scores: Sequence[CellScore],
    *,
    title: str,
    remarks: Sequence[str],
    audio: AudioClips,
) -> Page:
    """Return the report page of a run; sections without content are omitted.

    Args:
        run: the prepared run.
        cells: results of the run.
        scores: metrics of each cell.
        title: title of the page.
        remarks: sentences about training clips and long captions.
        audio: function that makes the picture and the audio of a clip for the page.
    """
    bootstrap = run.config.bootstrap
    data = [LabelledScores(cell) for cell in cells]
    clips = {each.name: {clip.id: clip for clip in each.clips} for each, _ in run.questions}
    provenance = cells[0].result.provenance
    lead = (
        f"{run.config.model.name} captioned {sum(map(len, clips.values()))} clips; the captions "
        f"were scored by {provenance.components['scorer'].name}. audioprobe "
        f"{provenance.versions.get('audioprobe', '?')}, seed {run.config.seed}."
    )
    label_grids: list[Item] = [
        DataGrid(score.name, labels_table(score), True, n == 0)
        for n, score in enumerate(scores)
        if score.labels
    ]
    worst = [_worst(d, clips[d.cell.evaluation_set], audio) for d in data]
    gain_text = " ".join([_GAINS, *notes(scores, bootstrap.level)])
    setup = [
        DataGrid("Evaluation sets", _sets_table(run, cells)),
        DataGrid("Questions", _questions_table(run), False, False),
    ]
    sections = [
        Section(
            "Results", [DataGrid("By evaluation set and prompt level", summary(scores))], _BASIS
        ),
        Section("Gain of each prompt level", _gains(scores), gain_text),
        Section("Familiar and unfamiliar audio", _drops(familiarity_drops(cells, bootstrap))),
        Section("ROC curves", _curves(data, bootstrap), "Mean over labels; bands are 95 %."),
        Section("Labels", label_grids),
        Section("Calibration", _reliability(calibrate(cells, run.config)), _CALIBRATION),
        Section("Confusion of labels", _confusions(data), _CONFUSION),
        Section("Worst clips", worst, _WORST),
        Section("Failures", _failures(cells)),
        Section("Set-up", setup),
    ]
    return Page(
        title, " ".join([lead, *remarks]), [section for section in sections if section.items]
    )


def _sets_table(run: ClassificationRun, cells: Sequence[ClassificationCell]) -> Table:
    trained_on = {cell.evaluation_set: cell.result.provenance.training_clips for cell in cells}
    rows = []
    for clips, _ in run.questions:
        info = clips.dataset.info
        options = ", ".join(f"{name} {value}" for name, value in info.options.items())
        used = ", ".join(f"{len(ids)}, {name}" for name, ids in trained_on[clips.name].items())
        n_clips = str(len(clips.clips))
        rows.append((clips.name, info.name, info.revision, n_clips, used or "unknown", options))
    header = ("evaluation set", "data set", "revision", "clips", "used in training", "options")
    return Table(header, tuple(rows), (3,))


def _questions_table(run: ClassificationRun) -> Table:
    rows = tuple((c.name, q.name, q.text) for c, questions in run.questions for q in questions)
    return Table(("evaluation set", "prompt level", "question"), rows)


def _worst(data: LabelledScores, clips: Mapping[str, Clip], audio: AudioClips) -> Item:
    """Return cards of the clips in which a wrong label scores most above a correct label.

    If there is no such clip, return a table that says so.
    """
    order: list[int] = []
    if data.ids:
        margin = _rank_margin(data)
        worst = np.argsort(-margin, kind="stable")[:N_WORST].tolist()
        order = [n for n in worst if margin[n] >= 0]
    if not order:
        header = ("clips", "with a wrong label above a correct one")
        return DataGrid(data.cell.name, Table(header, ((str(len(data.ids)), "0"),)))
    cards = [_card(data, n, *audio(clips[data.ids[n]])) for n in order]
    return ClipCards(data.cell.name, tuple(cards))


def _card(data: LabelledScores, number: int, picture: str, audio: str) -> ClipCard:
    result, name = data.cell.result, data.ids[number]
    row = data.scores[number]
    best = np.argsort(-row, kind="stable")[:3]
    return ClipCard(
        name,
        tuple(c.text for c in result.captions_by_clip()[name]) or ("(no caption)",),
        (
            ("reference labels", ", ".join(result.truth[name]) or "(none)"),
            ("best labels", ", ".join(f"{result.labels[k]} {row[k]:.3f}" for k in best)),
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


def _curves(data: Sequence[LabelledScores], bootstrap: Bootstrap) -> list[Item]:
    items: list[Item] = []
    band = Bootstrap(N_BAND, level=bootstrap.level, seed=bootstrap.seed)
    for name in dict.fromkeys(d.cell.evaluation_set for d in data):
        curves = {}
        for d in data:
            if d.ids and d.cell.evaluation_set == name:
                curve = macro_roc_curve(d.targets, d.scores, bootstrap=band, groups=d.groups)
                if curve is not None:
                    curves[d.cell.prompt_level] = curve
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


def _confusions(data: Sequence[LabelledScores]) -> list[Item]:
    items: list[Item] = []
    for d in data:
        if d.ids and d.targets.any():
            figure = confusion(confusion_of_best(d.targets, d.scores), d.cell.result.labels)
            items.append(Drawing(to_svg(figure, d.cell.name), d.cell.name))
    return items


def _failures(cells: Sequence[ClassificationCell]) -> list[Item]:
    return [
        DataGrid(cell.name, cell.result.failure_table(), True, False)
        for cell in cells
        if cell.result.failures
    ]


def _rank_margin(data: LabelledScores) -> Float64Array:
    """Return, per clip, the rank of the worst correct label minus that of the best wrong label.

    Rank 1 is the highest score. The difference is positive if a wrong label has a higher score than
    a correct label, 0 for a tie, and -inf for clips that have no label or all labels.
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
