"""Protocols (interfaces) of components: encoders, language models, scorers, data sets.

Methods that process audio convert an iterable to an iterator; methods that process text receive a
whole list. Components exchange numpy arrays, never tensors, except for the hooks of `Inspectable`.
`Component.info` contains all options that can change a result; batch size, device and number of
threads must not change results. `audioprobe.testing` has a check for each protocol.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from audioprobe.forward_options import NO_OPTIONS, ForwardOptions
from audioprobe.sites import InspectedPrompt, PromptLayout, SiteHook
from audioprobe.types import (
    Clip,
    ComponentInfo,
    Decoding,
    FloatArray,
    IntArray,
    LogLikelihood,
    Prompt,
    Response,
    Waveform,
)

if TYPE_CHECKING:
    from torch import Tensor


@runtime_checkable
class Component(Protocol):
    """A model, scorer or data set that contributes to a result and can identify itself."""

    @property
    def info(self) -> ComponentInfo:
        """Identity of the component, recorded in results; fast after the first access."""
        ...


@runtime_checkable
class AudioEncoder(Component, Protocol):
    """A model that converts audio to features."""

    def encode(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        """Yield an array of shape (n_frames, width) for each waveform, in order.

        Waveforms of any sample rate are accepted: the encoder resamples.

        Raises:
            UnsupportedInputError: for audio that this encoder cannot process.
        """
        ...


@runtime_checkable
class Tagger(Component, Protocol):
    """A model that returns a probability for each label of a fixed vocabulary."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Vocabulary of the model; names are unique."""
        ...

    @property
    def phrases(self) -> tuple[str, ...]:
        """Phrase for each label that fits after "the sound of", such as "a carrion crow"."""
        ...

    def tag(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        """Yield the probabilities of all labels, shape (n_labels,), for each waveform."""
        ...


@runtime_checkable
class FrameTagger(Tagger, Protocol):
    """A tagger that also returns the probabilities in each time frame of a clip."""

    @property
    def hop(self) -> float:
        """Seconds between the starts of two frames; positive."""
        ...

    def tag_frames(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        """Yield the probabilities of all labels, shape (n_frames, n_labels), for each waveform."""
        ...


@runtime_checkable
class AudioTokenizer(Component, Protocol):
    """A model that converts audio to codes, which a language model can read as words."""

    @property
    def n_codes(self) -> int:
        """Number of codes."""
        ...

    def tokenize(self, waveforms: Iterable[Waveform]) -> Iterator[IntArray]:
        """Yield the code of each time step, int64 in [0, n_codes), shape (n_steps,), in order.

        Waveforms of any sample rate are accepted.

        Raises:
            UnsupportedInputError: for audio that this tokenizer cannot process.
        """
        ...


@runtime_checkable
class JointEncoder(Component, Protocol):
    """A model such as CLAP that maps audio and text to vectors of one space."""

    @property
    def logit_scale(self) -> float:
        """Factor for cosine similarities before a softmax, as learned in training; positive."""
        ...

    def embed_audio(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        """Yield a vector of any norm, shape (width,), for each waveform, in order.

        Waveforms of any sample rate are accepted.

        Raises:
            UnsupportedInputError: for audio that this encoder cannot process.
        """
        ...

    def embed_texts(self, texts: Sequence[str]) -> FloatArray:
        """Return a vector of any norm for each text, shape (n_texts, width).

        Raises:
            InvalidInputError: for a text that the model cannot process.
        """
        ...


@runtime_checkable
class LanguageModel(Component, Protocol):
    """A model that generates text from prompts; a prompt may contain audio."""

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        """Yield one response for each prompt, in order.

        Args:
            prompts: prompts, consumed lazily; a backend may read one batch in advance.
            decoding: decoding options; None means the default of the backend, which is greedy.

        Raises:
            UnsupportedInputError: for a prompt that this model cannot process.
        """
        ...


@runtime_checkable
class LikelihoodModel(LanguageModel, Protocol):
    """A language model that also returns the log-likelihood of texts as answers to a prompt."""

    def log_likelihood(
        self, prompts: Iterable[Prompt], continuations: Sequence[str]
    ) -> Iterator[Sequence[LogLikelihood]]:
        """Yield for each prompt the log-likelihood of all continuations, in order.

        Args:
            prompts: prompts, consumed lazily. Each is encoded once for all continuations.
            continuations: texts that may follow a prompt, such as possible answers.
        """
        ...


@runtime_checkable
class Inspectable(LanguageModel, Protocol):
    """A language model whose activations can be read and replaced; see `audioprobe.sites`."""

    @property
    def sites(self) -> tuple[str, ...]:
        """Names of the sites of this model, in the order of the forward pass.

        Raises:
            UnsupportedInputError: if the sites of the model's architecture are unknown.
        """
        ...

    def layout(self, prompt: InspectedPrompt) -> PromptLayout:
        """Return the positions of the parts of a prompt at the sites.

        Raises:
            UnsupportedInputError: for a prompt that this model cannot process.
        """
        ...

    def run_with_hooks(
        self,
        prompts: Sequence[InspectedPrompt],
        hooks: Mapping[str, SiteHook],
        options: ForwardOptions = NO_OPTIONS,
    ) -> None:
        """Run one forward pass over a batch of prompts, and call the hooks for each prompt.

        A hook receives the states of one prompt without padding, in the model's data type; they do
        not depend on the other prompts. Hooks of audio sites are not called for prompts without
        audio. A site after the last hooked site may not be computed. All hooks are removed
        afterwards, also if an error is raised.

        Args:
            prompts: prompts of one batch.
            hooks: hooks by the name of a site; it may contain "*", or be a name in TransformerLens.
            options: layer to start from, blocked attention, attention weights, gradients.

        Raises:
            InvalidInputError: if the model has no such site, a site has two hooks, a replacement
                has another shape, or the options do not fit the prompts.
            UnsupportedInputError: for a prompt or an option that this model does not support.
            OutOfMemoryError: if the batch does not fit into memory.
        """
        ...

    def vocabulary_logits(self, states: "Tensor", *, normalized: bool = False) -> "Tensor":
        """Return the logits that the model would compute from states of the residual stream.

        Args:
            states: shape (..., width), such as states at "lm.resid.3".
            normalized: whether the final norm was applied already, as at "lm.norm".

        Returns:
            Logits in float32, shape (..., n_vocabulary).
        """
        ...

    def continuation_ids(self, text: str) -> Sequence[int]:
        """Return the token ids of an answer that follows a prompt.

        Raises:
            InvalidInputError: if the text is empty.
        """
        ...

    def token_texts(self, ids: Sequence[int]) -> Sequence[str]:
        """Return the text of each token."""
        ...

    def randomized(self, seed: int) -> "Inspectable":
        """Return a copy in which the entries of each weight tensor are permuted at random.

        Measures of the copy show what the architecture achieves without training.

        Raises:
            UnsupportedInputError: if the weights are quantized.
        """
        ...


@runtime_checkable
class TextEmbedder(Component, Protocol):
    """A model that converts texts to vectors."""

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """Return a vector of any norm for each text, shape (n_texts, width).

        Raises:
            InvalidInputError: for a text that the model cannot process.
            RemoteError: if a remote service failed repeatedly.
        """
        ...


@runtime_checkable
class Scorer(Component, Protocol):
    """A method that scores how well labels match captions; higher scores mean better matches."""

    def score(self, captions: Sequence[str], labels: Sequence[str]) -> FloatArray:
        """Return finite scores of labels for each caption, shape (n_captions, n_labels).

        An empty list of captions is allowed: the call then checks the labels and the connection to
        a remote service, and returns shape (0, n_labels).
        """
        ...


@runtime_checkable
class Dataset(Component, Protocol):
    """A set of labelled clips, divided into splits."""

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels that clips may have, in a fixed order."""
        ...

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits."""
        ...

    def clips(self, split: str) -> Sequence[Clip]:
        """Return the clips of a split, in a fixed order.

        Raises:
            InvalidInputError: for a split that the data set does not have.
        """
        ...
