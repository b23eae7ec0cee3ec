"""Tables of a fine-tuning study.

A table of differences is defined by its columns: each header has a function that formats a cell.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import numpy as np

from audioprobe.experiments.finetuning.analysis import RunComparison, StudySummary
from audioprobe.experiments.finetuning.comparison import (
    FACTORS,
    MEASURES,
    Correlation,
    PairedDifference,
)
from audioprobe.experiments.finetuning.config import CLIP_SETS, ClipSubset
from audioprobe.experiments.finetuning.storage import group, select
from audioprobe.io.text_table import Table, columns
from audioprobe.probing.scores import without_counts
from audioprobe.types import Estimate

MISSING = "–"
SHOWN = ("in-domain AUC", "text loss", "text accuracy", "audio accuracy")
"""Main measures, few enough for a terminal."""

T = TypeVar("T")

_LEVELS: Mapping[str, Callable[[PairedDifference], str]] = {
    "measure": lambda d: d["measure"],
    "factor": lambda d: ablated(d)[0],
    "level": lambda d: ablated(d)[1],
    "baseline": lambda d: ablated(d)[2],
}


def all_tables(summary: StudySummary) -> dict[str, Table]:
    """Return the tables of all differences, keyed by title."""
    return {
        "Strategies": strategies_table(summary),
        "Ablations": ablations_table(summary),
        "Effects": effects_table(summary),
        "Correlations": correlations_table(summary),
        "Generalization": generalization_table(summary),
        "Transfer": transfer_table(summary),
        "Failures": failures_table(summary),
    }


def before_table(summary: StudySummary) -> Table:
    """Return a table of all measures of the model before fine-tuning."""
    rows = [
        (measure, _estimate(summary.before.get(measure)), description)
        for measure, description in MEASURES.items()
    ]
    return Table(("measure", "before fine-tuning", "description"), tuple(rows))


def strategies_table(summary: StudySummary) -> Table:
    """Return a table with one row per strategy: change of each measure, and outcome of its runs."""
    rows = []
    for number, (strategy, changes) in enumerate(summary.changes.items(), 1):
        runs = [run for run in summary.record.runs if not run.arm and run.strategy == strategy]
        n_failed = sum(bool(run.failure) for run in runs)
        n_stopped = sum(run.stopped_early for run in runs)
        front = "yes" if strategy in summary.front else "no" if n_failed < len(runs) else MISSING
        cells = [
            cell for m in MEASURES for cell in (change_text(changes.get(m)), _p(changes.get(m)))
        ]
        ends = (f"{len(runs) - n_failed} of {len(runs)}", str(n_failed), str(n_stopped), front)
        rows.append((str(number), *strategy, *cells, *ends))
    each = [name for measure in MEASURES for name in (measure, f"{measure}, p")]
    header = ("number", *FACTORS, *each, "seeds", "failed", "stopped early", "Pareto front")
    return Table(header, tuple(rows), (0, *columns(header[4:-1], 4)))


def seeds_table(summary: StudySummary) -> Table:
    """Return a table with one row per strategy and seed: change of each measure."""
    rows = []
    for number, (strategy, changes) in enumerate(summary.changes.items(), 1):
        differences = [changes.get(measure) for measure in MEASURES]
        for run in summary.record.runs:
            if run.strategy == strategy and not run.arm and run.seed is not None:
                values = [d.by_seed.get(run.seed) if d else None for d in differences]
                cells = [_number(value, "+.3f") for value in values]
                rows.append((str(number), *strategy, str(run.seed), *cells))
    header = ("number", *FACTORS, "seed", *MEASURES)
    return Table(header, tuple(rows), (0, *columns(header[4:], 4)))


def ablations_table(summary: StudySummary) -> Table:
    """Return a table with one row per measure and pair of strategies that differ in one factor."""
    cells: dict[str, Callable[[PairedDifference], str]] = {
        **_LEVELS,
        "other levels": lambda d: ablated(d)[3],
        "difference": change_text,
        "p": _p,
        "p, corrected": lambda d: _number(d.corrected, ".3g"),
        "each seed": lambda d: " ".join(_number(value, "+.3f") for value in d.by_seed.values()),
    }
    return _table(summary.ablations, cells, ("p", "p, corrected"))


def effects_table(summary: StudySummary) -> Table:
    """Return a table with one row per measure and level: its mean difference from the baseline."""
    cells: dict[str, Callable[[PairedDifference], str]] = {
        **_LEVELS,
        "effect": lambda d: (
            f"undefined: {d.estimate.method}" if d.estimate.value is None else change_text(d)
        ),
        "p": _p,
        "p, corrected": lambda d: _number(d.corrected, ".3g"),
        "runs": lambda d: str(d.n_runs),
    }
    return _table(summary.effects, cells, ("p", "p, corrected", "runs"))


def correlations_table(summary: StudySummary) -> Table:
    """Return a table with one row per measure and change of weights or hidden states."""
    cells: dict[str, Callable[[Correlation], str]] = {
        "change": lambda c: c.changed,
        "measure": lambda c: c.measure,
        "rank correlation": lambda c: _estimate(c.rho),
        "runs": lambda c: str(c.n_runs),
    }
    return _table(summary.correlations, cells, ("runs",))


def drift_table(summary: StudySummary) -> Table:
    """Return a table with one row per strategy: change of weights, similarity of hidden states."""
    rows = [r for r in select(summary.table, arm="") if ": " in r.measure]
    means: dict[tuple[object, ...], float] = {}
    for key, values in group(rows, (*FACTORS, "measure")).items():
        layers = group(values, ("item",)).values()
        means[key] = float(np.mean([np.mean([row.value for row in layer]) for layer in layers]))
    names = dict.fromkeys(str(measure) for *_, measure in means)
    names = dict.fromkeys(sorted(names, key=lambda name: name.startswith("similarity")))
    if not names:
        return Table((), ())
    cells = [
        (str(n), *strategy, *(_number(means.get((*strategy, name)), "z.4f") for name in names))
        for n, strategy in enumerate(summary.strategies, 1)
    ]
    header = ("number", *FACTORS, *names)
    return Table(header, tuple(cells), numeric=(0, *columns(tuple(names), 4)))


def transfer_table(summary: StudySummary) -> Table:
    """Return a table of accuracy on novel classes (classes with invented names).

    It has one row per training arm (what was trained), condition (text or audio) and group of
    concepts.
    """
    accuracy = summary.transfer_accuracy
    cells: dict[str, Callable[[RunComparison], str]] = {
        "trained with": lambda c: c.change["arm"],
        "evaluated in": lambda c: condition(c.change),
        "concepts": lambda c: c.change["subset"],
        "accuracy before": lambda c: _estimate(accuracy.get(("", *_subset_and_measure(c.change)))),
        "accuracy": lambda c: _estimate(accuracy[c.change["arm"], *_subset_and_measure(c.change)]),
        "change": lambda c: change_text(c.change),
        "p, change": lambda c: _p(c.change),
        "minus control": lambda c: change_text(c.control) if c.control else MISSING,
        "p, control": lambda c: _p(c.control),
        "runs": lambda c: str(c.change.n_runs),
    }
    return _table(summary.transfer, cells, tuple(cells)[3:])


def generalization_table(summary: StudySummary) -> Table:
    """Return a table of the change of accuracy after training on paired yes/no questions.

    It has one row per strategy, condition (text or audio) and group of concepts.
    """
    cells: dict[str, Callable[[RunComparison], str]] = {
        "trainable": lambda c: c.change["trainable"],
        "regularization": lambda c: c.change["regularization"],
        "alignment": lambda c: c.change["alignment"],
        "evaluated in": lambda c: condition(c.change),
        "concepts": lambda c: c.change["subset"],
        "count": lambda c: str(c.change.estimate.n_groups or 1),
        "change": lambda c: change_text(c.change),
        "p, change": lambda c: _p(c.change),
        "minus no alignment": lambda c: change_text(c.control) if c.control else MISSING,
        "p, no alignment": lambda c: _p(c.control),
        "p, corrected": lambda c: _number((c.control or c.change).corrected, ".3g"),
    }
    return _table(summary.generalization, cells, tuple(cells)[5:])


def failures_table(summary: StudySummary) -> Table:
    """Return a table with one row per failed run: name and cause."""
    return Table(("run", "cause"), summary.failures)


def headline(summary: StudySummary) -> Table:
    """Return a small table for a terminal: the model before, and the change of every strategy."""
    before = ("before", *(_estimate(summary.before.get(measure)) for measure in SHOWN))
    rows = [
        (", ".join(strategy), *(change_text(changes.get(measure)) for measure in SHOWN))
        for strategy, changes in summary.changes.items()
    ]
    return Table(("strategy", *SHOWN), (before, *rows))


def progress_text(summary: StudySummary) -> str:
    """Return a sentence with the number of runs that have finished and that failed."""
    n, planned, n_failed = len(summary.record.runs), summary.record.n_planned, len(summary.failures)
    failed = f", {n_failed} of them failed" if n_failed else ""
    incomplete = "; all results are preliminary" if n < planned else ""
    return f"{n} of {planned} training runs have finished{failed}{incomplete}."


def settings_table(summary: StudySummary) -> Table:
    """Return a table of the settings that results depend on, and of the duration of the study."""
    study, runs = summary.record.study, summary.record.runs
    model, bootstrap = study.model, study.bootstrap
    subsets: dict[str, ClipSubset | None] = {name: getattr(study, name) for name in CLIP_SETS}
    seconds = summary.record.before.seconds + sum(run.seconds for run in runs)
    rows = [("model", f"{model.name}, base {model.base}" if model.base else model.name)]
    rows += [(f"clips: {name}", _subset(subset)) for name, subset in subsets.items() if subset]
    rows += [
        ("rehearsal texts", study.rehearsal_texts),
        ("evaluation texts", study.evaluation_texts),
        ("design", study.design),
        ("seeds", ", ".join(map(str, study.seeds))),
        ("steps per run", str(study.training_arguments.steps)),
        ("clips per step", str(study.clips_per_step)),
        *((f"learning rate: {x.label}", f"{x.learning_rate:g}") for x in study.levels),
    ]
    if study.transfer:
        rows.append(("steps per run with novel classes", str(study.transfer.steps)))
    rows += [
        ("finished runs", f"{len(runs)} of {summary.record.n_planned}"),
        ("failed runs", str(len(summary.failures))),
        ("hours, if runs were sequential", f"{seconds / 3600:.2f}"),
        ("resamples of intervals", f"{bootstrap.n_resamples}, seed {bootstrap.seed}"),
        ("level of intervals", f"{bootstrap.level:.0%}"),
    ]
    return Table(("setting", "value"), tuple(rows))


def condition(difference: PairedDifference) -> str:
    """Return the condition ("text" or "audio") in which an accuracy was measured."""
    return "text" if "text" in difference["measure"] else "audio"


def ablated(difference: PairedDifference) -> tuple[str, str, str, str]:
    """Return in which factor a group of runs differs from its baseline.

    Returns:
        The name of that factor, its level in the group, its level in the baseline, and the levels
        of the other factors, which are equal, joined by commas.
    """
    ((factor, baseline),) = difference.baseline.items()
    others = [name for name in FACTORS if name in difference.columns and name != factor]
    return factor, difference[factor], baseline, ", ".join(difference[name] for name in others)


def _subset(subset: ClipSubset) -> str:
    options = ", ".join(f"{key} {value}" for key, value in subset.dataset.options.items())
    half = "" if subset.half == "all" else f", {subset.half} half"
    mapping = f", labels mapped by {subset.mapping}" if subset.mapping else ""
    options = f" ({options})" if options else ""
    return f"{subset.dataset.name}{options}, split {subset.split}{half}{mapping}"


def _table(
    items: Iterable[T], cells: Mapping[str, Callable[[T], str]], numeric: tuple[str, ...]
) -> Table:
    """Return a table with a row per item; `cells` maps headers to functions of an item."""
    rows = tuple(tuple(cell(item) for cell in cells.values()) for item in items)
    return Table(tuple(cells), rows, tuple(n for n, name in enumerate(cells) if name in numeric))


def _subset_and_measure(difference: PairedDifference) -> tuple[str, str]:
    return difference["subset"], difference["measure"]


def change_text(difference: PairedDifference | None) -> str:
    """Return a difference with its sign as text; None gives "undefined"."""
    text = "undefined" if difference is None else _estimate(difference.estimate)
    return text if text.startswith(("-", "undefined")) else f"+{text}"


def _p(difference: PairedDifference | None) -> str:
    return MISSING if difference is None else _number(difference.p_value, ".3g")


def _estimate(estimate: Estimate | None) -> str:
    return "undefined" if estimate is None else str(without_counts(estimate))


def _number(value: float | None, digits: str) -> str:
    return MISSING if value is None else format(value, digits)
