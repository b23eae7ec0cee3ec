"""Compare answers to the same questions: of two conditions, two models or two readings."""

from collections.abc import Sequence
from dataclasses import dataclass

from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.vectorized_metrics import cohen_kappa, mean
from audioprobe.probing.modality_gap import pair_trials
from audioprobe.probing.scores import concept_estimates
from audioprobe.probing.trial import AnswerReading, Condition, Trial
from audioprobe.types import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerAgreement:
    """Agreement of two sets of answers to the same questions, whether they are correct or not.

    All estimates are of the questions with a valid answer in both sets; their intervals resample
    concepts.

    Attributes:
        first: name of the first set, such as "audio".
        second: name of the second set, such as "caption".
        first_accuracy: share of correct answers in the first set.
        second_accuracy: share of correct answers in the second set.
        agreement: share of questions with the same answer in both sets, in [0, 1].
        kappa: Cohen's kappa of the answers, in [-1, 1]: the agreement above that of independent
            answers with the same frequencies. The categories are the texts of the options. It is
            undefined if all answers of both sets are the same.
        n_unpaired: number of answers that are invalid, or have no valid answer to the same question
            in the other set.
    """

    first: str
    second: str
    first_accuracy: Estimate
    second_accuracy: Estimate
    agreement: Estimate
    kappa: Estimate
    n_unpaired: int

    def __str__(self) -> str:
        return (
            f"{self.first} and {self.second}: agreement {self.agreement}, Cohen's kappa "
            f"{self.kappa}; accuracy {self.first_accuracy} and {self.second_accuracy}"
        )


def condition_agreement(
    trials: Sequence[Trial],
    reading: AnswerReading,
    bootstrap: Bootstrap,
    *,
    first: Condition = "audio",
    second: Condition = "caption",
) -> AnswerAgreement:
    """Compare the answers under two conditions.

    The default compares a model with its matched cascade: the same language model, which receives
    a caption in place of the audio.

    Args:
        trials: trials of both conditions.
        reading: how an answer is turned into an option.
        bootstrap: how confidence intervals are computed.
        first: the first condition; if it has one question for several clips, its answer is compared
            with each answer about a clip.
        second: the second condition.
    """
    pairs, n_unpaired = pair_trials(trials, reading, first, second)
    return _agreement(pairs, (reading, reading), bootstrap, (first, second), n_unpaired)


def reading_agreement(
    trials: Sequence[Trial],
    bootstrap: Bootstrap,
    *,
    first: AnswerReading = "free-text",
    second: AnswerReading = "likelihood",
) -> AnswerAgreement:
    """Compare two readings of the answers, such as the wording and the likelihood.

    Args:
        trials: the trials; those without the data for both readings are ignored.
        bootstrap: how confidence intervals are computed.
        first: the first reading.
        second: the second reading.
    """
    both = [t for t in trials if t.has_reading(first) and t.has_reading(second)]
    valid = [t for t in both if None not in (t.choice(first), t.choice(second))]
    pairs = [(trial, trial) for trial in valid]
    return _agreement(pairs, (first, second), bootstrap, (first, second), len(both) - len(valid))


def model_agreement(
    first: Sequence[Trial],
    second: Sequence[Trial],
    readings: tuple[AnswerReading, AnswerReading],
    bootstrap: Bootstrap,
    *,
    names: tuple[str, str] = ("first", "second"),
) -> AnswerAgreement:
    """Compare the answers of two models to the same questions, such as a model and a cascade.

    Args:
        first: trials of the first model.
        second: trials of the second model.
        readings: how the answers of each model are turned into options.
        bootstrap: how confidence intervals are computed.
        names: names of the two models.
    """
    pairs, n_unpaired = pair_models(first, second, readings)
    return _agreement(pairs, readings, bootstrap, names, n_unpaired)


def pair_models(
    first: Sequence[Trial], second: Sequence[Trial], readings: tuple[AnswerReading, AnswerReading]
) -> tuple[list[tuple[Trial, Trial]], int]:
    """Return pairs of valid answers of two models to the same question.

    The second return value is the number of answers that are invalid or have no valid partner. See
    `model_agreement` for the arguments.
    """
    counted = [
        [trial for trial in trials if trial.has_reading(reading)]
        for trials, reading in zip((first, second), readings, strict=True)
    ]
    answers = [
        {question_key(trial): trial for trial in trials if trial.choice(reading) is not None}
        for trials, reading in zip(counted, readings, strict=True)
    ]
    pairs = [(trial, answers[1][key]) for key, trial in answers[0].items() if key in answers[1]]
    return pairs, sum(map(len, counted)) - 2 * len(pairs)


def question_key(trial: Trial) -> tuple[object, ...]:
    """Return a key that is equal for the same question to different models."""
    question = trial.question
    return question.key, question.condition, question.clip, question.audio


def _agreement(
    pairs: Sequence[tuple[Trial, Trial]],
    readings: tuple[AnswerReading, AnswerReading],
    bootstrap: Bootstrap,
    names: tuple[str, str],
    n_unpaired: int,
) -> AnswerAgreement:
    answers = [[chosen_option(pair[n], readings[n]) for pair in pairs] for n in (0, 1)]
    correct = [[float(bool(pair[n].is_correct(readings[n]))) for pair in pairs] for n in (0, 1)]
    equal = [float(a == b) for a, b in zip(*answers, strict=True)]
    statistics = (*map(mean, correct), mean(equal), cohen_kappa(*answers))
    estimates = concept_estimates(statistics, [trial for _, trial in pairs], bootstrap)
    return AnswerAgreement(
        first=names[0],
        second=names[1],
        first_accuracy=estimates[0],
        second_accuracy=estimates[1],
        agreement=estimates[2],
        kappa=estimates[3],
        n_unpaired=n_unpaired,
    )


def chosen_option(trial: Trial, reading: AnswerReading) -> str | None:
    """Return the text of the chosen option, which is the same in all orders of the options.

    Return None if the answer is invalid.
    """
    choice = trial.choice(reading)
    return None if choice is None else trial.question.options[choice]
