"""Samples of a fine-tuning study: captions and answers before and after fine-tuning."""

from collections.abc import Sequence

import numpy as np

from audioprobe.experiments.finetuning.design import strategy_name
from audioprobe.experiments.finetuning.storage import (
    BEFORE,
    Measurement,
    RunResult,
    StudyRecord,
)
from audioprobe.reports.samples import (
    Answer,
    Sample,
    SampleBrowser,
    sample_browser,
    scored_answer,
)


def study_browser(record: StudyRecord, complete_data: str) -> SampleBrowser:
    """Return the browser of captions and answers, with the first seed of each strategy.

    Args:
        record: results of a study.
        complete_data: where all measurements are.
    """
    finished = [run for run in record.runs if not run.failure]
    first: dict[tuple[str, ...], RunResult] = {}
    for run in finished:
        first.setdefault((*run.strategy, run.arm), run)
    runs = {BEFORE: record.before, **{_name(run): run for run in first.values()}}
    n_others = len(finished) - len(first)
    notes = ["The folder of a study contains no audio, so that clips have no player here."]
    if n_others:
        notes.append(
            f"One run (the first seed) of each strategy is shown; the other {n_others} runs are in "
            f"{complete_data}."
        )
    samples: dict[tuple[str, str], Sample] = {}
    answers: dict[tuple[str, str], dict[str, Answer]] = {}
    for name, run in runs.items():
        for each in run.measurements:
            if not each.measure.endswith((" AUC", " accuracy")):
                continue
            key = each.measure, each.item
            is_caption = each.measure.endswith(" AUC")
            labels = run.labels.get(each.measure, ())
            by_run = answers.setdefault(key, {})
            by_run[name] = _caption(each, labels) if is_caption else _yes_no(each)
            if key not in samples:
                samples[key] = _sample(each, labels, by_run)
    return sample_browser(
        list(samples.values()),
        list(runs),
        compared="run",
        labels="label or concept",
        complete_data=complete_data,
        notes=notes,
    )


def _name(run: RunResult) -> str:
    name = f"novel classes: {run.arm}" if run.arm else strategy_name(run.strategy)
    return f"{name}, seed {run.seed}"


def _sample(each: Measurement, labels: Sequence[str], answers: dict[str, Answer]) -> Sample:
    """Return the sample of a measurement; `answers` may still grow."""
    kind = each.measure.removesuffix(" accuracy")
    if not each.measure.endswith(" AUC"):
        return Sample(
            name=each.item,
            clip=each.text,
            evaluation_set=f"questions, {kind}",
            labels=(each.cluster,),
            expected="yes" if each.reference else "no",
            answers=answers,
        )
    correct = _correct_labels(each, labels)
    return Sample(
        name=each.item,
        clip=each.item,
        evaluation_set=f"captions, {each.measure.removesuffix(' AUC')}",
        labels=correct,
        expected=", ".join(correct) or "no reference label",
        answers=answers,
    )


def _caption(each: Measurement, labels: Sequence[str]) -> Answer:
    """Return a caption with the labels that match it best."""
    if not isinstance(each.value, tuple):
        return Answer(response=each.text, chosen="none", correctness="failed")
    correct = _correct_labels(each, labels)
    return scored_answer(np.array(each.value), labels, correct, response=each.text)


def _yes_no(each: Measurement) -> Answer:
    """Return an answer to a yes/no question, which is the more probable of the two."""
    if not isinstance(each.value, float):
        return Answer(chosen="none", correctness="failed", facts={"cause": each.text})
    if each.value == 0:
        return Answer(chosen="yes and no are equally probable", correctness="undecided")
    yes = each.value > 0
    return Answer(
        chosen=f"{'yes' if yes else 'no'} (log-odds of yes {each.value:+.2f})",
        correctness="right" if yes == bool(each.reference) else "wrong",
    )


def _correct_labels(each: Measurement, labels: Sequence[str]) -> tuple[str, ...]:
    if not isinstance(each.reference, tuple):
        return ()
    return tuple(label for label, value in zip(labels, each.reference, strict=True) if value)
