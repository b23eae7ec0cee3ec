"""A model whose answers are given: for tests, documents, and dry runs of a study."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import cast

from audioprobe.errors import ContractError, InvalidInputError
from audioprobe.types import ComponentInfo, Decoding, LogLikelihood, Option, Prompt, Response

Answer = Callable[[Prompt], Response | str]
Likelihood = Callable[[Prompt, str], LogLikelihood]


def indifferent(prompt: Prompt, continuation: str) -> LogLikelihood:
    """One nat per word, whatever the prompt: a model without an opinion."""
    del prompt
    n_words = max(1, len(continuation.split()))
    return LogLikelihood(-float(n_words), n_words)


class Scripted:
    """Answers from a function of the prompt.

    Args:
        answer: called with each prompt; or answers by question; or one answer to everything.
        likelihood: called with a prompt and a continuation; by default every word costs one nat.
        name: for the provenance of results, for a function has no hash to tell it by: two of them
            are one model to `CachedModel`, unless their names or revisions differ.
        revision: the same.
        batch_size: prompts pulled at once, as a local model does.

    Raises:
        InvalidInputError: for an empty answer to everything, what is no script, or a batch_size
            under 1.

    Example:
        ```python
        model = Scripted(lambda prompt: "a crow" if prompt.audio else "nothing")
        ```
    """

    def __init__(
        self,
        answer: Answer | Mapping[str, str] | str,
        *,
        likelihood: Likelihood = indifferent,
        name: str = "scripted",
        revision: str = "",
        batch_size: int = 1,
    ) -> None:
        if isinstance(answer, str) and not answer.strip():
            raise InvalidInputError("A scripted model needs an answer, got an empty text.")
        if batch_size < 1:
            raise InvalidInputError(f"batch_size must be at least 1, got {batch_size}.")
        self._answer, options = _read(answer)
        self._likelihood = likelihood
        self._batch_size = batch_size
        self._info = ComponentInfo("language_model", name, revision, options)
        self.n_asked = 0

    @property
    def info(self) -> ComponentInfo:
        """Name and revision, as they were given; a text, or the hash of a table, as an option."""
        return self._info

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        """Answers, in order, one per prompt; what the function raises is passed on.

        Args:
            prompts: with or without sound.
            decoding: not used: the function decides.

        Raises:
            ContractError: if the function answers with something other than text.
            InvalidInputError: for a question without an answer, where answers go by question.
        """
        del decoding
        for batch in self._batches(prompts):
            yield from [_response(self._answer(prompt)) for prompt in batch]

    def log_likelihood(
        self, prompts: Iterable[Prompt], continuations: Sequence[str]
    ) -> Iterator[Sequence[LogLikelihood]]:
        """What the function says of each continuation after each prompt.

        Raises:
            ContractError: if it says something other than a `LogLikelihood`.
        """
        for batch in self._batches(prompts):
            yield from [
                [_rated(self._likelihood(prompt, text)) for text in continuations]
                for prompt in batch
            ]

    def _batches(self, prompts: Iterable[Prompt]) -> Iterator[list[Prompt]]:
        queue = iter(prompts)
        while batch := list(islice(queue, self._batch_size)):
            self.n_asked += len(batch)
            yield batch


def _read(script: object) -> tuple[Answer, dict[str, Option]]:
    """A script as a function, and what tells it from others."""
    if isinstance(script, str):
        return (lambda _: script), {"answer": script}
    if isinstance(script, Mapping) and all(
        isinstance(t, str) for row in script.items() for t in row
    ):
        table = dict(script)
        content = json.dumps(table, sort_keys=True).encode()
        options: dict[str, Option] = {"answers": hashlib.sha256(content).hexdigest()}
        return (lambda prompt: _looked_up(table, prompt.text)), options
    if callable(script):
        return cast("Answer", script), {}
    raise InvalidInputError(
        f"A script is a function, texts by question or a text, got {script!r:.60}."
    )


def _looked_up(answers: Mapping[str, str], question: str) -> str:
    if question not in answers:
        raise InvalidInputError(
            f"The script has no answer to {question!r:.80}, only to "
            f"{', '.join(map(repr, list(answers)[:3])) or 'nothing'}."
        )
    return answers[question]


def _response(given: object) -> Response:
    if isinstance(given, str):
        return Response(given)
    if isinstance(given, Response):
        return given
    raise ContractError(
        f"The script answered with a {type(given).__name__}: expected a text or a Response."
    )


def _rated(given: object) -> LogLikelihood:
    if isinstance(given, LogLikelihood):
        return given
    raise ContractError(
        f"The script rated a continuation with a {type(given).__name__}: expected a LogLikelihood."
    )
