"""What a run of concept probes found, as tables."""

from collections.abc import Sequence

from audioprobe.experiments.probing.analysis import Contrast
from audioprobe.experiments.probing.run import ProbeCell
from audioprobe.io.text_table import Table
from audioprobe.metrics.permutations import smallest_text
from audioprobe.probing.questions import Condition
from audioprobe.probing.scores import score, without_counts
from audioprobe.probing.trial import count_failures
from audioprobe.types import Estimate

NONE = "–"


def summary(cells: Sequence[ProbeCell]) -> Table:
    """A row per cell; classes and names together, the concept itself apart."""
    header = (
        "listener",
        "sounds",
        "in words",
        "in sound",
        "concept itself, in sound",
        "words minus sound",
        "p, concepts",
        "of it perception",
        "of it reasoning",
        "sound minus wrong clip",
        "kind of listener",
        "trials",
        "invalid",
        "failed",
    )
    return Table(header, tuple(map(_row, cells)), numeric=(11, 12, 13))


def headline(cells: Sequence[ProbeCell]) -> Table:
    """The same in what fits a terminal."""
    shown = ("listener", "sounds", "in words", "in sound", "words minus sound")
    return summary(cells).only(shown)


def contrasts_table(found: Sequence[Contrast]) -> Table:
    """A row per contrast."""
    header = (
        "first",
        "minus",
        "relation",
        "condition",
        "difference",
        "p, concepts",
        "p, McNemar",
    )
    rows = tuple(
        (
            c.first,
            c.second,
            c.relation,
            c.condition,
            str(c.difference),
            _p(c.p_concepts, c.smallest_p_concepts),
            _p(c.p_trials),
        )
        for c in found
    )
    return Table(header, rows, numeric=(5, 6))


def _row(cell: ProbeCell) -> tuple[str, ...]:
    outcome = cell.outcome
    gap, reliance = outcome.modality_gap(), outcome.audio_reliance()
    n_failed = sum(count_failures(outcome.trials).values())
    n_invalid = sum(t.choice(outcome.reading) is None for t in outcome.trials) - n_failed
    return (
        cell.listener,
        cell.sounds,
        _told(_accuracy(cell, "text")),
        _told(_accuracy(cell, "audio")),
        _told(outcome.score(condition="audio", relation="identity", form="yes-no").accuracy),
        _told(gap.difference),
        _p(gap.permutation.p_value, gap.permutation.smallest_p_value) if gap.permutation else NONE,
        _told(gap.perception),
        _told(gap.reasoning),
        _told(reliance.difference),
        outcome.diagnosis().name,
        str(len(outcome.trials)),
        str(n_invalid),
        str(n_failed),
    )


def _accuracy(cell: ProbeCell, condition: Condition) -> Estimate:
    """Of questions of yes or no about classes and names."""
    trials = [
        trial
        for trial in cell.outcome.where(condition=condition, form="yes-no")
        if trial.question.pair.relation != "identity"
    ]
    return score(trials, cell.outcome.reading, cell.outcome.bootstrap).accuracy


def _told(estimate: Estimate) -> str:
    return NONE if estimate.value is None else str(without_counts(estimate))


def _p(value: float | None, smallest: float | None = None) -> str:
    return NONE if value is None else f"{value:.3g}{smallest_text(smallest)}"
