"""Logs of other tools as trials, which the analyses of `audioprobe.probing` take."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from audioprobe.errors import InvalidInputError
from audioprobe.probing.answers import parse_choice
from audioprobe.probing.trial import AnswerReading, ConceptPair, Condition, ProbeQuestion, Trial

Tool: TypeAlias = Literal["lmms-eval", "inspect_ai", "audioprobe"]

ANOTHER_ANSWER = "(another answer)"
"""Second option of an item that was scored by another tool, if the response has no text."""

_INVALID = frozenset(("", "[]", "[invalid]"))  # what filters of responses leave if nothing matches
_OPTION = re.compile(r"^\s*\(?([A-Z])[).:]\s*(\S.*?)\s*$", re.MULTILINE)
_LETTER = re.compile(r"\(?([A-Z])(?:[).:]+(?:\s.*)?)?", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredLog:
    """The trials in one log file.

    Attributes:
        path: path of the file.
        tool: the tool that wrote it.
        model: name of the model.
        task: name of the task or evaluation set.
        trials: one trial per scored item. Items of other benchmarks have the relation "other"; the
            concept is the group of the item, the target is its id, and the first option is the
            correct answer.
        reading: how the trials are read.
        n_missing: number of items that the evaluation had but the log lacks.
    """

    path: str
    tool: Tool
    model: str
    task: str
    trials: tuple[Trial, ...]
    reading: AnswerReading = "free-text"
    n_missing: int = 0

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Conditions that occur in the trials."""
        return tuple(dict.fromkeys(trial.question.condition for trial in self.trials))


@dataclass(frozen=True, slots=True, kw_only=True)
class LogItem:
    """An item of another benchmark, as its log describes it.

    Attributes:
        id: id of the item; equal in all logs of the benchmark.
        condition: "audio", or "text" for a prompt without audio.
        text: text of the prompt; "" if the log does not contain it.
        target: the correct answer.
        choices: possible answers; () if the log does not list them.
        repetition: number of the repetition of the item, from 0.
    """

    id: str
    condition: Condition
    text: str
    target: str
    choices: tuple[str, ...] = ()
    repetition: int = 0

    def trial(self, response: str, *, is_correct: bool | None, failure: str = "") -> Trial:
        """Return the trial of this item as the other tool scored it.

        Args:
            response: response of the model. An empty response is an invalid answer.
            is_correct: whether the tool scored it as correct; None if it is invalid.
            failure: why there is no answer; "" if there is one.
        """
        other = response if response and response != self.target else ANOTHER_ANSWER
        question = self._question((self.target, other), 0)
        if failure:
            return Trial(question=question, failure=failure)
        is_valid = is_correct is not None and response.strip() not in _INVALID
        parsed = int(not is_correct) if is_valid else None
        return Trial(question=question, response=response, parsed=parsed)

    def parsed_trial(self, response: str, failure: str = "") -> Trial:
        """Return the trial of this item, with the response parsed by the rules of `probing`.

        The options are the choices, or those that the prompt lists after letters ("A. a crow"). If
        there are none, or the target is not among them, the trial has a failure.
        """
        options = self.choices or lettered_options(self.text)
        correct = _position(self.target, options)
        if correct is None:
            question = self._question((self.target, ANOTHER_ANSWER), 0)
            cause = failure or "the options with the target are not in the log"
            return Trial(question=question, failure=cause)
        question = self._question(options, correct)
        if failure:
            return Trial(question=question, failure=failure)
        return Trial(question=question, response=response, parsed=parse_choice(response, options))

    def _question(self, options: tuple[str, ...], correct: int) -> ProbeQuestion:
        return ProbeQuestion(
            pair=ConceptPair(
                concept=self.id,
                phrase="",
                relation="other",
                target=self.id,
                target_phrase="",
                holds=True,
            ),
            condition=self.condition,
            form="choice",
            wording=self.repetition,
            text=self.text,
            options=options,
            correct=correct,
        )


def lettered_options(text: str) -> tuple[str, ...]:
    """Return the options in the last list "A. ...", "B. ..." of a prompt; () if there is none."""
    options: list[str] = []
    for letter, option in _OPTION.findall(text):
        if letter == "A":
            options = []
        if letter == chr(ord("A") + len(options)):
            options.append(option)
    return tuple(options) if len(options) > 1 else ()


def binary_score(value: object, place: str, advice: str) -> bool | None:
    """Return whether a score means "correct"; None for a missing score (None or NaN).

    Args:
        value: the score: true or false, 1 or 0, "C" or "I".
        place: where the score is, for the error message.
        advice: last sentence of the error message.

    Raises:
        InvalidInputError: for any other value.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool | int | float) and value in (0, 1):
        return bool(value)
    if isinstance(value, str) and value in ("C", "I"):
        return value == "C"
    raise InvalidInputError(
        f"{place}: expected a score of 0 or 1 (incorrect or correct), received {value!r:.60}. "
        f"{advice}"
    )


def chosen_name(names: Iterable[str], name: str, place: str, what: str) -> str:
    """Return the name of the score to read: `name`, or the only one if `name` is "".

    Raises:
        InvalidInputError: if there is no such score, or several without a name.
    """
    known = tuple(dict.fromkeys(names))
    if name in known:
        return name
    if name or len(known) != 1:
        received = f"received {name!r}" if name else f"the log has {len(known)}"
        raise InvalidInputError(
            f"{place}: expected one {what} ({', '.join(known) or 'none in the log'}), {received}. "
            "Name it with --metric (argument `metric`)."
        )
    return known[0]


def _position(target: str, options: Sequence[str]) -> int | None:
    """Return the index of the option that a target names, by its text or its letter."""
    if options.count(target) == 1:
        return options.index(target)
    letter = _LETTER.fullmatch(target.strip())
    position = ord(letter[1]) - ord("A") if letter else len(options)
    return position if position < len(options) else None
