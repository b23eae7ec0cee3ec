"""One question with its answer, read in up to four ways."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.choices import most_likely_option
from audioprobe.probing.answers.judging import JudgedAnswer
from audioprobe.probing.questions import ProbeQuestion

AnswerReading: TypeAlias = Literal["text", "likelihood", "calibrated", "judge"]
READINGS: tuple[AnswerReading, ...] = get_args(AnswerReading)


@dataclass(frozen=True, slots=True)
class Trial:
    """A question and what a model made of it.

    Attributes:
        question: what was asked.
        said: the free answer; None where none was asked for, or it failed.
        read: position of the option that it names; None where it cannot be read.
        likelihoods: log-probability of each option, in nats; () where none was asked for.
        prior: the same without any sound; () where the question has no sound to leave out.
        failure: why there is no answer; "" where there is one.
        judged: what a judge made of the free answer; None where none was asked.
    """

    question: ProbeQuestion
    said: str | None = None
    read: int | None = None
    likelihoods: tuple[float, ...] = ()
    prior: tuple[float, ...] = ()
    failure: str = ""
    judged: JudgedAnswer | None = None

    @property
    def probabilities(self) -> tuple[float, ...]:
        """Of each option, if it must be one of them; () without finite likelihoods."""
        if not self.likelihoods or not all(map(math.isfinite, self.likelihoods)):
            return ()
        best = max(self.likelihoods)
        weights = [math.exp(value - best) for value in self.likelihoods]
        return tuple(weight / sum(weights) for weight in weights)

    def asked(self, reading: AnswerReading) -> bool:
        """Whether there was something to read, or should have been.

        Raises:
            InvalidInputError: for an unknown reading.
        """
        if reading not in READINGS:
            raise InvalidInputError(f"Expected one of {', '.join(READINGS)}, got {reading!r}.")
        if self.failure:
            return True
        if reading == "text":
            return self.said is not None
        if reading == "judge":
            return self.judged is not None
        return bool(self.likelihoods) and (reading == "likelihood" or bool(self.prior))

    def chosen(self, reading: AnswerReading) -> int | None:
        """Position of the option that was chosen; None where it is invalid, failed, or tied.

        A log-probability that is not finite makes it invalid.

        "text" is the free answer by rules, "judge" by a judge, "likelihood" the most probable
        option, "calibrated" the one whose log-probability grows most by the sound (or shrinks
        least).
        """
        if reading == "text":
            return self.read
        if reading == "judge":
            return None if self.judged is None else self.judged.chosen
        if not self.likelihoods or (reading == "calibrated" and not self.prior):
            return None
        values = list(self.likelihoods)
        if reading == "calibrated":
            values = [value - before for value, before in zip(values, self.prior, strict=True)]
        return most_likely_option(values)

    def right(self, reading: AnswerReading) -> bool | None:
        """Whether the right option was chosen; None where none was."""
        chosen = self.chosen(reading)
        return None if chosen is None else chosen == self.question.right

    def said_yes(self, reading: AnswerReading) -> bool | None:
        """Whether "yes" was said; None for a choice, or where nothing was."""
        chosen = self.chosen(reading)
        return None if chosen is None or self.question.form == "choice" else chosen == 0


def failures_of(trials: Sequence[Trial]) -> dict[str, int]:
    """Causes of trials without an answer, and how many each has."""
    return Counter(trial.failure for trial in trials if trial.failure)
