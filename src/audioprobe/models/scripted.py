"""A language model with predefined answers, for tests, documentation and dry runs of a study."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TypeVar, cast

from audioprobe.errors import ContractError, InvalidInputError
from audioprobe.models.choices import choose
from audioprobe.types import (
    ComponentInfo,
    Decoding,
    InfoRepr,
    LogLikelihood,
    Option,
    Prompt,
    Response,
)

Answer = Callable[[Prompt], Response | str]
Likelihood = Callable[[Prompt, str], LogLikelihood]
T = TypeVar("T")


def one_nat_per_word(prompt: Prompt, continuation: str) -> LogLikelihood:
    """Return a log-likelihood of -1 nat per word of the continuation, for any prompt."""
    del prompt
    n_words = max(1, len(continuation.split()))
    return LogLikelihood(-float(n_words), n_words)


class Scripted(InfoRepr):
    """A language model whose answers are predefined or computed by a function.

    Args:
        answer: a function that receives a prompt and returns the answer; or a mapping from
            questions to answers; or one answer to all prompts.
        likelihood: function that receives a prompt and a continuation; the default returns -1 nat
            per word.
        name: name recorded with results. `CachedModel` cannot distinguish two functions, so give
            them different names or revisions.
        revision: revision recorded with results.
        batch_size: number of prompts that are read at once, to imitate a local model.

    Attributes:
        n_asked: number of prompts read so far.

    Raises:
        InvalidInputError: if an answer is empty or has another type, or batch_size is below 1.

    Example:
        ```python
        model = Scripted(lambda prompt: "a crow" if prompt.audio else "nothing")
        ```
    """

    def __init__(
        self,
        answer: Answer | Mapping[str, str] | str,
        *,
        likelihood: Likelihood = one_nat_per_word,
        name: str = "scripted",
        revision: str = "",
        batch_size: int = 1,
    ) -> None:
        if isinstance(answer, str) and not answer.strip():
            raise InvalidInputError("The answer must not be empty, got an empty text.")
        if batch_size < 1:
            raise InvalidInputError(f"batch_size must be at least 1, got {batch_size}.")
        self._answer, options = _as_function(answer)
        self._likelihood = likelihood
        self._batch_size = batch_size
        self._info = ComponentInfo("language_model", name, revision, options)
        self.n_asked = 0

    @property
    def info(self) -> ComponentInfo:
        """Name and revision; the option is a constant answer, or the hash of a mapping."""
        return self._info

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        """Yield one response per prompt, in order.

        `decoding` is ignored, except that one of its `choices`, if any, is chosen by likelihood.

        Raises:
            ContractError: if the answer function returns neither a text nor a `Response`.
            InvalidInputError: if the mapping does not contain a question.
            Exception: any error that the answer function raises.
        """
        for batch in self._batches(prompts):
            if decoding is not None and decoding.choices:
                for prompt in batch:
                    values = [self._likelihood(prompt, text).total for text in decoding.choices]
                    yield choose(values, decoding)
                continue
            answers = [self._answer(prompt) for prompt in batch]
            for answer in answers:
                yield _checked(Response(answer) if isinstance(answer, str) else answer, Response)

    def log_likelihood(
        self, prompts: Iterable[Prompt], continuations: Sequence[str]
    ) -> Iterator[Sequence[LogLikelihood]]:
        """Yield, for each prompt, the log-likelihood of each continuation.

        Raises:
            ContractError: if the likelihood function does not return a `LogLikelihood`.
        """
        for batch in self._batches(prompts):
            yield from [
                [_checked(self._likelihood(p, text), LogLikelihood) for text in continuations]
                for p in batch
            ]

    def _batches(self, prompts: Iterable[Prompt]) -> Iterator[list[Prompt]]:
        queue = iter(prompts)
        while batch := list(islice(queue, self._batch_size)):
            self.n_asked += len(batch)
            yield batch


def _as_function(answer: object) -> tuple[Answer, dict[str, Option]]:
    """Return a function from prompt to answer, and the options for `Scripted.info`."""
    if isinstance(answer, str):
        return (lambda _: answer), {"answer": answer}
    if isinstance(answer, Mapping) and all(
        isinstance(text, str) for item in answer.items() for text in item
    ):
        answers = dict(answer)
        digest = hashlib.sha256(json.dumps(answers, sort_keys=True).encode()).hexdigest()
        return (lambda prompt: _look_up(answers, prompt.text)), {"answers": digest}
    if callable(answer):
        return cast("Answer", answer), {}
    raise InvalidInputError(
        f"Expected a function, a mapping of questions to texts, or a text, got {answer!r:.60}."
    )


def _look_up(answers: Mapping[str, str], question: str) -> str:
    if question not in answers:
        raise InvalidInputError(
            f"The scripted model has no answer to {question!r:.80}, only to "
            f"{', '.join(map(repr, list(answers)[:3])) or 'nothing'}."
        )
    return answers[question]


def _checked(value: object, expected: type[T]) -> T:
    if isinstance(value, expected):
        return value
    raise ContractError(
        f"The function of a scripted model must return a {expected.__name__}, got a "
        f"{type(value).__name__}."
    )
