"""Tables of a fine-tuning study."""

import numpy as np

from audioprobe.experiments.finetuning.analysis import StudySummary
from audioprobe.experiments.finetuning.comparison import (
    DESCRIPTIONS,
    FACTORS,
    MEASURES,
    PairedDifference,
)
from audioprobe.experiments.finetuning.storage import group, select
from audioprobe.io.text_table import Table, columns
from audioprobe.probing.scores import without_counts
from audioprobe.types import Estimate

MISSING = "–"
SHOWN = ("in-domain AUC", "text loss", "text accuracy", "audio accuracy")
"""Main measures, few enough for a terminal."""


def before_table(summary: StudySummary) -> Table:
    """Return a table of all measures of the model before fine-tuning."""
    rows = [
        (measure, _estimate(summary.before.get(measure)), DESCRIPTIONS[measure])
        for measure in MEASURES
    ]
    return Table(("measure", "before fine-tuning", "description"), tuple(rows))


def strategies_table(summary: StudySummary) -> Table:
    """Return a table with one row per strategy: differences from before, outcome of runs."""
    rows = []
    for number, strategy in enumerate(summary.strategies, 1):
        runs = [run for run in summary.record.runs if not run.arm and run.strategy == strategy]
        changes = [summary.changes[strategy].get(measure) for measure in MEASURES]
        n_failed = sum(bool(run.failure) for run in runs)
        n_stopped = sum(run.stopped_early for run in runs)
        front = "yes" if strategy in summary.front else "no" if n_failed < len(runs) else MISSING
        cells = [cell for change in changes for cell in (_change(change), _p(change))]
        ends = (f"{len(runs) - n_failed} of {len(runs)}", str(n_failed), str(n_stopped), front)
        rows.append((str(number), *strategy, *cells, *ends))
    each = [name for measure in MEASURES for name in (measure, f"{measure}, p")]
    header = ("number", *FACTORS, *each, "seeds", "failed", "stopped early", "Pareto front")
    return Table(header, tuple(rows), (0, *columns(header[4:-1], 4)))


def seeds_table(summary: StudySummary) -> Table:
    """Return a table with one row per strategy and seed: differences from before."""
    numbers = {strategy: n for n, strategy in enumerate(summary.strategies, 1)}
    rows = []
    for run in sorted(summary.record.runs, key=lambda run: numbers.get(run.strategy, 0)):
        if run.arm or run.seed is None:
            continue
        changes = [summary.changes[run.strategy].get(measure) for measure in MEASURES]
        values = [change.by_seed.get(run.seed) if change else None for change in changes]
        numbered = (str(numbers[run.strategy]), *run.strategy, str(run.seed))
        rows.append((*numbered, *map(_signed_number, values)))
    return Table(
        ("number", *FACTORS, "seed", *MEASURES),
        tuple(rows),
        (0, *columns(("seed", *MEASURES), 4)),
    )


def ablations_table(summary: StudySummary) -> Table:
    """Return a table with one row per measure and pair of strategies that differ in one factor."""
    header = (
        "measure",
        "factor",
        "level",
        "baseline",
        "other levels",
        "difference",
        "p",
        "p, corrected",
        "each seed",
    )
    rows = [
        (
            d["measure"],
            *ablated(d),
            _change(d),
            _p(d),
            _number(d.corrected, ".3g"),
            " ".join(map(_signed_number, d.by_seed.values())),
        )
        for d in summary.ablations
    ]
    return Table(header, tuple(rows), numeric=(6, 7))


def effects_table(summary: StudySummary) -> Table:
    """Return a table with one row per measure and level, compared with the baseline level."""
    header = ("measure", "factor", "level", "baseline", "effect", "p", "p, corrected", "runs")
    rows = [
        (
            row.measure,
            row.effect.factor,
            row.effect.level,
            row.baseline,
            _signed(row.effect.estimate)
            if row.effect.estimate.value is not None
            else f"undefined: {row.effect.estimate.method}",
            _number(row.effect.p_value, ".3g"),
            _number(row.corrected, ".3g"),
            str(row.effect.n_runs),
        )
        for row in summary.effects
    ]
    return Table(header, tuple(rows), numeric=(5, 6, 7))


def correlations_table(summary: StudySummary) -> Table:
    """Return a table with one row per measure and change of weights or representations."""
    rows = [
        (row.changed, row.measure, _estimate(row.rho), str(row.n_runs))
        for row in summary.correlations
    ]
    return Table(("change", "measure", "rank correlation", "runs"), tuple(rows), numeric=(3,))


def drift_table(summary: StudySummary) -> Table:
    """Return a table with one row per strategy: weight change, similarity of representations."""
    means = drift(summary)
    names = tuple(dict.fromkeys(name for values in means.values() for name in values))
    names = tuple(sorted(names, key=lambda name: name.startswith("similarity")))
    if not names:
        return Table((), ())
    rows = [
        (
            str(number),
            *strategy,
            *(_number(means.get(strategy, {}).get(name), "z.4f") for name in names),
        )
        for number, strategy in enumerate(summary.strategies, 1)
    ]
    header = ("number", *FACTORS, *names)
    return Table(header, tuple(rows), numeric=(0, *columns(names, 4)))


def drift(summary: StudySummary) -> dict[tuple[str, ...], dict[str, float]]:
    """Return the mean weight changes and CKA similarities of every strategy."""
    rows = [r for r in select(summary.table, arm="") if ": " in r.measure]
    means: dict[tuple[str, ...], dict[str, float]] = {}
    for (*strategy, measure), values in group(rows, (*FACTORS, "measure")).items():
        layers = [
            np.mean([row.value for row in layer]) for layer in group(values, ("item",)).values()
        ]
        means.setdefault(tuple(map(str, strategy)), {})[str(measure)] = float(np.mean(layers))
    return means


def transfer_table(summary: StudySummary) -> Table:
    """Return a table of accuracy on novel classes, by training arm, condition and concepts."""
    header = (
        "trained with",
        "evaluated in",
        "concepts",
        "accuracy before",
        "accuracy",
        "change",
        "p, change",
        "minus control",
        "p, control",
        "runs",
    )
    rows = [
        (
            change["arm"],
            condition(change),
            change["subset"],
            _estimate(summary.transfer_accuracy.get(("", change["subset"], change["measure"]))),
            _estimate(
                summary.transfer_accuracy[change["arm"], change["subset"], change["measure"]]
            ),
            _change(change),
            _p(change),
            *_optional(control),
            str(len(change.by_seed)),
        )
        for change, control in summary.transfer
    ]
    return Table(header, tuple(rows), numeric=columns(header[3:], 3))


def generalization_table(summary: StudySummary) -> Table:
    """Return a table of accuracy after paired questions, by strategy, condition and concepts."""
    header = (
        *FACTORS,
        "evaluated in",
        "concepts",
        "count",
        "change",
        "p, change",
        "minus no alignment",
        "p, no alignment",
        "p, corrected",
    )
    rows = [
        (
            *change.strategy,
            condition(change),
            change["subset"],
            str(change.estimate.n_groups or 1),
            _change(change),
            _p(change),
            *_optional(control),
            _number((control or change).corrected, ".3g"),
        )
        for change, control in summary.generalization
    ]
    return Table(header, tuple(rows), numeric=columns(header[5:], 5))


def failures_table(summary: StudySummary) -> Table:
    """Return a table with one row per failed run: name and cause."""
    return Table(("run", "cause"), summary.failures)


def headline(summary: StudySummary) -> Table:
    """Return a small table for a terminal: the model before, and the change of every strategy."""
    before = ("before", *(_estimate(summary.before.get(measure)) for measure in SHOWN))
    rows = [
        (", ".join(s), *(_change(summary.changes[s].get(measure)) for measure in SHOWN))
        for s in summary.strategies
    ]
    return Table(("strategy", *SHOWN), (before, *rows))


def condition(difference: PairedDifference) -> str:
    """Return the condition of an accuracy: "text" or "audio"."""
    return "text" if "text" in difference["measure"] else "audio"


def ablated(difference: PairedDifference) -> tuple[str, str, str, str]:
    """Return the factor of an ablation, its level, the baseline and the shared other levels."""
    ((factor, baseline),) = difference.baseline.items()
    others = ", ".join(difference[name] for name in FACTORS if name != factor)
    return factor, difference[factor], baseline, others


def _change(difference: PairedDifference | None) -> str:
    return "undefined" if difference is None else _signed(difference.estimate)


def _p(difference: PairedDifference | None) -> str:
    return MISSING if difference is None else _number(difference.p_value, ".3g")


def _optional(difference: PairedDifference | None) -> tuple[str, str]:
    return (MISSING, MISSING) if difference is None else (_change(difference), _p(difference))


def _estimate(estimate: Estimate | None) -> str:
    return "undefined" if estimate is None else str(without_counts(estimate))


def _signed(estimate: Estimate) -> str:
    """Format a difference with an explicit sign."""
    text = _estimate(estimate)
    return text if estimate.value is None or text.startswith("-") else f"+{text}"


def _signed_number(value: float | None) -> str:
    return _number(value, "+.3f")


def _number(value: float | None, digits: str) -> str:
    return MISSING if value is None else format(value, digits)
