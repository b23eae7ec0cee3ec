"""Samples of a probe: each question with the answers of all models under all conditions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from audioprobe.probing.results import ProbeOutcome
from audioprobe.probing.trial import CONDITIONS, AnswerReading, ProbeQuestion, Trial
from audioprobe.reports.audio_clips import AudioClips
from audioprobe.reports.samples import (
    Answer,
    Correctness,
    Sample,
    SampleBrowser,
    sample_browser,
)
from audioprobe.types import Clip

_ORDER = ("audio", *(condition for condition in CONDITIONS if condition != "audio"))


class NamedOutcome(NamedTuple):
    """Outcome of a probe with the names that a page shows.

    Attributes:
        outcome: the outcome.
        model: name of the model; "" if the page is about one model.
        evaluation_set: name of the evaluation set; "" if there is one.
        clips: clips by id; audio in memory can only be played if its clip is given here.
    """

    outcome: ProbeOutcome
    model: str = ""
    evaluation_set: str = ""
    clips: Mapping[str, Clip] = {}


def probe_browser(
    outcomes: Sequence[NamedOutcome], audio: AudioClips, complete_data: str
) -> SampleBrowser:
    """Return the browser of all questions, where two conditions or models can be compared.

    Args:
        outcomes: outcomes of all models and evaluation sets.
        audio: source of the spectrograms and players.
        complete_data: where the data of all trials are, such as "trials.parquet".
    """
    clips = {
        (each.evaluation_set, name): clip
        for each in outcomes
        for name in each.outcome.clips
        if (clip := _clip(each, name)) is not None
    }
    has_models = any(each.model for each in outcomes)
    samples = question_samples(outcomes)
    order = [
        f"{model}: {condition}" if model else condition
        for model in dict.fromkeys(each.model for each in outcomes)
        for condition in _ORDER
    ]
    names = {name for sample in samples for name in sample.answers}
    unordered = sorted(names - set(order))
    return sample_browser(
        samples,
        [*(name for name in order if name in names), *unordered],
        clips,
        audio,
        compared="model and condition" if has_models else "condition",
        labels="concept",
        complete_data=complete_data,
    )


def question_samples(outcomes: Sequence[NamedOutcome]) -> list[Sample]:
    """Return a sample per question and clip, with the answers of all models and conditions.

    The answer to a question without a clip (such as in text) is next to each answer to the same
    question about a clip.
    """
    samples = []
    for name in dict.fromkeys(each.evaluation_set for each in outcomes):
        of_set = [each for each in outcomes if each.evaluation_set == name]
        questions: dict[tuple[object, ...], dict[str, ProbeQuestion]] = {}
        answers: dict[tuple[object, ...], dict[str, dict[str, Answer]]] = {}
        for each in of_set:
            for trial in each.outcome.trials:
                question = trial.question
                questions.setdefault(question.key, {}).setdefault(question.clip, question)
                by_name = answers.setdefault(question.key, {}).setdefault(question.clip, {})
                by_name[_unused(_answer_name(each, question), by_name)] = _answer(each, trial)
        for key, by_clip in questions.items():
            shared = answers[key].get("", {}) if len(by_clip) > 1 else {}
            samples += [
                _sample(name, question, {**shared, **answers[key][clip]})
                for clip, question in by_clip.items()
                if clip or len(by_clip) == 1
            ]
    return samples


def _sample(name: str, question: ProbeQuestion, answers: Mapping[str, Answer]) -> Sample:
    pair = question.pair
    return Sample(
        name=question.text,
        clip=question.clip,
        evaluation_set=name,
        labels=(pair.concept,),
        expected=question.options[question.correct],
        answers=answers,
        facts={"concept": pair.concept, pair.relation: pair.target},
    )


def _answer_name(each: NamedOutcome, question: ProbeQuestion) -> str:
    return f"{each.model}: {question.condition}" if each.model else question.condition


def _unused(name: str, names: Mapping[str, object]) -> str:
    """Return the name, with a number if `names` contains it."""
    n, result = 1, name
    while result in names:
        n += 1
        result = f"{name} ({n})"
    return result


def _answer(each: NamedOutcome, trial: Trial) -> Answer:
    outcome, question = each.outcome, trial.question
    reading = outcome.reading
    choice = trial.choice(reading)
    facts = {}
    if trial.probabilities:
        probability = trial.probabilities[question.correct]
        facts["probability of the correct answer"] = f"{probability:.3f}"
    if question.condition == "caption":
        facts["caption in the prompt"] = outcome.captions.get(question.clip, "none")
    if question.audio and question.audio != question.clip:
        facts["audio played"] = question.audio
    if trial.failure:
        facts["failure"] = trial.failure
    return Answer(
        prompt=question.text,
        response=trial.response or "",
        chosen="invalid" if choice is None else f"{question.options[choice]} (by {reading})",
        correctness=_correctness(trial, reading),
        facts=facts,
    )


def _correctness(trial: Trial, reading: AnswerReading) -> Correctness:
    if trial.failure:
        return "failed"
    is_correct = trial.is_correct(reading)
    if is_correct is None:
        return "undecided"
    return "right" if is_correct else "wrong"


def _clip(each: NamedOutcome, name: str) -> Clip | None:
    """Return a clip of an outcome; None for audio in memory that is not given."""
    if name in each.clips:
        return each.clips[name]
    stored = each.outcome.clips[name]
    if not stored.path:
        return None
    return Clip(id=name, path=Path(stored.path), start=stored.start, duration=stored.duration)
