"""Scores as a table with a row per clip, for spreadsheets and programs."""

from collections.abc import Mapping, Sequence

from audioprobe.io.text_table import Table, columns
from audioprobe.results.scores import Caption, Failure, LabelScores


def score_sheet(
    scores: LabelScores,
    alternatives: Mapping[str, LabelScores],
    told: Mapping[str, Mapping[str, str]],
    failures: Sequence[Failure],
) -> Table:
    """One row per clip that was asked for; a failed one has its cause instead of scores.

    Args:
        scores: whose columns are named like the labels.
        alternatives: by measure; their columns have its name in brackets.
        told: what stands before the scores: columns of texts by clip, failed clips included.
        failures: clips without scores.
    """
    before = ("clip", *told)
    after = ("failed at", "cause")
    names = _names(scores.labels, alternatives, ("clip", "caption", "details", *after))
    tables = (scores, *alternatives.values())
    rows = []
    for position, clip_id in enumerate(scores.clip_ids):
        numbers = (repr(float(value)) for table in tables for value in table.values[position])
        rows.append((*_first(clip_id, told), *numbers, "", ""))
    blank = ("",) * len(names)
    rows += [(*_first(f.clip_id, told), *blank, f.stage, f.message) for f in failures]
    header = (*before, *names, *after)
    return Table(header, tuple(rows), numeric=columns(names, first=len(before)))


def caption_columns(captions: Mapping[str, Sequence[Caption]]) -> dict[str, dict[str, str]]:
    """Columns of what was said of each clip, its windows set apart by " | ".

    Args:
        captions: of each clip, by window; () for a clip that was never captioned.

    Returns:
        "caption" and, where a model told more than its answers, "details".
    """
    texts = {clip_id: _joined([c.text for c in said]) for clip_id, said in captions.items()}
    details = {clip_id: _joined([_details(c) for c in said]) for clip_id, said in captions.items()}
    return {"caption": texts} | ({"details": details} if any(details.values()) else {})


def _joined(windows: Sequence[str]) -> str:
    return " | ".join(windows) if any(windows) else ""


def _details(caption: Caption) -> str:
    return ", ".join(f"{name}: {value}" for name, value in caption.details.items())


def _first(clip_id: str, told: Mapping[str, Mapping[str, str]]) -> tuple[str, ...]:
    return (clip_id, *(texts[clip_id] for texts in told.values()))


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
