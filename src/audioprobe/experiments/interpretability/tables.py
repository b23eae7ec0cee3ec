"""Tables of an interpretability study: conclusions, their evidence, questions and failures."""

from collections import Counter
from collections.abc import Sequence

from audioprobe.experiments.interpretability.answers import MODALITIES, answers_table
from audioprobe.experiments.interpretability.mechanisms import conclusions
from audioprobe.experiments.interpretability.rules import Conclusion, PredictionEvidence
from audioprobe.experiments.interpretability.stages import locations
from audioprobe.experiments.interpretability.storage import InterpretabilityRecord
from audioprobe.experiments.interpretability.trials import (
    FAMILIARITY,
    MatchedTrial,
    TrialRecord,
    role_name,
)
from audioprobe.io.text_table import Table, with_rate
from audioprobe.probing.trial import count_failures

NONE = "–"


def all_tables(record: InterpretabilityRecord) -> dict[str, Table]:
    """Return all tables with rows, by title."""
    all_conclusions = conclusions(record)
    tables = {
        "Conclusions": conclusions_table(all_conclusions),
        "Evidence": evidence_table(all_conclusions),
        "Answers": answers_table(record.trials, record.config.bootstrap),
        "Trials": trials_table(record.trials),
        "Failures": failures_table(record.trials),
        **_stages(record),
    }
    return {title: table for title, table in tables.items() if table.rows}


def _stages(record: InterpretabilityRecord) -> dict[str, Table]:
    """Return the table of stages; {} if a measurement that it needs is missing."""
    located = locations(record)
    return {} if located is None else {"Stages": located.displayed()[0][0]}


def conclusions_table(all_conclusions: Sequence[Conclusion]) -> Table:
    """Return a table with one row per mechanism, and the number of predictions by outcome."""
    rows = []
    for conclusion in all_conclusions:
        counts = Counter(each.outcome for each in conclusion.evidence)
        shown = (counts[name] for name in ("agrees", "disagrees", "undecided", "not measured"))
        rows.append((conclusion.mechanism, conclusion.name, *map(str, shown)))
    header = ("mechanism", "conclusion", "agree", "disagree", "undecided", "not measured")
    return Table(header, tuple(rows), numeric=(2, 3, 4, 5))


def evidence_table(all_conclusions: Sequence[Conclusion]) -> Table:
    """Return a table with one row per prediction of a mechanism."""
    rows = tuple(
        (conclusion.mechanism, *_evidence_row(each))
        for conclusion in all_conclusions
        for each in conclusion.evidence
    )
    header = (
        "mechanism",
        "prediction",
        "necessary",
        "outcome",
        "measure",
        "value",
        "place",
        "note",
    )
    return Table(header, rows)


def _evidence_row(evidence: PredictionEvidence) -> tuple[str, ...]:
    return (
        evidence.prediction,
        "yes" if evidence.necessary else "no",
        evidence.outcome,
        evidence.source,
        NONE if evidence.estimate is None else str(evidence.estimate),
        evidence.place or NONE,
        evidence.note or NONE,
    )


def trials_table(record: TrialRecord) -> Table:
    """Return a table with the number of trials, concepts and clips per evaluation set and role."""
    groups: dict[tuple[str, str], list[MatchedTrial]] = {}
    for trial in record.trials:
        groups.setdefault((trial.evaluation_set, trial.role), []).append(trial)
    rows = []
    for (name, _), trials in groups.items():
        familiar, role = trials[0].familiar, trials[0].role
        n_recognised = sum(t.recognised is True for t in trials)
        counts = (len(trials), len({t.concept for t in trials}), len({t.clip for t in trials}))
        recognised = with_rate(n_recognised, len(trials))
        rows.append((name, FAMILIARITY[familiar], role_name(role), *map(str, counts), recognised))
    header = ("evaluation set", "recordings", "role of the relations", "trials", "concepts")
    return Table((*header, "clips", "trials with recognised concept"), tuple(rows), (3, 4, 5, 6))


def failures_table(record: TrialRecord) -> Table:
    """Return a table with the number of trials without an answer, by modality and cause."""
    rows = tuple(
        (modality, cause, str(n))
        for modality in MODALITIES
        for cause, n in count_failures([t.trial(modality) for t in record.trials]).items()
    )
    return Table(("modality", "cause", "trials"), rows, numeric=(2,))
