"""Which kind of listener is this? A name that the intervals allow, or none."""

from collections.abc import Sequence
from dataclasses import dataclass

from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probes.gap import gap
from audioprobe.probes.statistics import score
from audioprobe.probes.trial import ReadAs, Trial
from audioprobe.types import Estimate

ALWAYS = 0.97
"""A share of "yes" above this, or below its complement, is called always."""

MOVED = 0.02
"""Answers to a question that change with the sound less often than this do not change."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A name with its grounds.

    Attributes:
        name: of the kind of listener.
        grounds: what it rests on, in words.
    """

    name: str
    grounds: str


def verdict(trials: Sequence[Trial], reading: ReadAs, bootstrap: Bootstrap) -> Verdict:
    """Name the kind of listener, by questions of yes or no.

    "Above chance" means that the whole interval of an accuracy lies above one half.

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
    yes = score([*text, *audio], reading, bootstrap).yes_rate.value
    in_text, in_audio, identity = (
        score(some, reading, bootstrap).accuracy for some in (text, about, itself)
    )
    moved = share_moved(audio, reading)
    change = "unknown" if moved is None else f"{moved:.0%}"
    grounds = (
        f"accuracy in text {in_text}, about the sound {in_audio}, of the concept itself "
        f"{identity}; "
        f"yes-rate {'undefined' if yes is None else f'{yes:.2f}'}; answers that change with the "
        f"sound {change}"
    )
    return Verdict(
        _named(yes, (in_text, in_audio, identity), moved, _behind(asked, reading, bootstrap)),
        grounds,
    )


def share_moved(trials: Sequence[Trial], reading: ReadAs) -> float | None:
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


def _behind(trials: Sequence[Trial], reading: ReadAs, bootstrap: Bootstrap) -> bool:
    """Whether sound lags behind words, by the whole interval."""
    difference = gap(trials, reading, bootstrap).difference
    return difference.low is not None and difference.low > 0


def _named(
    yes: float | None,
    accuracies: tuple[Estimate, Estimate, Estimate],
    moved: float | None,
    behind: bool,
) -> str:
    in_text, in_audio, identity = map(_above_chance, accuracies)
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
    return "not told apart by these trials"


def _above_chance(accuracy: Estimate) -> bool:
    low = accuracy.value if accuracy.low is None else accuracy.low
    return low is not None and low > 0.5
