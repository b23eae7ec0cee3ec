"""Compute accuracy, yes-rate, d' and other scores of trials (questions with answers).

Trials about one concept are not independent, so confidence intervals resample concepts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from audioprobe.io.text_table import with_rate
from audioprobe.metrics.answers import blind_guesses, criterion, d_prime
from audioprobe.metrics.bootstrap import Bootstrap, Statistic
from audioprobe.metrics.vectorized_metrics import mean
from audioprobe.probing.trial import AnswerReading, ProbeQuestion, Trial
from audioprobe.types import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Scores of trials (questions with answers), each with a confidence interval.

    Attributes:
        accuracy: share of correct answers among valid answers, in [0, 1].
        strict_accuracy: share of correct answers among all trials; invalid answers and failures
            count as wrong.
        yes_rate: share of "yes" among valid answers to yes/no questions.
        d_prime: d′, how well "yes" separates true from false pairs; see `metrics.answers`.
        criterion: response bias; positive values mean a bias to "no", negative values to "yes".
        blind_accuracy: accuracy of a guesser who knows how often each class or name is correct, but
            neither reads the concept nor uses the audio; see `metrics.answers.blind_guesses`.
        n_trials: number of trials.
        n_invalid: number of answers that cannot be parsed, or whose best options tie.
        n_failed: number of trials without an answer.
    """

    accuracy: Estimate
    strict_accuracy: Estimate
    yes_rate: Estimate
    d_prime: Estimate
    criterion: Estimate
    blind_accuracy: Estimate
    n_trials: int
    n_invalid: int
    n_failed: int

    def cells(self) -> tuple[str, ...]:
        """Return the scores as table cells, in the order of `HEADER`."""
        blind = self.blind_accuracy.value
        return (
            str(self.accuracy),
            str(self.strict_accuracy),
            "–" if blind is None else f"{blind:.3f}",
            str(self.yes_rate),
            str(self.d_prime),
            str(self.criterion),
            str(self.n_trials),
            with_rate(self.n_invalid, self.n_trials),
            with_rate(self.n_failed, self.n_trials),
        )


HEADER = (
    "accuracy",
    "accuracy, invalid as wrong",
    "blind guesser",
    "yes-rate",
    "d′",
    "criterion",
    "trials",
    "invalid",
    "failed",
)
"""Column names of `Score.cells`."""

SHORT_HEADER = ("accuracy", "accuracy, invalid as wrong", "yes-rate", "invalid", "failed")
"""Columns of `Score.cells` that are shown in a terminal."""


def score(trials: Sequence[Trial], reading: AnswerReading, bootstrap: Bootstrap) -> Score:
    """Compute the scores of trials (questions with answers).

    Args:
        trials: the trials; those without the data for this reading (such as likelihoods) are
            ignored.
        reading: how an answer is turned into an option.
        bootstrap: how confidence intervals are computed; concepts are resampled.
    """
    counted = [trial for trial in trials if trial.has_reading(reading)]
    correct = [bool(trial.is_correct(reading)) for trial in counted]
    answers = [(t, yes) for t in counted if (yes := t.says_yes(reading)) is not None]
    yes_no = [trial for trial, _ in answers]
    truth, says_yes = [t.question.correct == 0 for t in yes_no], [yes for _, yes in answers]
    n_valid = sum(trial.choice(reading) is not None for trial in counted)
    n_failed = sum(bool(trial.failure) for trial in counted)
    n = len(counted)
    strict = mean([float(value) for value in correct]) if correct else None
    rate = mean([float(yes) for yes in says_yes]) if says_yes else None
    return Score(
        accuracy=accuracy(trials, reading, bootstrap),
        strict_accuracy=_estimate(strict, counted, n, bootstrap),
        yes_rate=_estimate(rate, yes_no, n, bootstrap),
        d_prime=_estimate(d_prime(truth, says_yes) if yes_no else None, yes_no, n, bootstrap),
        criterion=_estimate(criterion(truth, says_yes) if yes_no else None, yes_no, n, bootstrap),
        blind_accuracy=blind_accuracy(trials, reading, bootstrap),
        n_trials=n,
        n_invalid=n - n_valid - n_failed,
        n_failed=n_failed,
    )


def accuracy(trials: Sequence[Trial], reading: AnswerReading, bootstrap: Bootstrap) -> Estimate:
    """Compute the share of correct answers among valid answers; intervals resample concepts."""
    valid = _valid(trials, reading)
    statistic = mean([float(bool(t.is_correct(reading))) for t in valid]) if valid else None
    return _estimate(statistic, valid, sum(t.has_reading(reading) for t in trials), bootstrap)


def blind_accuracy(
    trials: Sequence[Trial], reading: AnswerReading, bootstrap: Bootstrap
) -> Estimate:
    """Compute `Score.blind_accuracy`, the accuracy of a guesser, on trials with valid answers."""
    valid = _valid(trials, reading)
    statistic = mean(guesses_of([t.question for t in valid])) if valid else None
    return _estimate(statistic, valid, sum(t.has_reading(reading) for t in trials), bootstrap)


def guesses_of(questions: Sequence[ProbeQuestion]) -> list[float]:
    """Return the probability that a guesser answers correctly, for each question.

    The guesser sees neither the concept nor the audio. It knows only how often each option is
    correct in the other questions of the same relation, form and wording. For yes/no questions, it
    knows this for each class or name separately, if there are other questions with it.
    """
    return blind_guesses(
        [_option_keys(question) for question in questions],
        [question.correct for question in questions],
        # A true pair and its matched false pair share this key.
        [(q.pair.negatives, q.pair.relation, q.pair.match) for q in questions],
    )


def concepts_of(trials: Sequence[Trial]) -> list[str]:
    """Return the id of the concept of each trial."""
    return [trial.question.pair.concept for trial in trials]


def concept_estimates(
    statistics: Sequence[Statistic],
    trials: Sequence[Trial],
    bootstrap: Bootstrap,
    n_left_out: int = 0,
) -> list[Estimate]:
    """Return the estimate of each statistic of the trials; intervals resample concepts.

    Without trials, all estimates are undefined.

    Args:
        statistics: functions of counts, shape (n_resamples, n_trials).
        trials: the trials, one per item of the statistics.
        bootstrap: how confidence intervals are computed.
        n_left_out: number of trials that were left out, which is added to `Estimate.n_undefined`.
    """
    groups = concepts_of(trials)
    estimates = [
        bootstrap.estimate(statistic, len(trials), groups=groups, unit="concepts")
        for statistic in statistics
    ]
    return [replace(e, n_undefined=e.n_undefined + n_left_out) for e in estimates]


def without_counts(estimate: Estimate) -> Estimate:
    """Return the estimate with `n_undefined` = 0, for tables with a separate column for it."""
    return replace(estimate, n_undefined=0)


def _valid(trials: Sequence[Trial], reading: AnswerReading) -> list[Trial]:
    return [t for t in trials if t.has_reading(reading) and t.choice(reading) is not None]


def _estimate(
    statistic: Statistic | None, trials: Sequence[Trial], n_counted: int, bootstrap: Bootstrap
) -> Estimate:
    n_left_out = n_counted - len(trials)
    if statistic is None:
        return Estimate(value=None, n=0, n_undefined=n_left_out, method="no such answers")
    (estimate,) = concept_estimates([statistic], trials, bootstrap, n_left_out)
    return estimate


def _option_keys(question: ProbeQuestion) -> list[list[tuple[str, ...]]]:
    """Return, for each option of a question, the keys under which its base rate is looked up.

    The most specific key comes first; see the argument `options` of `blind_guesses`.
    """
    kind = question.pair.relation, question.form, str(question.wording)
    targets = [question.pair.target] if question.form != "choice" else []
    return [
        [*((*kind, option, target) for target in targets), (*kind, option)]
        for option in question.options
    ]
