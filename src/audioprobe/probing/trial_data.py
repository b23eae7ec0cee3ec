"""Trials (questions with the model's answers) as a tidy table of data."""

from collections.abc import Sequence

from audioprobe.io.data_table import DataTable
from audioprobe.probing.trial import AnswerReading, Trial

_PAIR_COLUMNS = ("concept", "relation", "target", "holds", "level", "negatives", "match")
_QUESTION_COLUMNS = ("condition", "form", "wording", "order", "clip", "audio")
_OWN_COLUMNS = (
    *("question", "options", "correct", "response", "reading", "choice", "log_likelihoods"),
    *("prior_log_likelihoods", "failure"),
    *("judge_choice", "judge_prompt", "judge_response", "judge_failure"),
    *("text_option", "sampled_choices", "sampled_responses", "sampling_failures"),
)


def trial_data(trials: Sequence[Trial], reading: AnswerReading) -> DataTable:
    """Return a table with one row per trial.

    Args:
        trials: the trials.
        reading: how an answer is turned into an option, such as "likelihood"; the column `choice`
            is the index of this option. The options are joined by "|". Columns about samples are
            lists in the order of their seeds.
    """
    names = (*_PAIR_COLUMNS, *_QUESTION_COLUMNS, *_OWN_COLUMNS)
    return DataTable.from_rows(names, (_row(trial, reading) for trial in trials))


def _row(trial: Trial, reading: AnswerReading) -> tuple[object, ...]:
    question, judgement = trial.question, trial.judgement
    return (
        *(getattr(question.pair, name) for name in _PAIR_COLUMNS),
        *(getattr(question, name) for name in _QUESTION_COLUMNS),
        question.text,
        "|".join(question.options),
        question.correct,
        trial.response,
        reading,
        trial.choice(reading),
        list(trial.log_likelihoods) or None,
        list(trial.prior_log_likelihoods) or None,
        trial.failure or None,
        judgement.choice if judgement else None,
        judgement.prompt if judgement else None,
        judgement.response if judgement else None,
        (judgement.failure or None) if judgement else None,
        question.text_option,
        [sample.choice for sample in trial.samples] or None,
        [sample.response for sample in trial.samples] or None,
        [sample.failure or None for sample in trial.samples] or None,
    )
