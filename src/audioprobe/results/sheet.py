"""Scores as a table with a row per clip, for spreadsheets and programs."""

from collections.abc import Mapping, Sequence

from audioprobe.results.scores import Failure, LabelScores
from audioprobe.tables import Table, columns


def score_sheet(
    scores: LabelScores,
    alternatives: Mapping[str, LabelScores],
    captions: Mapping[str, str] | None,
    failures: Sequence[Failure],
) -> Table:
    """One row per clip that was asked for; a failed one has its cause instead of scores.

    Args:
        scores: whose columns are named like the labels.
        alternatives: by measure; their columns have its name in brackets.
        captions: what was said of each clip, failed ones included; None where there are none.
        failures: clips without scores.
    """
    before = ("clip",) if captions is None else ("clip", "caption")
    after = ("failed at", "cause")
    names = _names(scores.labels, alternatives, ("clip", "caption", *after))
    tables = (scores, *alternatives.values())
    rows = []
    for position, clip_id in enumerate(scores.clip_ids):
        numbers = (repr(float(value)) for table in tables for value in table.values[position])
        rows.append((*_first(clip_id, captions), *numbers, "", ""))
    blank = ("",) * len(names)
    rows += [(*_first(f.clip_id, captions), *blank, f.stage, f.message) for f in failures]
    header = (*before, *names, *after)
    return Table(header, tuple(rows), numeric=columns(names, first=len(before)))


def _first(clip_id: str, captions: Mapping[str, str] | None) -> tuple[str, ...]:
    return (clip_id,) if captions is None else (clip_id, captions[clip_id])


def _names(
    labels: Sequence[str], alternatives: Mapping[str, LabelScores], taken: Sequence[str]
) -> list[str]:
    """Names that all differ, or programs would read one column for the other."""
    wanted = [*labels, *(f"{label} ({name})" for name in alternatives for label in labels)]
    names: list[str] = []
    seen = set(taken)
    for name in wanted:
        unique = name
        while unique in seen:
            unique = f"label {unique}"
        seen.add(unique)
        names.append(unique)
    return names
