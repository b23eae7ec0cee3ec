"""A trial: a question, the model's answer, and the ways to turn the answer into an option."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.choices import most_likely_option
from audioprobe.probing.answers.judging import Judgement
from audioprobe.probing.questions import ProbeQuestion

AnswerReading: TypeAlias = Literal["free-text", "likelihood", "prior-corrected", "judge"]
"""Reading: how an answer is turned into an option.

"free-text" parses the response by rules, "judge" lets a language model classify the response,
"likelihood" takes the most probable option, and "prior-corrected" takes the option whose
log-probability rises most when the audio is added to the question.
"""
READINGS: tuple[AnswerReading, ...] = get_args(AnswerReading)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A question and the answer of a model.

    Attributes:
        question: the question.
        response: free-text response; None if none was requested, or if the request failed.
        parsed: index of the option that the response names; None if it cannot be parsed.
        log_likelihoods: log-probability of each option in nats, up to a common constant; () if
            not requested.
        prior_log_likelihoods: log-probability of each option for the question without audio; ()
            if the condition has no audio.
        failure: cause of the failure if there is no answer; "" otherwise.
        judgement: the judge's classification of the response; None if there is no judge.
    """

    question: ProbeQuestion
    response: str | None = None
    parsed: int | None = None
    log_likelihoods: tuple[float, ...] = ()
    prior_log_likelihoods: tuple[float, ...] = ()
    failure: str = ""
    judgement: Judgement | None = None

    @property
    def probabilities(self) -> tuple[float, ...]:
        """Probability of each option, normalised over the options; () if none can be computed."""
        if not self.log_likelihoods or not all(map(math.isfinite, self.log_likelihoods)):
            return ()
        best = max(self.log_likelihoods)
        weights = [math.exp(value - best) for value in self.log_likelihoods]
        return tuple(weight / sum(weights) for weight in weights)

    def has_reading(self, reading: AnswerReading) -> bool:
        """Return whether the trial counts for a reading; failed trials count for all readings.

        Raises:
            InvalidInputError: for an unknown reading.
        """
        if reading not in READINGS:
            raise InvalidInputError(f"Expected one of {', '.join(READINGS)}, got {reading!r}.")
        if self.failure:
            return True
        if reading == "free-text":
            return self.response is not None
        if reading == "judge":
            return self.judgement is not None
        has_prior = bool(self.prior_log_likelihoods)
        return bool(self.log_likelihoods) and (reading == "likelihood" or has_prior)

    def choice(self, reading: AnswerReading) -> int | None:
        """Return the index of the chosen option; None if the answer is invalid.

        An answer is invalid if the response cannot be parsed, the trial failed, the best options
        tie, or a log-probability is not finite.
        """
        if reading == "free-text":
            return self.parsed
        if reading == "judge":
            return None if self.judgement is None else self.judgement.choice
        if reading == "likelihood":
            return most_likely_option(self.log_likelihoods)
        if not self.prior_log_likelihoods:
            return None
        both = zip(self.log_likelihoods, self.prior_log_likelihoods, strict=True)
        return most_likely_option([value - prior for value, prior in both])

    def is_correct(self, reading: AnswerReading) -> bool | None:
        """Return whether the correct option was chosen; None for an invalid answer."""
        choice = self.choice(reading)
        return None if choice is None else choice == self.question.correct

    def says_yes(self, reading: AnswerReading) -> bool | None:
        """Return whether the answer is "yes"; None for an invalid answer or a choice question."""
        choice = self.choice(reading)
        return None if choice is None or self.question.form == "choice" else choice == 0


def count_failures(trials: Sequence[Trial]) -> dict[str, int]:
    """Return the number of failed trials by cause."""
    return Counter(trial.failure for trial in trials if trial.failure)
