"""Items of the report page of a probe: modality gap, clips with players, and all trials.

A trial is one question with the answer of the model.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from audioprobe.io.text_table import Table
from audioprobe.plots.figures import forest, to_svg
from audioprobe.plots.forest_plot import ForestRow
from audioprobe.probing.modality_gap import ModalityGap
from audioprobe.probing.results import ProbeOutcome
from audioprobe.probing.scores import HEADER, without_counts
from audioprobe.probing.trial import CONTROLS, AnswerReading, Condition, Trial
from audioprobe.reports.audio_clips import AudioClips
from audioprobe.reports.html import ClipCard, ClipCards, DataGrid, Drawing, Item
from audioprobe.types import Clip, Estimate

_MAX_SHOWN = 6  # maximum number of wrong answers shown per clip


def forest_row(name: str, estimate: Estimate, condition: object) -> ForestRow:
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


def gap_items(outcome: ProbeOutcome) -> list[Item]:
    """Return a figure and tables of the modality gap, and of audio minus wrong clip or caption.

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
    caption = "Accuracy under the first condition minus accuracy under the second, same questions."
    rows = [forest_row(f"{g.first} minus {g.second}", g.difference, g.second) for g in gaps]
    items: list[Item] = [Drawing(to_svg(forest(rows, "difference"), caption), caption)]
    items.append(DataGrid("Numbers", _gap_table(gaps)))
    by_recognition = outcome.table("relation", "recognised", condition="audio", form="yes-no")
    others = tuple(row for row in by_recognition.rows if row[0] != "identity")
    if others:
        table = score_table(("relation", "recognised"), others)
        items.append(DataGrid("Audio, by whether the concept was recognised", table))
    items += [_contingency(gap) for gap in gaps if (gap.first, gap.second) == ("text", "audio")]
    return items


def _contingency(gap: ModalityGap) -> DataGrid:
    both, first, second, neither = map(str, gap.contingency)
    header = ("trials", f"{gap.second} correct", f"{gap.second} wrong")
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
            *map(str, (gap.difference, gap.perception, gap.reasoning, gap.unknown)),
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


def clip_cards(outcome: ProbeOutcome, sounds: AudioClips, clips: Mapping[str, Clip]) -> list[Item]:
    """Return a card (player and wrong answers) for each clip; [] if no clip was played.

    Args:
        outcome: outcome of the probe.
        sounds: source of the spectrograms and links.
        clips: clips by id; audio in memory can only be shown if its clip is given here.
    """
    trials: dict[str, list[Trial]] = {name: [] for name in outcome.clips}
    for trial in outcome.where(condition="audio"):
        trials[trial.question.clip].append(trial)
    cards = tuple(
        _card(outcome, name, group, _spectrogram_and_sound(outcome, name, clips, sounds))
        for name, group in trials.items()
    )
    return [ClipCards("Clips with wrong answers", cards)] if cards else []


def trial_grid(outcome: ProbeOutcome) -> DataGrid:
    """Return a table with one row per trial."""
    reading = outcome.reading
    header = (
        "concept",
        "condition",
        "clip",
        "audio",
        "question",
        "correct answer",
        "answer",
        "probability of the correct answer",
        "response",
    )
    rows = tuple(
        (
            trial.question.pair.concept,
            trial.question.condition,
            trial.question.clip,
            trial.question.audio,
            trial.question.text,
            trial.question.options[trial.question.correct],
            _answer(trial, reading),
            _probability(trial),
            trial.failure or trial.response or "",
        )
        for trial in outcome.trials
    )
    return DataGrid("All trials", Table(header, rows, (7,)), True, False)


def _spectrogram_and_sound(
    outcome: ProbeOutcome, name: str, clips: Mapping[str, Clip], sounds: AudioClips
) -> tuple[str, str]:
    """Return the URIs of spectrogram and audio of a clip; ("", "") if there is no audio."""
    stored = outcome.clips[name]
    if name in clips:
        return sounds(clips[name])
    if not stored.path:
        return "", ""
    clip = Clip(id=name, path=Path(stored.path), start=stored.start, duration=stored.duration)
    return sounds(clip)


def _card(
    outcome: ProbeOutcome, name: str, trials: Sequence[Trial], uris: tuple[str, str]
) -> ClipCard:
    reading = outcome.reading
    wrong = [trial for trial in trials if trial.is_correct(reading) is False]
    n_invalid = sum(trial.is_correct(reading) is None for trial in trials)
    lines = [f"{trial.question.text} {_answer(trial, reading)}" for trial in wrong[:_MAX_SHOWN]]
    if name in outcome.captions:
        lines.insert(0, outcome.captions[name])
    facts = (
        ("concept", outcome.clips[name].concept),
        ("wrong answers", f"{len(wrong)} of {len(trials)}, {n_invalid} invalid"),
    )
    return ClipCard(name, tuple(lines), facts, *uris)


def _answer(trial: Trial, reading: AnswerReading) -> str:
    choice = trial.choice(reading)
    return "(invalid)" if choice is None else trial.question.options[choice]


def _probability(trial: Trial) -> str:
    probabilities = trial.probabilities
    return f"{probabilities[trial.question.correct]:.3f}" if probabilities else "–"
