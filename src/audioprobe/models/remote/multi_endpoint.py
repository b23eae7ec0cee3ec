"""Several endpoints of one model, asked at once."""

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Self

from audioprobe.errors import InvalidInputError, RemoteError
from audioprobe.protocols import LanguageModel, training_data_of
from audioprobe.registry import load
from audioprobe.training_data import TrainingData
from audioprobe.types import ComponentInfo, Decoding, Prompt, Response


class MultiEndpointModel:
    """Hands each prompt to the endpoint that is free, and to another one where that fails.

    Answers come in order. They are those of one model as long as all endpoints serve the same one,
    which nobody but you can know.

    Args:
        models: one per endpoint, safe to be used from several threads.
        concurrency: prompts under way at each.

    Attributes:
        models: as given.

    Raises:
        InvalidInputError: without models, or if they differ in more than their address.

    Example:
        ```python
        pool = MultiEndpointModel.from_urls("openai-chat:qwen2-audio", ["http://one:8000/v1", "http://two:8000/v1"])
        ```
    """

    def __init__(self, models: Sequence[LanguageModel], *, concurrency: int = 4) -> None:
        if not models or concurrency < 1:
            raise InvalidInputError(
                f"A pool needs models and concurrency >= 1, got {len(models)} and {concurrency}."
            )
        kinds = {(model.info.name, model.info.revision) for model in models}
        if len(kinds) > 1:
            raise InvalidInputError(
                f"The endpoints of a pool serve one model, got {sorted(name for name, _ in kinds)}."
            )
        self.models = tuple(models)
        self._concurrency = concurrency

    @classmethod
    def from_urls(
        cls, model: str, addresses: Sequence[str], *, concurrency: int = 4, **options: object
    ) -> Self:
        """One model at several addresses.

        Args:
            model: "NAME:ARGUMENT" of a remote model, as `audioprobe backends` lists it.
            addresses: the base URL of each endpoint.
            concurrency: prompts under way at each.
            options: of every one; limits of requests and money hold for each endpoint by itself.

        Raises:
            AudioProbeError: as `registry.load`.
        """
        models = [load("language_model", model, base_url=url, **options) for url in addresses]
        return cls(models, concurrency=concurrency)

    @property
    def info(self) -> ComponentInfo:
        """That of the first: where an answer came from is no part of what it is."""
        return self.models[0].info

    @property
    def training_data(self) -> TrainingData | None:
        """That of the first model; None where it is not known."""
        return training_data_of(self.models[0])

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        """Answers, in order, one per prompt.

        Args:
            prompts: taken as they are needed, twice as many as can be under way.
            decoding: as for the endpoints.

        Raises:
            RemoteError: if every endpoint failed for a prompt: that of the last one.
            AudioProbeError: from an endpoint, for what no other would do better.
        """
        free = _Turns(len(self.models))
        n_threads = len(self.models) * self._concurrency
        with ThreadPoolExecutor(n_threads) as threads:
            waiting: deque[Future[Response]] = deque()
            try:
                for prompt in prompts:
                    waiting.append(threads.submit(self._ask, prompt, decoding, free))
                    if len(waiting) >= 2 * n_threads:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def _ask(self, prompt: Prompt, decoding: Decoding | None, free: "_Turns") -> Response:
        failed: set[int] = set()
        while True:
            with free.taken(failed) as number:
                try:
                    (response,) = self.models[number].generate([prompt], decoding)
                except RemoteError:
                    failed.add(number)
                    if len(failed) == len(self.models):
                        raise
                else:
                    return response


class _Turns:
    """Which endpoint has the fewest prompts under way."""

    def __init__(self, n: int) -> None:
        self._lock = threading.Lock()
        self._under_way = [0] * n

    @contextmanager
    def taken(self, without: set[int]) -> Iterator[int]:
        number = self._take(without)
        try:
            yield number
        finally:
            with self._lock:
                self._under_way[number] -= 1

    def _take(self, without: set[int]) -> int:
        with self._lock:
            left = [n for n in range(len(self._under_way)) if n not in without]
            number = min(left, key=self._under_way.__getitem__)
            self._under_way[number] += 1
            return number
