"""Every trial of a probe to browse: cards with sounds, and a row for each."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from audioprobe.io.text_table import Table
from audioprobe.probing.results import ProbeOutcome
from audioprobe.probing.trial import AnswerReading, Trial
from audioprobe.reports.audio_clips import AudioClips
from audioprobe.reports.html import ClipCard, ClipCards, DataGrid, Item
from audioprobe.types import Clip

_SHOWN = 6  # wrong answers on a card


def sound_cards(outcome: ProbeOutcome, sounds: AudioClips, clips: Mapping[str, Clip]) -> list[Item]:
    """A card for each clip that was played; none where no sound was.

    Args:
        outcome: of a probe.
        sounds: makes pictures and links.
        clips: by id, where they are at hand.
    """
    own: dict[str, list[Trial]] = {name: [] for name in outcome.clips}
    for trial in outcome.where(condition="audio"):
        own[trial.question.clip].append(trial)
    cards = tuple(
        _card(outcome, name, trials, _heard(outcome, name, clips, sounds))
        for name, trials in own.items()
    )
    return [ClipCards("Sounds, with what was said wrongly of them", cards)] if cards else []


def _heard(
    outcome: ProbeOutcome, name: str, clips: Mapping[str, Clip], sounds: AudioClips
) -> tuple[str, str]:
    """Picture and sound of a clip; "" where it was in memory and is gone."""
    place = outcome.clips[name]
    if name in clips:
        return sounds(clips[name])
    if not place.path:
        return "", ""
    return sounds(
        Clip(
            id=name, path=Path(place.path), labels=None, start=place.start, duration=place.duration
        )
    )


def _card(
    outcome: ProbeOutcome, name: str, own: Sequence[Trial], shown: tuple[str, str]
) -> ClipCard:
    reading = outcome.reading
    wrong = [t for t in own if t.is_correct(reading) is False]
    said = tuple(f"{t.question.text} {_answer(t, reading)}" for t in wrong[:_SHOWN])
    caption = outcome.captions.get(name, "")
    n_unread = sum(t.is_correct(reading) is None for t in own)
    facts = (
        ("concept", outcome.clips[name].concept),
        ("wrong answers", f"{len(wrong)} of {len(own)}, {n_unread} unread"),
    )
    return ClipCard(name, (caption, *said) if caption else said, facts, *shown)


def trial_grid(outcome: ProbeOutcome) -> DataGrid:
    """A row for each trial."""
    reading = outcome.reading
    header = (
        "concept",
        "condition",
        "clip",
        "played",
        "question",
        "right",
        "answer",
        "probability of the right one",
        "said",
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
    return DataGrid("All of them", Table(header, rows, (7,)), True, False)


def _answer(trial: Trial, reading: AnswerReading) -> str:
    chosen = trial.choice(reading)
    return "(unread)" if chosen is None else trial.question.options[chosen]


def _probability(trial: Trial) -> str:
    shares = trial.probabilities
    return f"{shares[trial.question.correct]:.3f}" if shares else "–"
