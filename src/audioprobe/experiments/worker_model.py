"""Language model whose prompts are answered by the workers of a pool, each with its own copy.

Workers get blocks of consecutive prompts, so that a model can use its batches and the computation
that prompts about one clip share. Responses are in the order of the prompts.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, TypeAlias

from audioprobe.errors import AudioProbeError, UnsupportedInputError
from audioprobe.experiments.components import ComponentSpec
from audioprobe.experiments.job_pool import JobPool, WorkerSetup
from audioprobe.experiments.placement import Placement
from audioprobe.inference import infer_each
from audioprobe.protocols import LanguageModel, LikelihoodModel
from audioprobe.registry import load
from audioprobe.training_data import TrainingData, training_data_of
from audioprobe.types import ComponentInfo, Decoding, InfoRepr, LogLikelihood, Prompt, Response

RESPONSES_PER_BLOCK = 16
"""Prompts per block of `generate`: a batch of an LTU. Texts do not depend on it."""
LIKELIHOODS_PER_BLOCK = 64
"""Prompts per block of `log_likelihood`: the prompts whose computation an LTU shares. With other
blocks, likelihoods could differ from those of one process by rounding."""
_BLOCKS_AHEAD = 2  # blocks per worker: one in progress, one waiting

_Settings: TypeAlias = tuple[Decoding | None, tuple[str, ...] | None]  # decoding, continuations
_Place: TypeAlias = tuple[Future[list[Any]], int]  # of an answer: its block, and its position there


class LoadedModels:
    """Language models of a worker, each loaded at its first use."""

    def __init__(self) -> None:
        self._models: dict[str, LanguageModel] = {}

    def get(self, spec: ComponentSpec) -> LanguageModel:
        """Return the model with this name and these options."""
        key = repr((spec.name, sorted(spec.options.items())))
        if key not in self._models:
            self._models[key] = load("language_model", spec.name, **spec.options)
        return self._models[key]


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """What is known of a model without loading it.

    Attributes:
        info: its `info`.
        training_data: recordings that it was trained on; None if unknown.
        has_likelihoods: whether it computes likelihoods.
    """

    info: ComponentInfo
    training_data: TrainingData | None
    has_likelihoods: bool


@dataclass(frozen=True, slots=True)
class PromptBlock:
    """Consecutive prompts to a model.

    Attributes:
        model: the model.
        prompts: the prompts.
        decoding: decoding settings of `generate`; None uses the default of the model.
        continuations: arguments of `log_likelihood`; None calls `generate`.
    """

    model: ComponentSpec
    prompts: tuple[Prompt, ...]
    decoding: Decoding | None
    continuations: tuple[str, ...] | None


def describe_model(models: LoadedModels, spec: ComponentSpec) -> ModelDescription:
    """Return the description of a model, in a worker."""
    model = models.get(spec)
    has_likelihoods = isinstance(model, LikelihoodModel)
    return ModelDescription(model.info, training_data_of(model), has_likelihoods)


def answer_block(models: LoadedModels, block: PromptBlock) -> list[Any]:
    """Return the answer or the error of each prompt of a block, in a worker."""
    model = models.get(block.model)
    infer: Callable[[Iterable[Prompt]], Iterator[Any]] = partial(
        model.generate, decoding=block.decoding
    )
    if block.continuations is not None:
        if not isinstance(model, LikelihoodModel):
            raise UnsupportedInputError(
                f"Expected a model that computes likelihoods, received {model.info.name}."
            )
        infer = partial(model.log_likelihood, continuations=block.continuations)
    return [answer for _, answer in infer_each(infer, enumerate(block.prompts))]


class WorkerModel(InfoRepr):
    """A language model in the workers of a pool; create it with `worker_model`.

    Args:
        pool: pool whose context is a `LoadedModels`.
        spec: name and options of the model.
        description: description of the model.
    """

    def __init__(
        self, pool: JobPool[LoadedModels], spec: ComponentSpec, description: ModelDescription
    ) -> None:
        self._pool = pool
        self._spec = spec
        self._description = description
        self._unclaimed: dict[tuple[str, _Settings], _Place] = {}

    @property
    def info(self) -> ComponentInfo:
        """The `info` of the model in the workers."""
        return self._description.info

    @property
    def training_data(self) -> TrainingData | None:
        """Training data of the model; None if unknown."""
        return self._description.training_data

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        """Yield one response per prompt, in order.

        Args:
            prompts: read lazily, up to two blocks per worker in advance.
            decoding: decoding settings; None uses the default of the model.

        Raises:
            AudioProbeError: the error of the model at this prompt, or a `WorkerError`.
        """
        return self._stream(prompts, RESPONSES_PER_BLOCK, (decoding, None))

    def _stream(self, prompts: Iterable[Prompt], size: int, settings: _Settings) -> Iterator[Any]:
        """Yield one answer per prompt, up to the first error.

        Answers after the error are returned when the same prompts are passed again with the same
        settings, as `infer_each` does; they are not computed twice.
        """
        remaining = iter(prompts)
        most = (_BLOCKS_AHEAD * self._pool.n_workers - 1) * size
        waiting: deque[tuple[Prompt, _Place]] = deque()
        try:
            while True:
                while len(waiting) <= most and (block := tuple(islice(remaining, size))):
                    waiting += zip(block, self._places(block, settings), strict=True)
                if not waiting:
                    return
                future, position = waiting[0][1]
                answer = future.result()[position]
                if isinstance(answer, AudioProbeError):
                    raise answer
                waiting.popleft()
                yield answer
        finally:
            for prompt, place in waiting:
                self._unclaimed[prompt.digest(), settings] = place
            for key in list(self._unclaimed)[: -(most + size)]:
                del self._unclaimed[key]

    def _places(self, prompts: Sequence[Prompt], settings: _Settings) -> list[_Place]:
        """Return where the answer to each prompt will be; submit those that are not in a block."""
        places: dict[int, _Place] = {}
        if self._unclaimed:  # otherwise no prompt needs a digest
            keys = [(prompt.digest(), settings) for prompt in prompts]
            known = enumerate(self._unclaimed.pop(key, None) for key in keys)
            places = {n: place for n, place in known if place is not None}
        missing = [n for n in range(len(prompts)) if n not in places]
        if missing:
            block = PromptBlock(self._spec, tuple(prompts[n] for n in missing), *settings)
            future = self._pool.submit(answer_block, block)
            places |= {n: (future, position) for position, n in enumerate(missing)}
        return [places[n] for n in range(len(prompts))]


class WorkerLikelihoodModel(WorkerModel):
    """A `WorkerModel` that also computes likelihoods."""

    def log_likelihood(
        self, prompts: Iterable[Prompt], continuations: Sequence[str]
    ) -> Iterator[Sequence[LogLikelihood]]:
        """Yield the log-likelihood of each continuation for each prompt, in order.

        Raises:
            AudioProbeError: the error of the model at this prompt, or a `WorkerError`.
        """
        return self._stream(prompts, LIKELIHOODS_PER_BLOCK, (None, tuple(continuations)))


def worker_model(pool: JobPool[LoadedModels], spec: ComponentSpec) -> WorkerModel:
    """Return a language model in the workers of a pool; one of them loads it to describe it.

    Raises:
        AudioProbeError: if the model cannot be loaded.
    """
    description = pool.submit(describe_model, spec).result()
    kind = WorkerLikelihoodModel if description.has_likelihoods else WorkerModel
    return kind(pool, spec, description)


@contextmanager
def model_loader(placement: Placement) -> Iterator[Callable[[ComponentSpec], LanguageModel]]:
    """Context manager with a function that loads a language model where the jobs of a study run."""
    if placement.is_here:
        yield LoadedModels().get
        return
    with placement.workers(WorkerSetup(LoadedModels)) as pool:
        yield partial(worker_model, pool)
