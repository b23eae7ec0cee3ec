"""The protocols of components. Audio is streamed (iterable to iterator), text is batched.

Components exchange numpy arrays, never tensors. Everything that can change a result is part of
`Component.info`; batch size, device and number of threads are constructor options that must not
change results. `audioprobe.testing` contains an executable check for each protocol.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, runtime_checkable

from audioprobe.training_data import TrainingData
from audioprobe.types import (
    Clip,
    ComponentInfo,
    Decoding,
    FloatArray,
    LogLikelihood,
    Prompt,
    Response,
    Waveform,
)


@runtime_checkable
class Component(Protocol):
    """Anything that contributes to a result and can identify itself."""

    @property
    def info(self) -> ComponentInfo:
        """Identity for the provenance of results; cheap after the first access."""
        ...


@runtime_checkable
class AudioEncoder(Component, Protocol):
    """Audio to features."""

    def encode(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        """Yield an array of shape (n_frames, width) per waveform, in order.

        Waveforms of any sample rate are accepted: the encoder resamples.

        Raises:
            UnsupportedInputError: for audio that this encoder cannot process.
        """
        ...


@runtime_checkable
class Tagger(Component, Protocol):
    """Audio to probabilities of a fixed vocabulary; an ability of some encoders."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The vocabulary, unique names."""
        ...

    @property
    def phrases(self) -> tuple[str, ...]:
        """Each label as a phrase after "the sound of": "a carrion crow", "rain"."""
        ...

    def tag(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        """Yield the probability of each label, in [0, 1], shape (n_labels,), per waveform."""
        ...


@runtime_checkable
class JointEncoder(Component, Protocol):
    """Audio and text to vectors of one space, such as CLAP."""

    @property
    def logit_scale(self) -> float:
        """Factor of cosine similarities before a softmax over texts, as in the training."""
        ...

    def embed_audio(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        """Yield one vector of shape (width,) per waveform, in order, not necessarily normalised.

        Waveforms of any sample rate are accepted.

        Raises:
            UnsupportedInputError: for audio that this encoder cannot process.
        """
        ...

    def embed_texts(self, texts: Sequence[str]) -> FloatArray:
        """Return one vector per text, shape (n_texts, width), not necessarily normalised.

        Raises:
            InvalidInputError: for a text that the model cannot process.
        """
        ...


@runtime_checkable
class LanguageModel(Component, Protocol):
    """Prompts, with or without audio, to text."""

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        """Yield one response per prompt, in order.

        Args:
            prompts: consumed lazily; a backend may read one batch ahead.
            decoding: None is the default of the backend, which is greedy.

        Raises:
            UnsupportedInputError: for a prompt that this model cannot process.
        """
        ...


@runtime_checkable
class LikelihoodModel(LanguageModel, Protocol):
    """A language model that also returns the likelihood of given answers; mostly local models."""

    def log_likelihood(
        self, prompts: Iterable[Prompt], continuations: Sequence[str]
    ) -> Iterator[Sequence[LogLikelihood]]:
        """Yield for each prompt the log-likelihood of every continuation, in order.

        The prompt, audio included, is encoded once for all its continuations.
        """
        ...


@runtime_checkable
class KnownTrainingData(Protocol):
    """A model that knows the recordings it was trained on; an ability of some models."""

    @property
    def training_data(self) -> TrainingData | None:
        """The recordings; None if unknown."""
        ...


@runtime_checkable
class TextEmbedder(Component, Protocol):
    """Text to vectors."""

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """Return one vector per text, shape (n_texts, width), not necessarily normalised.

        Raises:
            InvalidInputError: for a text that the model cannot process.
            RemoteError: if a service failed for good.
        """
        ...


@runtime_checkable
class TextLimit(Protocol):
    """An embedder or scorer that knows which part of a text it ignores; an ability of some."""

    def excess_tokens(self, texts: Sequence[str]) -> Sequence[int] | None:
        """Return the number of tokens of each text that are ignored; None if unknown."""
        ...


@runtime_checkable
class Scorer(Component, Protocol):
    """Captions and labels to scores; higher is a better match."""

    def score(self, captions: Sequence[str], labels: Sequence[str]) -> FloatArray:
        """Return the score of every caption and label, shape (n_captions, n_labels), finite.

        An empty list of captions is allowed (shape (0, n_labels)): it checks labels and service.
        """
        ...


@runtime_checkable
class Dataset(Component, Protocol):
    """Clips with labels, in splits."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The label vocabulary, in a fixed order."""
        ...

    @property
    def splits(self) -> tuple[str, ...]:
        """Names that `clips` accepts."""
        ...

    def clips(self, split: str) -> Sequence[Clip]:
        """Return the clips of a split, in a fixed order.

        Raises:
            InvalidInputError: for a split that the data set does not have.
        """
        ...


def training_data_of(component: object) -> TrainingData | None:
    """Return the recordings that a component was trained on; None if unknown."""
    return component.training_data if isinstance(component, KnownTrainingData) else None
