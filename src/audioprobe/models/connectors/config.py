"""Configurations of connectors: how audio tokens are made from features, and where they are read.

Sources: Liu et al., "Visual Instruction Tuning", NeurIPS 2023 (linear) and "Improved Baselines with
Visual Instruction Tuning", CVPR 2024 (MLP); Jaegle et al., "Perceiver", ICML 2021, and Tang et al.,
"SALMONN", ICLR 2024 (resampler, window); Alayrac et al., "Flamingo", NeurIPS 2022, and Kong et al.,
"Audio Flamingo", ICML 2024 (cross-attention); "PAL", arXiv 2506.10423 (keys and values);
Rubenstein et al., "AudioPaLM", arXiv 2306.12925 (codes).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from audioprobe.errors import InvalidInputError
from audioprobe.types import Option


@dataclass(frozen=True, slots=True)
class LinearConfig:
    """One linear layer, as in LTU; a token for each feature vector."""

    kind: Literal["linear"] = "linear"


@dataclass(frozen=True, slots=True)
class MLPConfig:
    """Two linear layers with GELU between them; a token for each feature vector.

    Attributes:
        width: width of the hidden layer.
    """

    width: int
    kind: Literal["mlp"] = "mlp"

    def __post_init__(self) -> None:
        _check_positive(width=self.width)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResamplerConfig:
    """Learned queries that attend to the feature vectors (Perceiver, Q-Former).

    Attributes:
        n_queries: number of tokens; with a window, tokens per window.
        width: width of the queries; a multiple of `n_heads`.
        n_heads: number of attention heads.
        n_blocks: number of blocks of self-attention, cross-attention and MLP.
        window: number of consecutive feature vectors to which the queries attend; 0 means all of
            them. With a window, tokens have a place in time.
    """

    n_queries: int = 32
    width: int = 192
    n_heads: int = 4
    n_blocks: int = 1
    window: int = 0
    kind: Literal["resampler"] = "resampler"

    def __post_init__(self) -> None:
        _check_positive(n_queries=self.n_queries, width=self.width, n_blocks=self.n_blocks)
        _check_heads(self.width, self.n_heads)
        if self.window < 0:
            raise InvalidInputError(f"Expected a window >= 0, received {self.window}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossAttentionConfig:
    """Gated cross-attention: before some layers, text attends to the audio tokens (Flamingo).

    The gates are initialised to 0, so that an untrained model answers like the language model
    alone. There is no second, gated MLP.

    Attributes:
        every: an adapter precedes the layers 0, `every`, 2 * `every`, ...
        token_width: width of the audio tokens.
        width: width of queries, keys and values; a multiple of `n_heads`.
        n_heads: number of attention heads.
    """

    every: int = 5
    token_width: int = 128
    width: int = 52
    n_heads: int = 4
    kind: Literal["cross_attention"] = "cross_attention"

    def __post_init__(self) -> None:
        _check_positive(every=self.every, token_width=self.token_width, width=self.width)
        _check_heads(self.width, self.n_heads)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysValuesConfig:
    """Audio tokens as additional keys and values of some layers' own attention (LAL).

    The tokens pass through no other part of the language model. An MLP makes them.

    Attributes:
        every: the layers 0, `every`, 2 * `every`, ... read the tokens.
        width: width of the hidden layer of the MLP.
    """

    every: int = 5
    width: int
    kind: Literal["keys_values"] = "keys_values"

    def __post_init__(self) -> None:
        _check_positive(every=self.every, width=self.width)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizedConfig:
    """Each feature vector is replaced by the nearest centroid, which an MLP converts to a token.

    It differs from `MLPConfig` by the quantisation alone, and from `CodesConfig` by the MLP.

    Attributes:
        n_codes: number of centroids.
        width: width of the hidden layer of the MLP.
    """

    n_codes: int
    width: int
    kind: Literal["quantized"] = "quantized"

    def __post_init__(self) -> None:
        _check_positive(n_codes=self.n_codes, width=self.width)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodesConfig:
    """Discrete tokens: the vocabulary is extended by a word for each centroid (AudioPaLM).

    Codes are input only: they are masked at the output, so the output layer has no rows for them.

    Attributes:
        n_codes: number of centroids of a codebook.
        n_codebooks: number of codebooks; the second quantises what the first leaves over
            (residual), and the words of all codebooks are summed.
        start_width: width of the hidden layer of an MLP that is aligned with words, and whose
            outputs for the centroids are the initial words. 0 means that words start at the mean of
            the language model's words, and are themselves aligned.
    """

    n_codes: int
    n_codebooks: int = 1
    start_width: int = 0
    kind: Literal["codes"] = "codes"

    def __post_init__(self) -> None:
        _check_positive(n_codes=self.n_codes, n_codebooks=self.n_codebooks)
        if self.start_width < 0 or (self.start_width and self.n_codebooks > 1):
            raise InvalidInputError(
                "Expected a start_width >= 0, and 0 for several codebooks, received "
                f"{self.start_width} and {self.n_codebooks} codebooks."
            )


@dataclass(frozen=True, slots=True)
class RandomConfig:
    """Random vectors that depend on the clip alone, with a linear layer.

    A control: such tokens identify clips of the training, but contain nothing about other clips.
    """

    kind: Literal["random"] = "random"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredConfig:
    """A connector of another distribution, registered as an entry point "audioprobe.connectors".

    Attributes:
        name: name of the entry point. Its class or function receives `ConnectorSizes` and the
            options, and returns a module that maps features, (n_clips, n_steps, width), to tokens,
            (n_clips, n_tokens, hidden).
        options: keyword arguments.
    """

    name: str
    options: Mapping[str, Option] = field(default_factory=dict)
    kind: Literal["registered"] = "registered"


ConnectorConfig: TypeAlias = Annotated[
    LinearConfig
    | MLPConfig
    | ResamplerConfig
    | CrossAttentionConfig
    | KeysValuesConfig
    | QuantizedConfig
    | CodesConfig
    | RandomConfig
    | RegisteredConfig,
    Field(discriminator="kind"),
]
"""Configuration of any connector; `kind` distinguishes them in files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorSizes:
    """Sizes of the networks that a connector joins.

    Attributes:
        width: width of the features.
        n_steps: number of feature vectors of a clip.
        hidden: width of the language model.
        n_layers: number of layers of the language model.
    """

    width: int
    n_steps: int
    hidden: int
    n_layers: int


def _check_positive(**values: int) -> None:
    for name, value in values.items():
        if value < 1:
            raise InvalidInputError(f"Expected {name} >= 1, received {value}.")


def _check_heads(width: int, n_heads: int) -> None:
    if n_heads < 1 or width % n_heads:
        raise InvalidInputError(
            f"Expected a width that is a multiple of n_heads, received {width} and {n_heads}."
        )
