"""Language models with a cache on disk, so that an interrupted run can be resumed."""

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Generic, TypeVar

from audioprobe.errors import AudioProbeError, ContractError, NonFiniteError
from audioprobe.io.cache import ResponseCache, damaged_value, key_of, open_cache
from audioprobe.io.json_codec import canonical_json, from_json, to_json
from audioprobe.models.concurrency import PicklableLock
from audioprobe.protocols import LanguageModel, LikelihoodModel, training_data_of
from audioprobe.training_data import TrainingData
from audioprobe.types import ComponentInfo, Decoding, LogLikelihood, Prompt, Response

T = TypeVar("T")

_MAX_CACHED_AHEAD = 64  # stop reading prompts after this many consecutive cached prompts


@dataclass(frozen=True, slots=True)
class _Codec(Generic[T]):
    """Conversion of results to bytes for the cache, and back."""

    encode: Callable[[T], bytes]
    decode: Callable[[bytes], T]


class CachedModel:
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

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        """Yield one response per prompt, in order.

        Args:
            prompts: read lazily.
            decoding: decoding settings of the model. None, its default, has its own cache key.

        Raises:
            InvalidInputError: if a stored response is damaged.
            ContractError: if the model does not yield exactly one response per prompt.
            AudioProbeError: if the model raises one; earlier responses are stored.
        """
        scope = f"{canonical_json(self.info)}\n{json.dumps(decoding and asdict(decoding))}"
        return self._stream(scope, prompts, lambda p: self._model.generate(p, decoding), _RESPONSES)

    def _stream(
        self,
        scope: str,
        prompts: Iterable[Prompt],
        ask: Callable[[Iterator[Prompt]], Iterator[T]],
        codec: _Codec[T],
    ) -> Iterator[T]:
        """Yield a value for each prompt: the stored value, or else the value that `ask` yields."""
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
        """Yield the values of `prompt` and of all further prompts that the model reads with it.

        The model receives only prompts without a stored value. It may read some in advance.
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
        """Yield the stored values of waiting prompts, up to the first one that is pending."""
        while waiting and waiting[0] not in pending:
            self._count(hits=1)
            yield self._stored(waiting.popleft(), codec)

    def _read(self, key: bytes, codec: _Codec[T]) -> T | None:
        """Return the stored value of a key, or None if there is none."""
        content = self._cache.read([key]).get(key)
        return None if content is None else self._decode(content, codec)

    def _stored(self, key: bytes, codec: _Codec[T]) -> T:
        """Return the stored value of a key that is in the cache."""
        return self._decode(self._cache.read([key])[key], codec)

    def _decode(self, content: bytes, codec: _Codec[T]) -> T:
        try:
            return codec.decode(content)
        except NonFiniteError:
            raise
        except (ValueError, TypeError) as error:
            raise damaged_value(self._cache.path) from error

    def _count(self, *, hits: int = 0, misses: int = 0) -> None:
        with self._lock:
            self.n_hits += hits
            self.n_misses += misses

    def __getnewargs__(self) -> tuple[LanguageModel, ResponseCache]:
        return self._model, self._cache


class CachedLikelihoodModel(CachedModel):
    """A `CachedModel` that also stores log-likelihoods, by prompt and list of continuations.

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
            row = [LogLikelihood(*pair) for pair in json.loads(content)]
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
