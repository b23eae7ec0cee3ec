"""Which kind of listener is this? A name that the intervals allow, or none."""

from collections.abc import Sequence
from dataclasses import dataclass

from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.paired import sign_flips
from audioprobe.probing.modality_gap import modality_gap
from audioprobe.probing.scores import accuracy_of, blind_guesses, concepts_of
from audioprobe.probing.trial import AnswerReading, Trial
from audioprobe.types import Estimate

ALWAYS = 0.97
"""A share of "yes" above this, or below its complement, is called always."""

MOVED = 0.02
"""Answers to a question that change with the sound less often than this do not change."""


MIN_CONCEPTS = 6
"""Concepts that a diagnosis needs under each condition. A listener that guesses gets a diagnosis in
at most 5 % of the probes of so many concepts or more (`python benchmarks/guessing_listener.py`); of
fewer, no test can tell an accuracy from chance.
"""

TOO_FEW = "too few concepts"
_SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A name with its grounds.

    Attributes:
        name: of the kind of listener.
        grounds: what it rests on, in words.
    """

    name: str
    grounds: str


def diagnose(trials: Sequence[Trial], reading: AnswerReading, bootstrap: Bootstrap) -> Diagnosis:
    """Name the kind of listener, by questions of yes or no.

    "Above chance" means that the whole interval of an accuracy lies above one half, and that a test
    against the blind guesser, by sign flips of whole concepts, is significant. With fewer than
    `MIN_CONCEPTS` concepts there is no diagnosis: its name is "too few concepts".

    Args:
        trials: under the conditions text and audio, with identity among the relations.
        reading: how answers are read.
        bootstrap: how intervals are computed.
    """
    asked = [trial for trial in trials if trial.question.form == "yes-no"]
    text = [t for t in asked if t.question.condition == "text"]
    audio = [t for t in asked if t.question.condition == "audio"]
    about = [t for t in audio if t.question.pair.relation != "identity"]
    itself = [t for t in audio if t.question.pair.relation == "identity"]
    said = [one for t in (*text, *audio) if (one := t.said_yes(reading)) is not None]
    yes = sum(said) / len(said) if said else None
    parts = (text, about, itself)
    accuracies = [accuracy_of(some, reading, bootstrap) for some in parts]
    n_concepts = min((len(set(concepts_of(some))) for some in parts if some), default=0)
    moved = share_moved(audio, reading)
    change = "unknown" if moved is None else f"{moved:.0%}"
    grounds = (
        f"accuracy in text {accuracies[0]}, about the sound {accuracies[1]}, of the concept itself "
        f"{accuracies[2]}; yes-rate {'undefined' if yes is None else f'{yes:.2f}'}; answers that "
        f"change with the sound {change}"
    )
    if n_concepts < MIN_CONCEPTS:
        needed = f"{n_concepts} concepts, a diagnosis needs {MIN_CONCEPTS}"
        return Diagnosis(TOO_FEW, f"{needed}; {grounds}")
    above = [
        _above_chance(some, accuracy, reading, bootstrap)
        for some, accuracy in zip(parts, accuracies, strict=True)
    ]
    return Diagnosis(_named(yes, above, moved, _behind(asked, reading, bootstrap)), grounds)


def share_moved(trials: Sequence[Trial], reading: AnswerReading) -> float | None:
    """Share of questions that do not get the same answer for all sounds; None without such.

    Args:
        trials: of one condition; the same question is asked of clips of right and wrong concepts.
        reading: how answers are read; unread ones are left out.
    """
    answers: dict[tuple[str, tuple[str, ...]], dict[str, int]] = {}
    for trial in trials:
        chosen = trial.chosen(reading)
        if chosen is not None:
            key = trial.question.text, trial.question.options
            answers.setdefault(key, {})[trial.question.sound] = chosen
    several = [set(by_sound.values()) for by_sound in answers.values() if len(by_sound) > 1]
    return sum(len(found) > 1 for found in several) / len(several) if several else None


def _behind(trials: Sequence[Trial], reading: AnswerReading, bootstrap: Bootstrap) -> bool:
    """Whether sound lags behind words, by the whole interval."""
    difference = modality_gap(trials, reading, bootstrap).difference
    return difference.low is not None and difference.low > 0


def _named(
    yes: float | None,
    above_chance: Sequence[bool],
    moved: float | None,
    behind: bool,
) -> str:
    in_text, in_audio, identity = above_chance
    if yes is not None and not 1 - ALWAYS < yes < ALWAYS:
        return f"says {'yes' if yes > 0.5 else 'no'} whatever is asked"
    if moved is not None and moved < MOVED:
        return "deaf: no answer changes with the sound" + (", but reasons in words" * in_text)
    if in_text and in_audio and identity:
        return "hears and reasons" + (", less about sound than about words" * behind)
    if identity and not in_audio:
        return "hears but does not reason" + (" about what it hears, only in words" * in_text)
    if in_text and not identity and not in_audio:
        return "reasons but does not hear"
    return "not decided by these trials"


def _above_chance(
    trials: Sequence[Trial], accuracy: Estimate, reading: AnswerReading, bootstrap: Bootstrap
) -> bool:
    if accuracy.low is None or accuracy.low <= 0.5:
        return False
    read = [(t, right) for t in trials if (right := t.right(reading)) is not None]
    guesses = blind_guesses([trial.question for trial, _ in read])
    chance = max(0.5, sum(guesses) / len(guesses))
    test = sign_flips(
        [right - chance for _, right in read],
        groups=concepts_of([trial for trial, _ in read]),
        seed=bootstrap.seed,
    )
    gain, p_value = test.difference.value, test.p_value
    return gain is not None and gain > 0 and p_value is not None and p_value < _SIGNIFICANT
