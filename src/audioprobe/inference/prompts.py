"""A stream of prompts to a model, in which each failure is its own."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from audioprobe.errors import PER_ITEM_ERRORS, ContractError, RemoteError
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress
from audioprobe.types import Prompt

_ALONE = 16  # prompts asked one by one after a failure, before a batch is tried again

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class PromptFailure:
    """No answer.

    Attributes:
        why: the cause.
    """

    why: str


PromptFactory: TypeAlias = Callable[[], Prompt | PromptFailure]
Ask: TypeAlias = Callable[[Iterable[Prompt]], Iterator[Answer]]


def map_prompts(
    ask: Ask[Answer],
    makers: Sequence[PromptFactory],
    progress: ProgressCallback = ignore_progress,
    *,
    stage: str,
) -> list[Answer | PromptFailure]:
    """One answer or failure per prompt, in order.

    Args:
        ask: a stream of prompts to a stream of answers, one each, in order.
        makers: of the prompts, called as they are needed, again after a failure of a batch.
        progress: called after each answer.
        stage: name of the operation in progress events.

    Raises:
        ContractError: if there are more or fewer answers than prompts.
        AudioProbeError: for what no single prompt is the cause of.
    """
    asking = _PromptStream(ask, makers, progress, stage)
    while len(asking.found) < len(makers):
        asking.go_on()
    return asking.found


class _PromptStream(Generic[Answer]):
    def __init__(
        self,
        ask: Ask[Answer],
        makers: Sequence[PromptFactory],
        progress: ProgressCallback,
        stage: str,
    ) -> None:
        self._ask, self._makers = ask, makers
        self._progress, self._stage = progress, stage
        self.found: list[Answer | PromptFailure] = []
        self._n_given = self._n_failed = self._alone = 0

    def go_on(self) -> None:
        """As far as it goes without a failure, or by one prompt."""
        prompt = self._makers[len(self.found)]()
        if isinstance(prompt, PromptFailure):
            self._keep(prompt)
        elif self._alone:
            self._alone -= 1
            self._keep(self._single(prompt))
        else:
            self._batch()

    def _batch(self) -> None:
        n_before, self._n_given = len(self.found), 0
        try:
            for answer in self._ask(self._prompts()):
                self._keep(answer)
        except PER_ITEM_ERRORS as error:
            _refuse_final(error)
            self._alone = _ALONE
            return
        if len(self.found) - n_before != self._n_given:
            raise ContractError(
                f"The language model answered {self._n_given} prompts with "
                f"{len(self.found) - n_before} answers."
            )

    def _prompts(self) -> Iterator[Prompt]:
        """Up to the next one that cannot be made."""
        for maker in self._makers[len(self.found) :]:
            prompt = maker()
            if isinstance(prompt, PromptFailure):
                return
            self._n_given += 1
            yield prompt

    def _single(self, prompt: Prompt) -> Answer | PromptFailure:
        try:
            answers = list(self._ask(iter([prompt])))
        except PER_ITEM_ERRORS as error:
            _refuse_final(error)
            return PromptFailure(str(error))
        if len(answers) != 1:
            raise ContractError(
                f"The language model answered one prompt with {len(answers)} answers."
            )
        return answers[0]

    def _keep(self, answer: Answer | PromptFailure) -> None:
        self.found.append(answer)
        self._n_failed += isinstance(answer, PromptFailure)
        self._progress(
            ProgressEvent(
                stage=self._stage,
                done=len(self.found),
                total=len(self._makers),
                n_failed=self._n_failed,
            )
        )


def _refuse_final(error: Exception) -> None:
    """A service that refuses the key, say, refuses everything that follows."""
    if isinstance(error, RemoteError) and error.final:
        raise error
