"""HTML report of a classification run."""

from collections.abc import Sequence
from dataclasses import replace

from audioprobe.experiments.classification.across_sets import (
    CalibrationResult,
    FamiliarityDrop,
    calibrate,
    familiarity_drops,
)
from audioprobe.experiments.classification.analysis import CellScore
from audioprobe.experiments.classification.build import PromptQuestion
from audioprobe.experiments.classification.findings import findings, run_facts
from audioprobe.experiments.classification.labelled_scores import LabelledScores
from audioprobe.experiments.classification.run import ClassificationCell, ClassificationRun
from audioprobe.experiments.classification.samples import clip_samples
from audioprobe.experiments.classification.tables import (
    calibration_table,
    counts_table,
    drops_table,
    gains_table,
    labels_table,
    scores_table,
)
from audioprobe.io.text_table import Table
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.label_metrics import confusion_of_best
from audioprobe.metrics.vectorized_metrics import macro_roc_curve
from audioprobe.plots.forest_plot import ForestRow
from audioprobe.reports.audio_clips import AudioClips
from audioprobe.reports.charts import Chart
from audioprobe.reports.curve_charts import reliability, roc
from audioprobe.reports.estimate_charts import forest
from audioprobe.reports.heat_maps import confusion
from audioprobe.reports.html import DataGrid, Item, Page, Section
from audioprobe.reports.provenance import (
    command_text,
    option_text,
    provenance_section,
)
from audioprobe.reports.samples import MAX_ANSWERS, sample_browser

MAX_FAILURES = 1_000
"""Maximum number of failed clips of a prompt level in the report; the CSV results have all."""

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
    files: Sequence[str],
) -> Page:
    """Return the report page of a run; sections without content are omitted.

    Args:
        run: the prepared run.
        cells: results of the run.
        scores: metrics of each cell.
        title: title of the page.
        remarks: warnings about training clips, long captions, and too few groups.
        audio: function that makes the picture and the audio of a clip for the page.
        files: names of files with results in the folder of the page.
    """
    bootstrap = run.config.bootstrap
    data = [LabelledScores(cell) for cell in cells]
    drops = familiarity_drops(cells, bootstrap)
    label_grids: list[Item] = [
        DataGrid(score.name, labels_table(score), True, n == 0)
        for n, score in enumerate(scores)
        if score.labels
    ]
    sections = [
        Section("Results", _results(scores), _BASIS),
        Section("Samples", [_samples(run, cells, audio, files)], _SAMPLES),
        Section("Differences between prompts", _gains(scores), _GAINS),
        Section("Familiar and unfamiliar audio", _drops(drops)),
        Section("Labels", label_grids, _LABELS),
        Section("ROC curves", _curves(data, bootstrap), "Mean over labels; bands are 95 %."),
        Section("Calibration", _reliability(calibrate(cells, run.config)), _CALIBRATION),
        Section("Confusion of labels", _confusions(data), _CONFUSION),
        Section("Failures", failure_grids(cells)),
        Section("Set-up", _setup(run, cells)),
        provenance_section(
            {cell.name: cell.result.provenance for cell in cells},
            command=command_text(),
            files=files,
        ),
    ]
    return Page(
        title=f"Classification: {title}",
        facts=run_facts(run, cells),
        findings=findings(data, scores, drops, bootstrap.level),
        notes=remarks,
        chart=_overview(scores),
        sections=[section for section in sections if section.items],
    )


def _overview(scores: Sequence[CellScore]) -> Chart | None:
    rows = [ForestRow(score.name, score.auc, _is_control(score)) for score in scores]
    caption = (
        "Macro AUC with its confidence interval, by evaluation set and prompt. The dashed line is "
        "chance. Diamonds are control prompts."
    )
    if not any(_is_control(score) for score in scores):
        caption = caption[: caption.index(" Diamonds")]
    return forest(rows, "macro AUC", caption, reference=0.5) if rows else None


def _is_control(score: CellScore) -> bool:
    return score.prompt_level.endswith(_CONTROLS)


def _results(scores: Sequence[CellScore]) -> list[Item]:
    return [
        DataGrid("Metrics by evaluation set and prompt", scores_table(scores)),
        DataGrid("Numbers of clips", counts_table(scores)),
    ]


def _samples(
    run: ClassificationRun,
    cells: Sequence[ClassificationCell],
    audio: AudioClips,
    files: Sequence[str],
) -> Item:
    prompts = {
        (clips.name, question.name): _prompt_text(question)
        for clips, questions in run.questions
        for question in questions
    }
    levels = list(dict.fromkeys(cell.prompt_level for cell in cells))
    samples, n_samples = clip_samples(cells, prompts, MAX_ANSWERS // len(levels))
    selected = {(sample.evaluation_set, sample.clip) for sample in samples}
    clips = {
        (each.name, clip.id): clip
        for each, _ in run.questions
        for clip in each.clips
        if (each.name, clip.id) in selected
    }
    where = next((name for name in files if name.endswith(".parquet")), "the result files")
    return sample_browser(
        samples,
        levels,
        clips,
        audio,
        compared="prompt",
        complete_data=where,
        n_samples=n_samples,
    )


def _prompt_text(question: PromptQuestion) -> str:
    """Return the whole text of a prompt, with its in-context examples."""
    examples = [
        f"[example{', with audio' if example.audio is not None else ''}] {example.question}\n"
        f"{example.answer}"
        for example in question.examples
    ]
    return "\n".join([*examples, question.text])


def _gains(scores: Sequence[CellScore]) -> list[Item]:
    items: list[Item] = []
    for name in dict.fromkeys(score.evaluation_set for score in scores):
        rows = [
            ForestRow(s.prompt_level, s.gain.difference, _is_control(s))
            for s in scores
            if s.evaluation_set == name and s.gain is not None
        ]
        if rows:
            first = next(s.prompt_level for s in scores if s.evaluation_set == name)
            caption = f"{name}: macro AUC minus that of “{first}”, on the same clips."
            items.append(forest(rows, "difference of macro AUC", caption))
    return [*items, DataGrid("All differences", gains_table(scores))] if items else []


def _drops(drops: Sequence[FamiliarityDrop]) -> list[Item]:
    if not drops:
        return []
    rows = [
        ForestRow(f"{d.prompt_level}: {d.unfamiliar} minus {d.familiar}", d.difference)
        for d in drops
    ]
    caption = "Macro AUC on unfamiliar audio minus macro AUC on familiar audio."
    chart = forest(rows, "difference of macro AUC", caption)
    return [chart, DataGrid("Differences, familiar and unfamiliar audio", drops_table(drops))]


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
            caption = f"{name}: mean ROC curves; bands from {N_BAND} resamples."
            items.append(roc(curves, caption))
    return items


def _reliability(results: Sequence[CalibrationResult]) -> list[Item]:
    items: list[Item] = []
    for name in dict.fromkeys(result.evaluation_set for result in results):
        bins = {r.prompt_level: r.bins for r in results if r.evaluation_set == name}
        caption = f"{name}: predicted probability and observed frequency in ten bins."
        items.append(reliability(bins, caption))
    return [*items, DataGrid("Calibration errors", calibration_table(results))] if items else []


def _confusions(data: Sequence[LabelledScores]) -> list[Item]:
    return [
        confusion(
            confusion_of_best(d.targets, d.scores),
            d.cell.result.labels,
            f"{d.cell.name}: labels of clips (rows) and labels with the highest score (columns).",
        )
        for d in data
        if d.ids and d.targets.any()
    ]


def failure_grids(cells: Sequence[ClassificationCell]) -> list[DataGrid]:
    """Return a table of up to `MAX_FAILURES` failed clips for each cell that has any."""
    grids = []
    for cell in cells:
        table, n = cell.result.failure_table(), len(cell.result.failures)
        shown = f", {MAX_FAILURES:,} of {n:,} failures" if n > MAX_FAILURES else ""
        table = replace(table, rows=table.rows[:MAX_FAILURES])
        grids += [DataGrid(f"{cell.name}{shown}", table, True, False)] if n else []
    return grids


def _setup(run: ClassificationRun, cells: Sequence[ClassificationCell]) -> list[Item]:
    trained_on = {cell.evaluation_set: cell.result.provenance.training_clips for cell in cells}
    rows = []
    for clips, _ in run.questions:
        info = clips.dataset.info
        used = ", ".join(f"{len(ids)}, {name}" for name, ids in trained_on[clips.name].items())
        n_clips = str(len(clips.clips))
        options = option_text(info.options)
        rows.append((clips.name, info.name, info.revision, n_clips, used or "unknown", options))
    header = ("evaluation set", "data set", "revision", "clips", "used in training", "options")
    prompts = tuple(
        (clips.name, question.name, _prompt_text(question))
        for clips, questions in run.questions
        for question in questions
    )
    return [
        DataGrid("Evaluation sets", Table(header, tuple(rows), (3,))),
        DataGrid("Prompts", Table(("evaluation set", "prompt level", "prompt"), prompts)),
    ]


_CONTROLS = (", shuffled", ", absent", ", wrong")
_BASIS = (
    "AUC and AP are macro means over the labels for which they are defined. Intervals resample "
    "groups, or clips if they have no groups; their number is given beside each interval. Clips "
    "that failed or have no reference labels are excluded; clips in which the model recognised "
    "nothing are included."
)
_SAMPLES = (
    "Every clip with its prompts, captions and best labels. An answer is right if the label with "
    "the highest score is a reference label of the clip, and undecided if a wrong label has the "
    "same score. Choose a second prompt to see two answers side by side. Spectrograms have a range "
    "of 70 dB; frequencies are linear."
)
_GAINS = (
    "Difference from the first prompt on the same clips. p-values are from permutations of whole "
    "groups, after Holm's correction for the number of prompts. A true difference smaller than the "
    "value in the column “80 % power from” would probably not be significant; a dash means that no "
    "difference could be significant."
)
_LABELS = (
    "With few positives, numbers of single labels are uncertain: there is no interval for a label "
    "with one positive, and an interval of width zero means only that all resamples gave the same "
    "value, not that the value is certain."
)
_CALIBRATION = (
    "Probabilities by one logistic curve for all labels (Platt), fitted on the evaluation set that "
    "thresholds come from. Points below the line are overconfident."
)
_CONFUSION = (
    "Rows are reference labels, columns the label with the highest score. A clip with several "
    "reference labels is divided equally among their rows."
)
