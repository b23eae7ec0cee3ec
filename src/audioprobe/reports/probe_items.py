"""Items of the report page of a probe: findings, forest plots, and the modality gap."""

from collections.abc import Sequence

from audioprobe.io.text_table import Table
from audioprobe.plots.forest_plot import ForestRow
from audioprobe.probing.modality_gap import ModalityGap
from audioprobe.probing.results import ProbeOutcome
from audioprobe.probing.scores import HEADER, without_counts
from audioprobe.probing.trial import CONTROLS, Condition, count_failures
from audioprobe.reports.estimate_charts import forest
from audioprobe.reports.html import DataGrid, Item
from audioprobe.types import Estimate

_ALPHA = 0.05


def interval_row(name: str, estimate: Estimate, condition: object) -> ForestRow:
    """Return a row of a forest plot; it is drawn as a diamond if `condition` is a control."""
    return ForestRow(name, without_counts(estimate), condition in CONTROLS)


def score_table(names: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> Table:
    """Return a table of scores.

    Args:
        names: names of the first columns; the columns of `Score.cells` follow.
        rows: values of all columns, row by row.
    """
    n = len(names)
    return Table((*names, *HEADER), rows, tuple(range(n, n + len(HEADER))))


def diagnosis_sentence(outcome: ProbeOutcome, name: str) -> str:
    """Return a sentence with the diagnosis and the accuracies in text and about audio."""
    parts = [f"{name}: {outcome.diagnosis().name}."]
    for condition, words in (("text", "in text"), ("audio", "with audio")):
        value = outcome.score(condition=condition, form="yes-no").accuracy
        if value.value is not None:
            parts.append(f"Accuracy {words}: {without_counts(value)}.")
    return " ".join(parts)


def gap_sentence(gap: ModalityGap, name: str = "") -> str:
    """Return a sentence with a difference between conditions and its test; "" if undefined."""
    test = gap.permutation
    if gap.difference.value is None or test is None or test.p_value is None:
        return ""
    result = "significant" if test.p_value < _ALPHA else "not significant"
    smallest = test.smallest_p_value
    limit = (
        f"; with this number of concepts no p below {smallest:.2g} is possible"
        if smallest is not None and smallest > _ALPHA
        else ""
    )
    return (
        f"{f'{name}: ' if name else ''}accuracy under “{gap.first}” minus accuracy under "
        f"“{gap.second}”, same questions: {without_counts(gap.difference)}, p = "
        f"{test.p_value:.3g} (sign flips by concept), {result}{limit}."
    )


def counts_sentence(outcomes: Sequence[ProbeOutcome]) -> str:
    """Return a sentence with the numbers of questions, invalid answers and failures."""
    n_trials = sum(len(outcome.trials) for outcome in outcomes)
    n_failed = sum(sum(count_failures(outcome.trials).values()) for outcome in outcomes)
    n_invalid = sum(t.choice(o.reading) is None for o in outcomes for t in o.trials) - n_failed
    n_calls = sum(sum(outcome.n_calls.values()) for outcome in outcomes)
    return (
        f"{n_trials} questions were asked with {n_calls} prompts; {n_invalid} answers are invalid "
        f"and {n_failed} failed."
    )


def gap_items(outcome: ProbeOutcome) -> list[Item]:
    """Return a chart and tables of the modality gap, and of audio minus wrong clip or caption.

    Return [] if no two conditions can be compared.
    """
    conditions = outcome.conditions
    gaps = [outcome.modality_gap(first="text", second=c) for c in conditions if c != "text"]
    if "audio" in conditions:
        compared: tuple[Condition, ...] = ("wrong clip", "caption")
        gaps += [outcome.modality_gap(first="audio", second=c) for c in conditions if c in compared]
    gaps = [gap for gap in gaps if gap.mcnemar is not None]
    if not gaps:
        return []
    caption = (
        "Accuracy under the first condition minus accuracy under the second, same questions. "
        "Diamonds: the second condition is a control."
    )
    rows = [interval_row(f"{g.first} minus {g.second}", g.difference, g.second) for g in gaps]
    items: list[Item] = [forest(rows, "difference of accuracy", caption)]
    items.append(DataGrid("Parts of the differences, and tests", _gap_table(gaps)))
    by_recognition = outcome.table("relation", "recognised", condition="audio", form="yes-no")
    others = tuple(row for row in by_recognition.rows if row[0] != "identity")
    if others:
        table = score_table(("relation", "recognised"), others)
        items.append(DataGrid("Audio, by whether the concept was recognised", table))
    items += [_contingency(gap) for gap in gaps if (gap.first, gap.second) == ("text", "audio")]
    return items


def _contingency(gap: ModalityGap) -> DataGrid:
    both, first, second, neither = map(str, gap.contingency)
    header = ("answers", f"{gap.second} correct", f"{gap.second} wrong")
    rows = ((f"{gap.first} correct", both, first), (f"{gap.first} wrong", second, neither))
    return DataGrid(f"{gap.first.capitalize()} by {gap.second}", Table(header, rows, (1, 2)))


def _gap_table(gaps: Sequence[ModalityGap]) -> Table:
    header = (
        "conditions",
        "difference",
        "perception",
        "reasoning",
        "unknown",
        "p, concepts",
        "p, McNemar",
        "both correct",
        "only the first",
        "only the second",
        "neither",
        "unpaired",
    )
    rows = tuple(
        (
            f"{gap.first} minus {gap.second}",
            str(gap.difference),
            *("–" if e.n == 0 else str(e) for e in (gap.perception, gap.reasoning, gap.unknown)),
            *(
                "–" if test is None or test.p_value is None else f"{test.p_value:.3g}"
                for test in (gap.permutation, gap.mcnemar)
            ),
            *map(str, gap.contingency),
            str(gap.n_unpaired),
        )
        for gap in gaps
    )
    return Table(header, rows, tuple(range(5, len(header))))
