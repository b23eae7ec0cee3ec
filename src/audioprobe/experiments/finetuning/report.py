"""The report of a study of fine-tuning: one page with all that its trainings gave so far."""

from collections.abc import Sequence

from audioprobe.experiments.finetuning.conclusions import Conclusion
from audioprobe.experiments.finetuning.config import StudyConfig
from audioprobe.experiments.finetuning.cross_modal_transfer import (
    ASKED,
    CONTROL,
    HALVES,
    TransferResult,
)
from audioprobe.experiments.finetuning.paired_difference import MEASURES, UNITS
from audioprobe.experiments.finetuning.settings_table import making_table
from audioprobe.experiments.finetuning.strategy_summary import FACTORS, StrategySummary
from audioprobe.experiments.finetuning.study_results import StudySummary
from audioprobe.experiments.finetuning.tables import (
    before_table,
    called,
    drift_table,
    effects_table,
    failures_table,
    heldout_table,
    links_table,
    paired,
    pairs_table,
    seeds_table,
    strategies_table,
    transfer_table,
)
from audioprobe.io.text_table import Table
from audioprobe.probing.scores import without_counts
from audioprobe.reports.figures import ForestRow, forest, to_svg
from audioprobe.reports.html import DataGrid, Drawing, Item, Page, Section
from audioprobe.reports.tradeoff_plots import Point, lines, matrix, plane


def report_of(
    study: StudyConfig, synthesis: StudySummary, verdicts: Sequence[Conclusion], name: str
) -> Page:
    """All sections; those without anything to show are left out.

    Args:
        study: what was wanted.
        synthesis: what came of it so far.
        verdicts: its questions, answered.
        name: in the title.
    """
    found = synthesis
    answers = Table(
        ("question", "answer", "evidence"),
        tuple(
            row
            for v in verdicts
            for row in (
                (v.question, v.answer, v.evidence),
                *(("", *point) for point in v.points),
            )
        ),
    )
    sections = [
        Section("Verdicts", _grids(("Questions and answers", answers)), _VERDICTS),
        Section("The model before", [DataGrid("Every measure", before_table(found))], _BEFORE),
        Section("Gain and forgetting", _gain(found), _GAIN),
        Section("Against the model before", _against(found), _AGAINST),
        Section("One choice changed", _alone(found), _ALONE),
        Section("What each choice does", _choices(found), _CHOICES),
        Section("Pairs and other concepts", _heldout(found), _HELDOUT),
        Section("Transfer", _transfer(found), _TRANSFER),
        Section("Training", _training(found), _TRAINING),
        Section("What moved", _moved(found), _MOVED),
        Section("Trainings that failed", _grids(("Why", failures_table(found))), _FAILED),
        Section(
            "How it was made", [DataGrid("Model, data and trainings", making_table(study, found))]
        ),
    ]
    return Page(f"Fine-tuning: {name}", _lead(found), [one for one in sections if one.items])


def _lead(found: StudySummary) -> str:
    n, wanted, failed = found.n_trainings, found.n_wanted, len(found.failures)
    if not n:
        return (
            f"0 of {wanted} trainings have ended; there is nothing yet but the model as it was "
            "before."
        )
    of_them = f", {failed} of them in failure" if failed else ""
    if n < wanted:
        return (
            f"{n} of {wanted} trainings have ended{of_them}; all that is said here rests on these, "
            "and may change with the others."
        )
    return f"All {wanted} trainings have ended{of_them}."


def _grids(*named: tuple[str, Table]) -> list[Item]:
    """Tables that have rows."""
    return [DataGrid(name, table) for name, table in named if table.rows]


def _gain(found: StudySummary) -> list[Item]:
    if not found.tried:
        return []
    points = [
        Point(
            called(one),
            one.changes["inside AUC"].estimate,
            one.changes["loss of text"].estimate,
            one.trained,
            bool(one.best),
        )
        for one in found.tried
    ]
    caption = (
        "What each strategy gains inside (to the right is better) and loses of text (down is "
        "better). Colours and shapes are what trained; a dark rim is the Pareto front. Numbers "
        "are those of the table below."
    )
    figure = plane(
        points, "change of inside AUC, macro", "change of the loss of text, nats per token"
    )
    return [
        Drawing(to_svg(figure, caption), caption),
        DataGrid("Every strategy", strategies_table(found), filter=True),
        DataGrid("Every training by itself", seeds_table(found), filter=True, open=False),
    ]


def _against(found: StudySummary) -> list[Item]:
    items: list[Item] = []
    for measure in MEASURES if found.tried else ():
        rows = [
            ForestRow(f"{number}: {called(one)}", one.changes[measure].estimate)
            for number, one in enumerate(found.tried, 1)
        ]
        caption = f"Change of {measure}: {UNITS[measure]}."
        items.append(Drawing(to_svg(forest(rows, f"change of {measure}"), caption), caption))
    return items


def _alone(found: StudySummary) -> list[Item]:
    items: list[Item] = []
    for measure in MEASURES:
        rows = [
            ForestRow(paired(one), one.changes[measure].estimate)
            for one in found.matched
            if measure in one.changes
        ]
        if rows:
            caption = f"Difference of {measure}, all else the same: {UNITS[measure]}."
            drawn = forest(rows, f"difference of {measure}")
            items.append(Drawing(to_svg(drawn, caption), caption))
    return items + _grids(("In numbers", pairs_table(found)))


def _choices(found: StudySummary) -> list[Item]:
    items: list[Item] = []
    for measure, effects in found.effects.items():
        if not effects:
            continue
        rows = [
            ForestRow(
                f"{one.effect.factor}: {one.effect.level}", without_counts(one.effect.estimate)
            )
            for factor in FACTORS
            for one in effects
            if one.effect.factor == factor
        ]
        firsts = ", ".join(dict.fromkeys(f"{e.effect.factor}: {e.baseline}" for e in effects))
        caption = f"Effect on the change of {measure}. Compared with {firsts}."
        items.append(Drawing(to_svg(forest(rows, f"effect on {measure}"), caption), caption))
    return [*items, DataGrid("In numbers", effects_table(found), filter=True)] if items else []


def _heldout(found: StudySummary) -> list[Item]:
    rows = [
        ForestRow(f"{one.alignment}, {one.asked}: {one.concepts}", one.told.estimate)
        for one in found.heldout
    ]
    if not rows:
        return []
    caption = "Difference of accuracy from the strategy without a tie; where none is, from before."
    drawn = Drawing(to_svg(forest(rows, "difference of accuracy"), caption), caption)
    return [drawn, DataGrid("In numbers", heldout_table(found))]


def _transfer(found: StudySummary) -> list[Item]:
    some = found.transfer
    if some is None or not some.carried:
        return []
    arms = list(dict.fromkeys(one.arm for one in some.carried))
    caption = (
        "Change of the share of right answers about invented classes, by what they were taught in "
        "(down) and asked in (across)."
    )
    items: list[Item] = [_squares(some, arms, caption, beyond=False)]
    others = [arm for arm in arms if arm != CONTROL]
    if any(one.beyond is not None for one in some.carried):
        caption = f"The same beyond the control ({CONTROL}), in which answers were random."
        items.append(_squares(some, others, caption, beyond=True))
    return [*items, DataGrid("In numbers", transfer_table(found))]


def _squares(found: TransferResult, arms: Sequence[str], caption: str, *, beyond: bool) -> Drawing:
    cells = {
        (one.arm, one.asked, one.half): change.estimate
        for one in found.carried
        if (change := one.beyond if beyond else one.change) is not None
    }
    across = [(asked, half) for asked in ASKED for half in HALVES]
    figure = matrix(
        [f"taught in {arm}" if arm != CONTROL else f"control: {arm}" for arm in arms],
        [f"asked in {asked}; {half}" for asked, half in across],
        [[cells.get((arm, *what)) for what in across] for arm in arms],
        "difference of accuracy",
    )
    return Drawing(to_svg(figure, caption), caption)


def _training(found: StudySummary) -> list[Item]:
    curves = {
        level: [losses for one in some for losses in one.losses if losses]
        for level, some in _by_trained(found).items()
    }
    curves = {level: some for level, some in curves.items() if some}
    if not curves:
        return []
    caption = "Loss of every step by what trained: each training thin, their mean thick."
    figure = lines(curves, "step", "loss, nats", first=1)
    return [Drawing(to_svg(figure, caption), caption)]


def _moved(found: StudySummary) -> list[Item]:
    items: list[Item] = []
    for kind in dict.fromkeys(kind for one in found.tried for kind in one.similarity):
        curves = {
            level: [one.similarity[kind] for one in some if kind in one.similarity]
            for level, some in _by_trained(found).items()
        }
        caption = (
            f"How alike the states of {kind} stayed to those before, layer by layer, by what "
            "trained: each strategy thin, their mean thick. 1 is unchanged. Layer 0 are the "
            "embeddings."
        )
        known = {level: some for level, some in curves.items() if some}
        figure = lines(known, "layer", f"CKA with before, {kind}")
        items.append(Drawing(to_svg(figure, caption), caption))
    items += _grids(("Of every strategy", drift_table(found)))
    return items + _grids(("Does more drift go with more change?", links_table(found)))


def _by_trained(found: StudySummary) -> dict[str, list[StrategySummary]]:
    levels: dict[str, list[StrategySummary]] = {}
    for one in found.tried:
        levels.setdefault(one.trained, []).append(one)
    return levels


_VERDICTS = (
    "What the numbers below allow to say, and no more than that. A change is told where its whole "
    "interval and every seed are on one side of none; what a choice does, where its corrected test "
    "is below .05 as well."
)
_BEFORE = (
    "The model as it was, which all trainings begin with. Intervals resample clips, passages, or "
    "concepts with all their questions."
)
_GAIN = (
    "After training minus before, on the same items, mean over seeds. Intervals resample clips and "
    "passages: they tell what other items would have given, and nothing of other seeds or models. "
    "p-values are of each strategy alone, not corrected for how many there are."
)
_AGAINST = (
    "After training minus before, on the same items, mean over seeds; the line is no change. "
    "Intervals resample clips, passages, or concepts, and tell nothing of other seeds or models."
)
_ALONE = (
    "Strategies that differ in one choice alone, on the same items and by the same seeds; the line "
    "is no difference. This assumes nothing of how choices add up, and speaks of a choice beside "
    "the others that are named. Intervals resample clips, passages, or concepts, and tell nothing "
    "of other seeds or models; what each seed gave stands beside. p-values are corrected for all "
    "pairs of a measure (Holm)."
)
_CHOICES = (
    "What a level changes against the first level of its factor, on average over what it was "
    "combined with, by least squares. Strategies that leave the language model as it is cannot "
    "change what it makes of words, and are no part of the loss of text and the accuracy in words. "
    "Noise is whatever of a strategy does not add up, so that many seeds of few strategies are no "
    "more strategies: intervals tell what other strategies of such choices would give, and nothing "
    "of other items or models. p-values are corrected for all levels of a measure (Holm)."
)
_HELDOUT = (
    "Strategies that are asked pairs of questions about some concepts: what they make of these, of "
    "others of the same families, and of other families. Intervals resample concepts, and tell "
    "nothing of other seeds or models. Corrected p (Holm): beyond no tie, where that was trained."
)
_TRANSFER = (
    "Classes with invented names were taught in one way and asked about in both; of half of the "
    "concepts, classes were taught in sound where sound was taught at all. Intervals resample "
    "concepts; they tell nothing of other seeds or models. p-values are of each row alone."
)
_TRAINING = (
    "Losses of the steps that stayed, with whatever a strategy adds to them, so that their heights "
    "are comparable within a strategy alone."
)
_MOVED = (
    "How far weights moved, relative to their size before, and how alike the states of layers "
    "stayed (linear CKA, of the same items). Correlations are of ranks over trainings; their "
    "intervals resample strategies. What goes together need not cause each other."
)
_FAILED = "They have no values, and count nowhere as a change of 0."
