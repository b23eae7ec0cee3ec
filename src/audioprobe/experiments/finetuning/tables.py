"""What a study of fine-tuning found, as tables."""

from audioprobe.experiments.finetuning.ablations import Ablation
from audioprobe.experiments.finetuning.cross_modal_transfer import TransferArm, TransferResult
from audioprobe.experiments.finetuning.factor_effects import FactorEffect
from audioprobe.experiments.finetuning.paired_difference import (
    MEASURES,
    UNITS,
    Measure,
    PairedDifference,
)
from audioprobe.experiments.finetuning.strategy_summary import FACTORS, StrategySummary
from audioprobe.experiments.finetuning.study_results import StudySummary
from audioprobe.io.text_table import Table, columns
from audioprobe.probing.scores import without_counts
from audioprobe.types import Estimate

NONE = "–"

_SHOWN: tuple[Measure, ...] = (
    "inside AUC",
    "loss of text",
    "accuracy in words",
    "accuracy in sound",
)


def strategies_table(found: StudySummary) -> Table:
    """A row per strategy: what it changed, measure by measure, and how its trainings ended."""
    each = [name for measure in MEASURES for name in (measure, f"{measure}, p")]
    last = ("seeds", "failed", "stopped", "on the front")
    first = ("number", *FACTORS)
    rows = tuple(_row(number, one) for number, one in enumerate(found.tried, 1))
    numbers = columns((*each, *last[:-1]), len(first))
    return Table((*first, *each, *last), rows, (0, *numbers))


def seeds_table(found: StudySummary) -> Table:
    """A row per training: what it changed by itself."""
    rows = tuple(
        (
            str(number),
            one.trained,
            one.holding,
            one.alignment,
            str(seed),
            *(_signed_digits(one.changes[measure].by_seed[place]) for measure in MEASURES),
        )
        for number, one in enumerate(found.tried, 1)
        for place, seed in enumerate(one.seeds)
    )
    header = ("number", *FACTORS, "seed", *MEASURES)
    return Table(header, rows, (0, *columns(("seed", *MEASURES), 4)))


def pairs_table(found: StudySummary) -> Table:
    """A row per measure and pair of strategies that differ in one choice."""
    header = (
        "measure",
        "factor",
        "level",
        "instead of",
        "beside",
        "difference",
        "p",
        "p, corrected",
        "each seed",
    )
    rows = tuple(
        (
            measure,
            one.factor,
            one.level,
            one.baseline,
            ", ".join(one.beside),
            _change(one.changes[measure]),
            _p(one.changes[measure].p_value),
            _p(one.corrected[measure]),
            " ".join(_signed_digits(value) for value in one.changes[measure].by_seed),
        )
        for measure in MEASURES
        for one in found.matched
        if measure in one.changes
    )
    return Table(header, rows, numeric=(6, 7))


def effects_table(found: StudySummary) -> Table:
    """A row per measure and level of a factor, compared with a level that the row names."""
    header = (
        "measure",
        "factor",
        "level",
        "compared with",
        "effect",
        "p",
        "p, corrected",
        "trainings",
    )
    rows = tuple(
        (
            measure,
            one.effect.factor,
            one.effect.level,
            one.baseline,
            _effect(one),
            _p(one.effect.p_value),
            _p(one.corrected),
            str(one.effect.n_runs),
        )
        for measure, effects in found.effects.items()
        for one in effects
    )
    return Table(header, rows, numeric=(5, 6, 7))


def links_table(found: StudySummary) -> Table:
    """A row per thing that moved and measure that changed."""
    header = ("what moved", "what changed", "rank correlation", "trainings")
    rows = tuple(
        (one.moved, one.measure, told(one.rho), str(one.n_trainings)) for one in found.links
    )
    return Table(header, rows, numeric=(3,))


def drift_table(found: StudySummary) -> Table:
    """A row per strategy: how far weights moved, and how alike the states of layers stayed."""
    parts = tuple(dict.fromkeys(part for one in found.tried for part in one.drift))
    kinds = tuple(dict.fromkeys(kind for one in found.tried for kind in one.similarity))
    if not parts and not kinds:
        return Table((), ())
    header = (
        "number",
        *FACTORS,
        *(f"weights: {part}" for part in parts),
        *(f"CKA of {kind}, mean of layers" for kind in kinds),
    )
    rows = tuple(
        (
            str(number),
            one.trained,
            one.holding,
            one.alignment,
            *(_digits(one.drift.get(part)) for part in parts),
            *(_digits(_mean(one.similarity.get(kind, ()))) for kind in kinds),
        )
        for number, one in enumerate(found.tried, 1)
    )
    return Table(header, rows, numeric=(0, *columns((*parts, *kinds), 4)))


def transfer_table(found: StudySummary) -> Table:
    """A row per way to teach, way to ask, and half of the concepts; none where none was taught."""
    header = (
        "taught in",
        "asked in",
        "concepts",
        "accuracy before",
        "accuracy",
        "change",
        "p, change",
        "beyond the control",
        "p, beyond",
        "trainings",
    )
    some = found.transfer
    rows = tuple(_carried(some, one) for one in some.carried) if some else ()
    return Table(header, rows, numeric=columns(header[3:], 3))


def heldout_table(found: StudySummary) -> Table:
    """A row per strategy with pairs, way to ask, and group of concepts."""
    header = (
        *FACTORS,
        "asked in",
        "concepts",
        "how many",
        "change",
        "p, change",
        "beyond no tie",
        "p, beyond",
        "p, corrected",
    )
    rows = tuple(
        (
            one.trained,
            one.holding,
            one.alignment,
            one.asked,
            one.concepts,
            str(one.n_concepts),
            _change(one.change),
            _p(one.change.p_value),
            NONE if one.beyond is None else _change(one.beyond),
            NONE if one.beyond is None else _p(one.beyond.p_value),
            _p(one.corrected),
        )
        for one in found.heldout
    )
    return Table(header, rows, numeric=columns(header[5:], 5))


def before_table(found: StudySummary) -> Table:
    """A row per measure: the model as it was."""
    rows = tuple((measure, told(found.before[measure]), UNITS[measure]) for measure in MEASURES)
    return Table(("measure", "before", "what it is"), rows)


def failures_table(found: StudySummary) -> Table:
    """A row per training that failed, with its cause."""
    return Table(("training", "why it failed"), found.failures)


def headline(found: StudySummary) -> Table:
    """What fits a terminal: the model before, and what each strategy changed."""
    before = ("before", *(told(found.before[measure]) for measure in _SHOWN))
    rows = [
        (called(one), *(_change(one.changes[measure]) for measure in _SHOWN)) for one in found.tried
    ]
    return Table(("strategy", *_SHOWN), (before, *rows))


def called(one: StrategySummary) -> str:
    """A strategy in words, which can be broken into lines."""
    return f"{one.trained}, {one.holding}, {one.alignment}"


def paired(one: Ablation) -> str:
    """What differs in words, and beside what."""
    return f"{one.level}, not {one.baseline} ({', '.join(one.beside)})"


def told(estimate: Estimate) -> str:
    """With its interval; what is left out of it is told elsewhere."""
    return str(without_counts(estimate))


def _row(number: int, one: StrategySummary) -> tuple[str, ...]:
    changes = [one.changes[measure] for measure in MEASURES]
    n_ended = len(one.seeds) - len(one.failures)
    return (
        str(number),
        one.trained,
        one.holding,
        one.alignment,
        *(cell for change in changes for cell in (_change(change), _p(change.p_value))),
        f"{n_ended} of {len(one.seeds)}",
        str(len(one.failures)),
        str(one.n_stopped),
        NONE if one.best is None else "yes" if one.best else "no",
    )


def _carried(found: TransferResult, one: TransferArm) -> tuple[str, ...]:
    return (
        one.arm,
        one.asked,
        one.half,
        told(found.before[one.asked, one.half]),
        told(one.accuracy),
        _change(one.change),
        _p(one.change.p_value),
        NONE if one.beyond is None else _change(one.beyond),
        NONE if one.beyond is None else _p(one.beyond.p_value),
        str(found.n_replicates[one.arm]),
    )


def _change(change: PairedDifference) -> str:
    return _signed(change.estimate)


def _signed(estimate: Estimate) -> str:
    """A change with its sign, so that it is not taken for a level."""
    text = told(estimate)
    return text if estimate.value is None or text.startswith("-") else f"+{text}"


def _effect(one: FactorEffect) -> str:
    estimate = one.effect.estimate
    if estimate.value is None:
        return f"undefined: {estimate.method}"
    return _signed(estimate)


def _signed_digits(value: float | None) -> str:
    return NONE if value is None else f"{value:+.3f}"


def _mean(values: tuple[float | None, ...]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _digits(value: float | None) -> str:
    return NONE if value is None else f"{value:z.4f}"


def _p(value: float | None) -> str:
    return NONE if value is None else f"{value:.3g}"
