"""Prompts of a concept probe whose activations are recorded."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias, overload

from audioprobe.errors import InvalidInputError, UnsupportedInputError
from audioprobe.probing.trial import ProbeQuestion, Trial, check_known
from audioprobe.probing.wordings import PromptingOptions
from audioprobe.sites import InspectedPrompt
from audioprobe.types import Prompt, Waveform

Answer: TypeAlias = Literal["none", "correct", "response"]
"""What follows a prompt: nothing, the correct option, or the model's free-text response."""

_PROMPTING = PromptingOptions()


class ProbePrompts(Sequence[InspectedPrompt]):
    """The prompts of questions or trials, in order; a sound is loaded when its prompt is used.

    Row n of a recording belongs to `trials[n]`, so that `probing.trial_data` describes the rows.
    The span "concept" is the phrase of the concept; it is missing in questions about audio that do
    not name the concept.

    Args:
        trials: questions, or questions with the answers of a model.
        sounds: functions that load a sound, keyed by `ProbeQuestion.audio`, as in
            `PreparedProbe.sounds`.
        answer: text that follows the prompt, which is the span "answer".
        prompting: texts of the options.

    Raises:
        UnsupportedInputError: for questions about a caption, whose text is not part of a question.
        InvalidInputError: if `answer` is "response" and there are questions without a response.
    """

    def __init__(
        self,
        trials: Sequence[ProbeQuestion | Trial],
        sounds: Mapping[str, Callable[[], Waveform]],
        *,
        answer: Answer = "none",
        prompting: PromptingOptions = _PROMPTING,
    ) -> None:
        check_known("answer", [answer], ("none", "correct", "response"))
        self._sounds, self._prompting = sounds, prompting
        self._items = [_question_and_answer(trial, answer) for trial in trials]
        self._last_sound: tuple[str, Waveform] | None = None

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> InspectedPrompt: ...
    @overload
    def __getitem__(self, index: slice) -> list[InspectedPrompt]: ...
    def __getitem__(self, index: int | slice) -> InspectedPrompt | list[InspectedPrompt]:
        if isinstance(index, slice):
            return [self[n] for n in range(*index.indices(len(self)))]
        question, continuation = self._items[index]
        waveform = self._load(question.audio) if question.audio else None
        name = "|".join((question.pair.concept, question.pair.target, question.condition))
        correct, options = question.correct, self._prompting.continuations(question.options)
        return InspectedPrompt(
            Prompt(question.text, waveform),
            continuation,
            question.pair.phrase,
            name,
            (options[correct], *options[:correct], *options[correct + 1 :]),
        )

    def _load(self, audio: str) -> Waveform:
        """Return the sound with this key; the last one is cached."""
        if self._last_sound is None or self._last_sound[0] != audio:
            self._last_sound = audio, self._sounds[audio]()
        return self._last_sound[1]


def _question_and_answer(trial: ProbeQuestion | Trial, answer: Answer) -> tuple[ProbeQuestion, str]:
    """Return a question, and the text that follows its prompt."""
    question = trial.question if isinstance(trial, Trial) else trial
    if question.condition == "caption":
        raise UnsupportedInputError(
            'Expected questions without a caption, got the condition "caption". Remove these '
            "questions; activations of a caption depend on the model that wrote it."
        )
    if answer == "response":
        response = trial.response if isinstance(trial, Trial) else None
        if response is None:
            raise InvalidInputError(
                'Expected a response to every question for answer="response", got '
                f"{question.text!r:.60} without one. Remove it, or choose another answer."
            )
        return question, response
    return question, question.options[question.correct] if answer == "correct" else ""
