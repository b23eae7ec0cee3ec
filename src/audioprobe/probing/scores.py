"""Numbers of trials: how often right, how often yes, and what a guesser would reach.

Trials of one concept are not independent, so intervals resample concepts. An answer that cannot be
read is neither right nor wrong: it is left out of accuracy, counted, and wrong in `strict`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from audioprobe.metrics.bootstrap import Bootstrap, Statistic
from audioprobe.metrics.choices import blind_guesses as guesses
from audioprobe.metrics.signal_detection import criterion, d_prime
from audioprobe.metrics.vectorized_metrics import mean
from audioprobe.probing.questions import ProbeQuestion
from audioprobe.probing.trial import AnswerReading, Trial
from audioprobe.types import Estimate


@dataclass(frozen=True, slots=True)
class Score:
    """What came of some trials.

    Attributes:
        accuracy: share of right answers among those that could be read, in [0, 1].
        strict: the same among all trials: unread and failed ones count as wrong.
        yes_rate: share of "yes" among answers to questions of yes or no; undefined without any.
        d_prime: whether yes is told from no; see `metrics.signal`.
        criterion: above 0 leans to "no", below 0 to "yes".
        blind: what a guesser reaches who knows how often each target is right, and never listens.
        n_trials: all of them.
        n_invalid: answers that could not be read, or ties.
        n_failed: trials without an answer.
    """

    accuracy: Estimate
    strict: Estimate
    yes_rate: Estimate
    d_prime: Estimate
    criterion: Estimate
    blind: Estimate
    n_trials: int
    n_invalid: int
    n_failed: int


def score(trials: Sequence[Trial], reading: AnswerReading, bootstrap: Bootstrap) -> Score:
    """All numbers of some trials.

    Args:
        trials: those that were not asked in this reading are passed over.
        reading: how answers are read.
        bootstrap: how intervals are computed.
    """
    asked = [trial for trial in trials if trial.asked(reading)]
    rights = [trial.right(reading) for trial in asked]
    read = [trial for trial, right in zip(asked, rights, strict=True) if right is not None]
    n_failed = sum(bool(trial.failure) for trial in asked)
    yes_no = [trial for trial in read if trial.said_yes(reading) is not None]
    truth = [trial.question.right == 0 for trial in yes_no]
    said = [bool(trial.said_yes(reading)) for trial in yes_no]

    def estimated(statistic: Statistic | None, some: Sequence[Trial]) -> Estimate:
        n_left_out = len(asked) - len(some)
        if statistic is None:
            return Estimate(value=None, n=0, n_undefined=n_left_out, method="no such answers")
        groups = concepts_of(some)
        found = bootstrap.estimate(statistic, len(some), groups=groups, unit="concepts")
        return replace(found, n_undefined=found.n_undefined + n_left_out)

    return Score(
        accuracy=accuracy_of(trials, reading, bootstrap),
        strict=estimated(mean([float(bool(r)) for r in rights]) if asked else None, asked),
        yes_rate=estimated(mean([float(s) for s in said]) if said else None, yes_no),
        d_prime=estimated(d_prime(truth, said) if said else None, yes_no),
        criterion=estimated(criterion(truth, said) if said else None, yes_no),
        blind=estimated(mean(blind_guesses([t.question for t in read])) if read else None, read),
        n_trials=len(asked),
        n_invalid=len(asked) - len(read) - n_failed,
        n_failed=n_failed,
    )


def accuracy_of(trials: Sequence[Trial], reading: AnswerReading, bootstrap: Bootstrap) -> Estimate:
    """Share of right answers among those that could be read; see `Score.accuracy`."""
    asked = [trial for trial in trials if trial.asked(reading)]
    read = [trial for trial in asked if trial.right(reading) is not None]
    if not read:
        return Estimate(value=None, n=0, n_undefined=len(asked), method="no such answers")
    rights = mean([float(bool(trial.right(reading))) for trial in read])
    found = bootstrap.estimate(rights, len(read), groups=concepts_of(read), unit="concepts")
    return replace(found, n_undefined=len(asked) - len(read))


def concepts_of(trials: Sequence[Trial]) -> list[str]:
    """The concept of each trial: what intervals resample."""
    return [trial.question.pair.concept for trial in trials]


def blind_guesses(questions: Sequence[ProbeQuestion]) -> list[float]:
    """How often a guesser is right at each question; see `metrics.choices.blind_guesses`.

    Base rates of "yes" are those of the target in the same form and wording, or of all targets;
    those of a choice are of each option.
    """
    return guesses(
        [_keys(question) for question in questions],
        [question.right for question in questions],
        # What a right pair and its wrong one have in common.
        [(q.pair.negatives, q.pair.relation, q.pair.match) for q in questions],
    )


def _keys(question: ProbeQuestion) -> list[list[tuple[str, ...]]]:
    """Of each option, from special to general."""
    kind = question.pair.relation, question.form, str(question.wording)
    targets = [question.pair.target] if question.form != "choice" else []
    return [
        [*((*kind, option, t) for t in targets), (*kind, option)] for option in question.options
    ]


def table_cells(found: Score) -> tuple[str, ...]:
    """The numbers of a row: see `HEADER`."""
    return (
        str(found.accuracy),
        str(found.strict),
        "–" if found.blind.value is None else f"{found.blind.value:.3f}",
        str(found.yes_rate),
        str(found.d_prime),
        str(found.criterion),
        str(found.n_trials),
        str(found.n_invalid),
        str(found.n_failed),
    )


HEADER = (
    "accuracy",
    "accuracy, unread as wrong",
    "blind guesser",
    "yes-rate",
    "d′",
    "criterion",
    "trials",
    "unread",
    "failed",
)

BRIEF = ("accuracy", "yes-rate", "unread", "failed")
"""Of them, what a terminal shows."""


def without_counts(estimate: Estimate) -> Estimate:
    """The same where what was left out is told elsewhere."""
    return replace(estimate, n_undefined=0)
