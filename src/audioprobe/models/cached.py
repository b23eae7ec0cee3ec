"""Language models with a persistent cache, so that an interrupted run can be resumed."""

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Generic, TypeVar

from audioprobe.errors import AudioProbeError, ContractError, InvalidInputError, NonFiniteError
from audioprobe.io.cache import ResponseCache, damaged_value, key_of, open_cache, scope_of
from audioprobe.io.json_codec import from_json, to_json
from audioprobe.models.locks import PicklableLock
from audioprobe.protocols import LanguageModel, LikelihoodModel, training_data_of
from audioprobe.training_data import TrainingData
from audioprobe.types import ComponentInfo, Decoding, LogLikelihood, Prompt, Response

T = TypeVar("T")

_MAX_CACHED_AHEAD = 64  # cached prompts in a row that wait for the model before its stream ends


@dataclass(frozen=True, slots=True)
class _Codec(Generic[T]):
    encode: Callable[[T], bytes]
    decode: Callable[[bytes], T]


class CachedModel:
    """A language model with a cache: only prompts without a stored response reach the model.

    The key of a response is the model's `info`, the decoding, and the texts and sounds of the
    prompt. A response is stored before it is returned, so an interruption repeats at most the
    requests that were in progress. Errors are not stored. The first response to a prompt is
    returned forever, even if a service would answer differently later.

    Wrapping a `LikelihoodModel` creates a `CachedLikelihoodModel`.

    Args:
        model: the model.
        cache: the path of an SQLite file, or any `ResponseCache`, such as the response log of a
            run.

    Attributes:
        n_hits: prompts whose response was stored, so far.
        n_misses: prompts that the model was asked, so far.

    Raises:
        InvalidInputError: if the file is not a cache, is damaged, or has another schema version.
    """

    def __new__(cls, model: LanguageModel, cache: str | Path | ResponseCache) -> "CachedModel":
        """Create a `CachedLikelihoodModel` if the model has likelihoods."""
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
        """The info of the model; the cache does not change a response."""
        return self._model.info

    @property
    def training_data(self) -> TrainingData | None:
        """The training data of the model; None if unknown."""
        return training_data_of(self._model)

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        """Yield one response per prompt, in order.

        Args:
            prompts: consumed lazily.
            decoding: as for the model; None has a key of its own.

        Raises:
            InvalidInputError: if a stored response is damaged.
            ContractError: if the model yields more or fewer responses than prompts.
            AudioProbeError: from the model; finished responses stay stored.
        """
        scope = f"{scope_of(self.info)}\n{json.dumps(decoding and asdict(decoding))}"
        return self._stream(scope, prompts, lambda p: self._model.generate(p, decoding), _RESPONSES)

    def _stream(
        self,
        scope: str,
        prompts: Iterable[Prompt],
        ask: Callable[[Iterator[Prompt]], Iterator[T]],
        codec: _Codec[T],
    ) -> Iterator[T]:
        """Yield the stored value of each prompt, or the one that `ask` yields."""
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
        """Yield values from this prompt on, until the model has answered every prompt it took."""
        waiting = deque([key])  # prompts without a yielded value, in order
        pending = {key}  # those of them that the model has to answer

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
                raise ContractError("The language model answered more prompts than it was given.")
            key = waiting.popleft()
            pending.discard(key)
            self._cache.write({key: codec.encode(answer)})
            self._count(misses=1)
            yield self._stored(key, codec)
        if waiting:
            raise ContractError(
                "The language model ended before it had answered every prompt. "
                "`audioprobe.testing` checks for this."
            )

    def _ready(self, waiting: deque[bytes], pending: set[bytes], codec: _Codec[T]) -> Iterator[T]:
        """Yield the stored values of waiting prompts before the next pending one."""
        while waiting and waiting[0] not in pending:
            self._count(hits=1)
            yield self._stored(waiting.popleft(), codec)

    def _stored(self, key: bytes, codec: _Codec[T]) -> T:
        value = self._read(key, codec)
        if value is None:
            raise InvalidInputError(
                f"{self._cache.path}: a stored value has disappeared. Check that no other program "
                "changes the file."
            )
        return value

    def _read(self, key: bytes, codec: _Codec[T]) -> T | None:
        content = self._cache.read([key]).get(key)
        if content is None:
            return None
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

    Construct it as `CachedModel`.
    """

    def log_likelihood(
        self, prompts: Iterable[Prompt], continuations: Sequence[str]
    ) -> Iterator[Sequence[LogLikelihood]]:
        """Yield the log-likelihoods of all continuations, in order, for each prompt.

        Raises:
            InvalidInputError: if a stored value is damaged.
            NonFiniteError: if a stored log-likelihood is not finite.
            ContractError: if the model yields more or fewer rows than prompts.
            AudioProbeError: from the model; finished rows stay stored.
        """
        model = self._model
        assert isinstance(model, LikelihoodModel)  # noqa: S101 - as __new__ ensures

        def decode(content: bytes) -> Sequence[LogLikelihood]:
            row = [LogLikelihood(*pair) for pair in json.loads(content)]
            if len(row) != len(continuations):
                raise ValueError(f"{len(row)} values for {len(continuations)} continuations")
            return row

        scope = f"{scope_of(self.info)}\nlikelihoods {json.dumps(list(continuations))}"
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
