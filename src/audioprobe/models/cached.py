"""Language models with a cache on disk, so that an interrupted run can be resumed."""

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from audioprobe.errors import AudioProbeError, ContractError, NonFiniteError
from audioprobe.io.cache import ResponseCache, damaged_value, key_of, open_cache
from audioprobe.io.json_codec import canonical_json, from_json, to_json
from audioprobe.models.concurrency import PicklableLock
from audioprobe.parsing import parse_json
from audioprobe.protocols import LanguageModel, LikelihoodModel
from audioprobe.spending import Spending, spending_of
from audioprobe.training_data import TrainingData, training_data_of
from audioprobe.types import ComponentInfo, Decoding, InfoRepr, LogLikelihood, Prompt, Response

T = TypeVar("T")

_MAX_CACHED_AHEAD = 64  # stop reading prompts after this many consecutive cached prompts


@dataclass(frozen=True, slots=True)
class _Codec(Generic[T]):
    """Two functions that convert a result to bytes for the cache, and bytes to a result."""

    encode: Callable[[T], bytes]
    decode: Callable[[bytes], T]


class CachedModel(InfoRepr):
    """A language model with a cache; only prompts without a stored response are sent to the model.

    The cache key of a response consists of the model's `info`, the decoding settings, and the texts
    and audio of the prompt. A response is stored before it is returned, so that an interruption
    loses only requests in progress. Errors are not stored. A stored response is never replaced,
    even if the model would answer differently later.

    If the model returns likelihoods, `CachedModel(...)` creates a `CachedLikelihoodModel`.

    Args:
        model: the language model.
        cache: path of an SQLite file, or any `ResponseCache`, such as the response log of a run.

    Attributes:
        n_hits: number of prompts whose response was found in the cache.
        n_misses: number of prompts sent to the model.

    Raises:
        InvalidInputError: if the file is not a cache, is damaged, or has another schema version.
    """

    def __new__(cls, model: LanguageModel, cache: str | Path | ResponseCache) -> "CachedModel":
        """Create a `CachedLikelihoodModel` if the model returns likelihoods."""
        del cache
        has_likelihoods = isinstance(model, LikelihoodModel)
        return object.__new__(CachedLikelihoodModel if has_likelihoods else cls)

    def __init__(self, model: LanguageModel, cache: str | Path | ResponseCache) -> None:
        self._model = model
        self._cache = open_cache(cache)
        self._lock = PicklableLock()
        self.n_hits = 0
        self.n_misses = 0

    @property
    def info(self) -> ComponentInfo:
        """The model's `info`; caching does not change responses."""
        return self._model.info

    @property
    def training_data(self) -> TrainingData | None:
        """Training data of the model; None if unknown."""
        return training_data_of(self._model)

    @property
    def spending(self) -> Spending | None:
        """Spending of the model; None if it is local."""
        return spending_of(self._model)

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        """Yield one response per prompt, in order.

        Args:
            prompts: read lazily.
            decoding: decoding settings; None uses the model's default. Responses for None are
                stored separately from responses for the same settings passed explicitly.

        Raises:
            InvalidInputError: if a stored response is damaged.
            ContractError: if the model does not yield exactly one response per prompt.
            AudioProbeError: if the model raises one; earlier responses are stored.
        """
        scope = f"{canonical_json(self.info)}\n{json.dumps(decoding and decoding.options)}"
        return self._stream(scope, prompts, lambda p: self._model.generate(p, decoding), _RESPONSES)

    def _stream(
        self,
        scope: str,
        prompts: Iterable[Prompt],
        ask: Callable[[Iterator[Prompt]], Iterator[T]],
        codec: _Codec[T],
    ) -> Iterator[T]:
        """Yield one value per prompt: from the cache, or else from the model.

        Args:
            scope: model and settings as text; part of each cache key.
            prompts: read lazily.
            ask: function that sends prompts to the model and yields one value per prompt.
            codec: conversion of values to bytes and back.
        """
        queue = ((key_of(scope, prompt.digest()), prompt) for prompt in prompts)
        for key, prompt in queue:
            value = self._read(key, codec)
            if value is None:
                yield from self._ask(key, prompt, queue, ask, codec)
            else:
                self._count(hits=1)
                yield value

    def _ask(
        self,
        key: bytes,
        prompt: Prompt,
        queue: Iterator[tuple[bytes, Prompt]],
        ask: Callable[[Iterator[Prompt]], Iterator[T]],
        codec: _Codec[T],
    ) -> Iterator[T]:
        """Send `prompt`, which is not in the cache, to the model; yield its value.

        The model may read further prompts from `queue` in advance, for example to fill a batch. It
        receives those without a stored value. The values of all prompts read are yielded in order.
        """
        waiting = deque([key])  # keys of prompts whose value has not been yielded, in order
        pending = {key}  # keys in `waiting` that the model has to answer

        def misses() -> Iterator[Prompt]:
            yield prompt
            n_cached = 0
            while n_cached < _MAX_CACHED_AHEAD and (item := next(queue, None)):
                waiting.append(item[0])
                if item[0] in pending or self._read(item[0], codec) is not None:
                    n_cached += 1
                else:
                    n_cached = 0
                    pending.add(item[0])
                    yield item[1]

        answers = iter(ask(misses()))
        while True:
            try:
                answer = next(answers, None)
            except AudioProbeError:
                yield from self._ready(waiting, pending, codec)
                raise
            yield from self._ready(waiting, pending, codec)
            if answer is None:
                break
            if not waiting:
                raise ContractError(
                    "The language model yielded more responses than it read prompts. Correct the "
                    "model; `audioprobe.testing` contains checks for this."
                )
            key = waiting.popleft()
            pending.discard(key)
            self._cache.write({key: codec.encode(answer)})
            self._count(misses=1)
            yield self._stored(key, codec)
        if waiting:
            raise ContractError(
                "The stream of the language model ended before each prompt had a response. Correct "
                "the model; `audioprobe.testing` contains checks for this."
            )

    def _ready(self, waiting: deque[bytes], pending: set[bytes], codec: _Codec[T]) -> Iterator[T]:
        """Yield stored values of the first prompts in `waiting`, until one needs the model.

        The keys of prompts that need the model are in `pending`.
        """
        while waiting and waiting[0] not in pending:
            self._count(hits=1)
            yield self._stored(waiting.popleft(), codec)

    def _read(self, key: bytes, codec: _Codec[T]) -> T | None:
        """Return the stored value of a key; None if the key is not in the cache."""
        content = self._cache.read([key]).get(key)
        return None if content is None else self._decode(content, codec)

    def _stored(self, key: bytes, codec: _Codec[T]) -> T:
        """Return the stored value of a key; the key must be in the cache."""
        return self._decode(self._cache.read([key])[key], codec)

    def _decode(self, content: bytes, codec: _Codec[T]) -> T:
        try:
            return codec.decode(content)
        except NonFiniteError:
            raise
        except (ValueError, TypeError, OverflowError) as error:
            raise damaged_value(self._cache.path) from error

    def _count(self, *, hits: int = 0, misses: int = 0) -> None:
        with self._lock:
            self.n_hits += hits
            self.n_misses += misses

    def __getnewargs__(self) -> tuple[LanguageModel, ResponseCache]:
        return self._model, self._cache


class CachedLikelihoodModel(CachedModel):
    """A `CachedModel` that also stores log-likelihoods, one list per prompt and continuations.

    Create it with `CachedModel(model, cache)`.
    """

    def log_likelihood(
        self, prompts: Iterable[Prompt], continuations: Sequence[str]
    ) -> Iterator[Sequence[LogLikelihood]]:
        """Yield the log-likelihoods of all continuations for each prompt, in order.

        Raises:
            InvalidInputError: if a stored value is damaged.
            NonFiniteError: if a stored log-likelihood is not finite.
            ContractError: if the model does not yield exactly one result per prompt.
            AudioProbeError: if the model raises one; earlier results are stored.
        """
        model = self._model
        assert isinstance(model, LikelihoodModel)  # noqa: S101 - ensured by __new__

        def decode(content: bytes) -> Sequence[LogLikelihood]:
            row = [LogLikelihood(*pair) for pair in parse_json(content)]
            if len(row) != len(continuations):
                raise ValueError(f"{len(row)} values for {len(continuations)} continuations")
            return row

        scope = f"{canonical_json(self.info)}\nlikelihoods {json.dumps(list(continuations))}"
        return self._stream(
            scope,
            prompts,
            lambda misses: model.log_likelihood(misses, continuations),
            _Codec(_encode_row, decode),
        )


def _encode_row(row: Sequence[LogLikelihood]) -> bytes:
    return json.dumps([[value.total, value.n_tokens] for value in row]).encode()


_RESPONSES: _Codec[Response] = _Codec(
    lambda response: to_json(response, indent=None).encode(),
    lambda content: from_json(Response, content.decode()),
)
