"""Who transforms what flows. Sound streams (iterable to iterator), text is batched.

Numpy crosses these seams, tensors never do. Whatever can change an answer is part of
`Component.info`; batch size, device and threads are constructor options of a backend and must not
change answers. `audioprobe.testing` holds the executable form of each contract.
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
    """Whatever takes part in a result and can say what it is."""

    @property
    def info(self) -> ComponentInfo:
        """What goes into the provenance of results; asking must be cheap after the first time."""
        ...


@runtime_checkable
class AudioEncoder(Component, Protocol):
    """Sound to features."""

    def encode(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        """Features of each waveform, in order.

        Any sample rate is taken: the encoder resamples.

        Returns:
            One array of shape (n_frames, width) per waveform.

        Raises:
            UnsupportedInputError: for a sound that this encoder cannot take.
        """
        ...


@runtime_checkable
class Tagger(Component, Protocol):
    """Sound to probabilities of the names in a fixed vocabulary (an ability of some encoders)."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The vocabulary, unique names."""
        ...

    @property
    def phrases(self) -> tuple[str, ...]:
        """Each label as it reads after "the sound of": "a carrion crow", "rain"."""
        ...

    def tag(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        """Probability of each label, in order, in [0, 1], shape (n_labels,) per waveform."""
        ...


@runtime_checkable
class JointEncoder(Component, Protocol):
    """Sound and text to vectors of one space, where they can be compared (CLAP and its kin)."""

    @property
    def logit_scale(self) -> float:
        """What cosines are multiplied by before a softmax over texts, as the model was trained."""
        ...

    def embed_audio(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        """One vector per waveform, in order; any sample rate is taken.

        Returns:
            Shape (width,) each, not necessarily normalised.

        Raises:
            UnsupportedInputError: for a sound that this encoder cannot take.
        """
        ...

    def embed_texts(self, texts: Sequence[str]) -> FloatArray:
        """One vector per text, in order; shape (n_texts, width), not necessarily normalised.

        Raises:
            InvalidInputError: for a text that the model cannot take.
        """
        ...


@runtime_checkable
class LanguageModel(Component, Protocol):
    """Prompts, with or without sound, to text."""

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        """Answers, in order, one per prompt.

        Args:
            prompts: pulled as they are needed; a backend may look ahead by one batch.
            decoding: None means the backend's default, which is greedy.

        Raises:
            UnsupportedInputError: for a prompt that this model cannot take.
        """
        ...


@runtime_checkable
class LikelihoodModel(LanguageModel, Protocol):
    """A language model that can also say how probable a given answer is (local ones, mostly)."""

    def log_likelihood(
        self, prompts: Iterable[Prompt], continuations: Sequence[str]
    ) -> Iterator[Sequence[LogLikelihood]]:
        """For each prompt, the log-likelihood of every continuation, in order.

        The prompt, sound included, is encoded once and shared by all its continuations.
        """
        ...


@runtime_checkable
class KnownTrainingData(Protocol):
    """A model that can say which recordings it was trained on (an ability of some)."""

    @property
    def training_data(self) -> TrainingData | None:
        """The recordings; None where they are not known, which is not the same as none."""
        ...


@runtime_checkable
class TextEmbedder(Component, Protocol):
    """Text to vectors."""

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """One vector per text, in order; shape (n_texts, width), not necessarily normalised.

        Raises:
            InvalidInputError: for a text that the model cannot take.
            RemoteError: where a service failed for good.
        """
        ...


@runtime_checkable
class TextLimit(Protocol):
    """An embedder, or a scorer, that can say what of a text it does not read (an ability)."""

    def excess_tokens(self, texts: Sequence[str]) -> Sequence[int] | None:
        """Tokens of each text beyond what is read, 0 where all is; None where it is not known."""
        ...


@runtime_checkable
class Scorer(Component, Protocol):
    """Captions and labels to numbers; higher is a better match."""

    def score(self, captions: Sequence[str], labels: Sequence[str]) -> FloatArray:
        """Match of every caption with every label, shape (n_captions, n_labels), finite.

        No captions are allowed (shape (0, n_labels)): that checks labels and service beforehand.
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
        """Names that `clips` takes."""
        ...

    def clips(self, split: str) -> Sequence[Clip]:
        """The clips of a split, in a fixed order.

        Raises:
            InvalidInputError: for a split that the data set does not have.
        """
        ...


def training_data_of(component: object) -> TrainingData | None:
    """The recordings that a component was trained on; None where it cannot say."""
    return component.training_data if isinstance(component, KnownTrainingData) else None
