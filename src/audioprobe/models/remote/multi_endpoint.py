"""Concurrent requests to several endpoints (servers) of one model."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event
from typing import Self

from audioprobe.errors import InvalidInputError, RemoteError
from audioprobe.models.concurrency import PicklableLock, Workers
from audioprobe.protocols import LanguageModel
from audioprobe.registry import load
from audioprobe.spending import Spending, spending_of
from audioprobe.training_data import TrainingData, training_data_of
from audioprobe.types import ComponentInfo, Decoding, InfoRepr, Prompt, Response


class MultiEndpointModel(InfoRepr):
    """A language model that several endpoints (servers) serve.

    Each prompt goes to the endpoint with the fewest prompts in progress. If an endpoint fails, the
    prompt is sent to another one. Responses are in the order of the prompts. All endpoints must
    serve the same model: name and revision are compared, but the weights cannot be.

    Args:
        models: one model per endpoint; several threads use each model.
        concurrency: number of prompts in progress at each endpoint.

    Raises:
        InvalidInputError: if there are no models, or if their names or revisions differ.

    Example:
        ```python
        urls = ["http://one:8000/v1", "http://two:8000/v1"]
        model = MultiEndpointModel.from_urls("openai-chat:qwen2-audio", urls)
        ```
    """

    def __init__(self, models: Sequence[LanguageModel], *, concurrency: int = 4) -> None:
        if not models or concurrency < 1:
            raise InvalidInputError(
                "MultiEndpointModel needs models and concurrency >= 1, got "
                f"{len(models)} and {concurrency}."
            )
        names = {(model.info.name, model.info.revision) for model in models}
        if len(names) > 1:
            raise InvalidInputError(
                "The endpoints of a MultiEndpointModel must serve one model, got "
                f"the names and revisions {sorted(names)}."
            )
        self._models = tuple(models)
        self._workers = Workers(len(models) * concurrency)
        self._lock = PicklableLock()
        self._n_in_progress = [0] * len(models)

    @classmethod
    def from_urls(
        cls, model: str, addresses: Sequence[str], *, concurrency: int = 4, **options: object
    ) -> Self:
        """Create one model per endpoint address.

        Args:
            model: "NAME:ARGUMENT" of a remote model, as `audioprobe backends` lists it.
            addresses: base URL of each endpoint.
            concurrency: number of prompts in progress at each endpoint.
            options: options of every model. Limits such as `max_usd` apply to each endpoint
                separately.
        """
        models = [load("language_model", model, base_url=url, **options) for url in addresses]
        return cls(models, concurrency=concurrency)

    @property
    def info(self) -> ComponentInfo:
        """The `info` of the first endpoint's model; all endpoints serve the same model."""
        return self._models[0].info

    @property
    def training_data(self) -> TrainingData | None:
        """Training data of the first endpoint's model; None if unknown."""
        return training_data_of(self._models[0])

    @property
    def spending(self) -> Spending | None:
        """Sum of the spending of all endpoints."""
        return spending_of(*self._models)

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        """Yield one response per prompt, in order.

        Args:
            prompts: read lazily; up to twice the total concurrency is read in advance.
            decoding: decoding settings; None uses the default of the endpoints' models.

        Raises:
            RemoteError: if all endpoints failed for a prompt; the error of the last endpoint.
            AudioProbeError: if a model raises another error.
        """

        def respond(prompt: Prompt, stop: Event) -> Response:
            del stop
            failed: set[int] = set()
            while True:
                with self._endpoint(failed) as index:
                    try:
                        (response,) = self._models[index].generate([prompt], decoding)
                    except RemoteError:
                        failed.add(index)
                        if len(failed) == len(self._models):
                            raise
                    else:
                        return response

        return self._workers.map(prompts, respond, lambda p: (p.digest(), decoding))

    @contextmanager
    def _endpoint(self, failed: set[int]) -> Iterator[int]:
        """Reserve the endpoint with the fewest prompts in progress; yield its index.

        Endpoints in `failed` are not used.
        """
        with self._lock:
            candidates = [n for n in range(len(self._models)) if n not in failed]
            index = min(candidates, key=self._n_in_progress.__getitem__)
            self._n_in_progress[index] += 1
        try:
            yield index
        finally:
            with self._lock:
                self._n_in_progress[index] -= 1
