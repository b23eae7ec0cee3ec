"""Measure whether answers use the audio: text prior, audio reliance, windows, conflicting text.

The two axes, and the question whether a part of a clip is enough, follow "All that glitters is not
audio" (arXiv 2604.24401); questions whose text contradicts the audio follow VoxParadox (arXiv
2605.27772).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.vectorized_metrics import mean, ratio
from audioprobe.probing.modality_gap import modality_gap, pair_trials
from audioprobe.probing.scores import concept_estimates
from audioprobe.probing.trial import AnswerReading, Condition, Trial
from audioprobe.types import Estimate

WITHOUT_AUDIO: tuple[Condition, ...] = ("no audio", "silence", "noise")
"""Conditions without information about the concept, in the order of preference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioUse:
    """The two axes text prior and audio reliance, and the share of the score without audio.

    A control replaces the audio: nothing, silence or noise. Chance is the accuracy of a uniform
    guess: 1 / number of options. Intervals resample concepts.

    Attributes:
        control: the control condition; None if no control is among the trials.
        text_prior: accuracy under the control minus chance, in [-1, 1].
        audio_reliance: accuracy with the right clip minus accuracy with a wrong clip, on the same
            questions, in [-1, 1].
        share_without_audio: accuracy under the control divided by accuracy with audio, on the same
            questions. A model that guesses has a share of 1.
        share_above_chance: `text_prior` divided by accuracy with audio minus chance; undefined if
            accuracy with audio is not above chance.
        n_unpaired: number of answers that are invalid, or have no valid answer to the same question
            with audio or under the control.
    """

    control: Condition | None
    text_prior: Estimate
    audio_reliance: Estimate
    share_without_audio: Estimate
    share_above_chance: Estimate
    n_unpaired: int


def audio_use(
    trials: Sequence[Trial],
    reading: AnswerReading,
    bootstrap: Bootstrap,
    *,
    control: Condition | None = None,
) -> AudioUse:
    """Compute text prior, audio reliance and the share of the score that remains without audio.

    Args:
        trials: trials under the conditions "audio", "wrong clip" and a control; an estimate whose
            conditions are missing is undefined.
        reading: how an answer is turned into an option.
        bootstrap: how confidence intervals are computed.
        control: condition without information about the concept; None means the first of
            `WITHOUT_AUDIO` that is among the trials.
    """
    control = control or _control(trials)
    reliance = modality_gap(trials, reading, bootstrap, first="audio", second="wrong clip")
    pairs, n_unpaired = pair_trials(trials, reading, control, "audio") if control else ([], 0)
    chance = [1 / len(trial.question.options) for _, trial in pairs]
    without, with_audio = ([float(bool(p[n].is_correct(reading))) for p in pairs] for n in (0, 1))
    gain_without = [value - guess for value, guess in zip(without, chance, strict=True)]
    gain = [value - guess for value, guess in zip(with_audio, chance, strict=True)]
    statistics = (mean(gain_without), ratio(without, with_audio), ratio(gain_without, gain))
    estimates = concept_estimates(statistics, [trial for _, trial in pairs], bootstrap)
    return AudioUse(
        control=control,
        text_prior=estimates[0],
        audio_reliance=reliance.difference,
        share_without_audio=estimates[1],
        share_above_chance=estimates[2],
        n_unpaired=n_unpaired,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeClipNeed:
    """Share of items that need the whole clip, and not only a window of it.

    An item is a question about a clip. It needs the whole clip if the answer is correct with the
    whole clip, and wrong with each of its windows. Items with an invalid answer, about the clip or
    about one of its windows, are not counted. Intervals resample concepts.

    Attributes:
        of_all: share among all items.
        of_correct: share among the items that are correct with the whole clip.
        of_dependent: share among the items that are correct with the whole clip and wrong without
            audio; undefined if the questions were not asked without audio.
        chance: expected `of_all` if all answers were independent uniform guesses; None if there
            are no items.
        n_windows: number of windows per clip; 0 if there are no items.
    """

    of_all: Estimate
    of_correct: Estimate
    of_dependent: Estimate
    chance: float | None
    n_windows: int


def whole_clip_need(
    trials: Sequence[Trial], reading: AnswerReading, bootstrap: Bootstrap
) -> WholeClipNeed:
    """Compute the share of items that need the whole clip.

    Args:
        trials: trials under the conditions "audio" and "window", and optionally a control.
        reading: how an answer is turned into an option.
        bootstrap: how confidence intervals are computed.
    """
    items = _windows_by_item(trials, reading)
    complete = [
        (trial, windows)
        for trial, windows in items
        if all(each.is_correct(reading) is not None for each in (trial, *windows))
    ]
    wrong_without = _wrong_without_audio(trials, reading)
    correct = [bool(trial.is_correct(reading)) for trial, _ in complete]
    needs = [
        is_correct and not any(window.is_correct(reading) for window in windows)
        for is_correct, (_, windows) in zip(correct, complete, strict=True)
    ]
    dependent = [
        is_correct and _item(trial) in wrong_without
        for is_correct, (trial, _) in zip(correct, complete, strict=True)
    ]
    both = [a and b for a, b in zip(needs, dependent, strict=True)]
    of_all, of_correct, of_dependent = concept_estimates(
        (mean(needs), ratio(needs, correct), ratio(both, dependent)),
        [trial for trial, _ in complete],
        bootstrap,
        len(items) - len(complete),
    )
    guesses = [(1 / len(trial.question.options), len(windows)) for trial, windows in complete]
    chances = [p * (1 - p) ** n for p, n in guesses]
    return WholeClipNeed(
        of_all=of_all,
        of_correct=of_correct,
        of_dependent=of_dependent,
        chance=sum(chances) / len(chances) if chances else None,
        n_windows=max((n for _, n in guesses), default=0),
    )


def _windows_by_item(
    trials: Sequence[Trial], reading: AnswerReading
) -> list[tuple[Trial, list[Trial]]]:
    """Return each trial about a whole clip with the trials about the windows of this clip."""
    windows: dict[tuple[object, str], list[Trial]] = {}
    whole = []
    for trial in trials:
        if not trial.has_reading(reading):
            continue
        if trial.question.condition == "window":
            windows.setdefault(_item(trial), []).append(trial)
        elif trial.question.condition == "audio":
            whole.append(trial)
    return [(trial, windows[_item(trial)]) for trial in whole if _item(trial) in windows]


def _wrong_without_audio(
    trials: Sequence[Trial], reading: AnswerReading
) -> set[tuple[object, str]]:
    """Return the keys of the items that are answered wrongly without audio; see `_item`."""
    control = _control(trials)
    pairs = pair_trials(trials, reading, control, "audio")[0] if control else []
    return {_item(trial) for without, trial in pairs if not without.is_correct(reading)}


def _item(trial: Trial) -> tuple[object, str]:
    """Return the key of an item: the question, and the id of the clip that it is about."""
    return trial.question.key, trial.question.clip


def _control(trials: Sequence[Trial]) -> Condition | None:
    present = {trial.question.condition for trial in trials}
    return next((condition for condition in WITHOUT_AUDIO if condition in present), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConflictAnswers:
    """Answers to questions whose text names another source than the audio contains.

    `audio`, `text` and `neither` add up to 1. Intervals resample concepts.

    Attributes:
        audio: share of answers that are correct for the concept of the clip.
        text: share of answers that are correct for the concept that the text names.
        neither: share of answers that are neither: another option of a choice, or invalid.
        switched: share of answers that follow the text, among the questions about the same clip
            that the model answered correctly without the conflicting sentence; undefined if there
            are none.
        n_invalid: number of answers that cannot be parsed, or whose best options tie.
        n_failed: number of trials without an answer; they are not counted in the shares.
    """

    audio: Estimate
    text: Estimate
    neither: Estimate
    switched: Estimate
    n_invalid: int
    n_failed: int


def conflict_answers(
    trials: Sequence[Trial], reading: AnswerReading, bootstrap: Bootstrap
) -> ConflictAnswers:
    """Compute the shares of answers that follow the audio, the conflicting text, or neither.

    Args:
        trials: trials under the condition "conflicting text"; with those under "audio", `switched`
            is computed, too.
        reading: how an answer is turned into an option.
        bootstrap: how confidence intervals are computed.
    """
    conflicts = [
        trial
        for trial in trials
        if trial.question.condition == "conflicting text" and trial.has_reading(reading)
    ]
    answered = [trial for trial in conflicts if not trial.failure]
    follows = [
        (choice == trial.question.correct, choice == trial.question.text_option)
        for trial in answered
        for choice in [trial.choice(reading)]
    ]
    shares = [
        [float(audio) for audio, _ in follows],
        [float(text) for _, text in follows],
        [float(not audio and not text) for audio, text in follows],
    ]
    was_correct = {
        _item(trial): trial.is_correct(reading)
        for trial in trials
        if trial.question.condition == "audio"
    }
    before = [float(bool(was_correct.get(_item(trial)))) for trial in answered]
    after = [a * b for a, b in zip(before, shares[1], strict=True)]
    statistics = (*map(mean, shares), ratio(after, before))
    estimates = concept_estimates(statistics, answered, bootstrap)
    return ConflictAnswers(
        audio=estimates[0],
        text=estimates[1],
        neither=estimates[2],
        switched=estimates[3],
        n_invalid=sum(trial.choice(reading) is None for trial in answered),
        n_failed=len(conflicts) - len(answered),
    )
