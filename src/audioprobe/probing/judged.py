"""Trials, whose free answers a judge has read too."""

from collections.abc import Sequence
from dataclasses import replace

from audioprobe.probing.answers.judging import FreeAnswer, judge
from audioprobe.probing.trial import Trial
from audioprobe.progress import ProgressCallback, ignore_progress
from audioprobe.protocols import LanguageModel


def with_judgements(
    trials: Sequence[Trial], model: LanguageModel, progress: ProgressCallback = ignore_progress
) -> tuple[tuple[Trial, ...], int]:
    """Let a judge read the free answers of trials; equal answers to a question are read once.

    Args:
        trials: those without a free answer stay as they are.
        model: the judge.
        progress: called after each judgement.

    Returns:
        The trials in order, and how many prompts the judge was given.

    Raises:
        AudioProbeError: for what no single answer is the cause of, such as missing weights.
    """
    answers = {
        n: FreeAnswer(trial.question.text, trial.said, trial.question.options)
        for n, trial in enumerate(trials)
        if trial.said is not None
    }
    n_different = len(set(answers.values()))
    found = dict(zip(answers, judge(model, list(answers.values()), progress), strict=True))
    judged = (
        replace(trial, judged=found[n]) if n in found else trial for n, trial in enumerate(trials)
    )
    return tuple(judged), n_different
