"""How language models decode, what they answer, and how probable a given answer is to them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from audioprobe.errors import InvalidInputError, NonFiniteError
from audioprobe.reasoning import split_reasoning

Option: TypeAlias = str | int | float | bool | tuple[str, ...] | None

_ROUNDING_NATS = 1e-4  # per token: what float32 puts a log-probability of 0 above it by, at most


@dataclass(frozen=True, slots=True)
class Decoding:
    """How text is drawn from a language model; greedy by default.

    Attributes:
        max_new_tokens: longest answer, in tokens.
        temperature: 0 is greedy; above 0 samples.
        top_p: nucleus mass in (0, 1].
        top_k: candidates per step; None means all.
        repetition_penalty: 1 is none.
        seed: for sampling; results record it.
    """

    max_new_tokens: int = 400
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int | None = None
    repetition_penalty: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise InvalidInputError(f"max_new_tokens must be at least 1, got {self.max_new_tokens}")
        if self.temperature < 0 or not 0 < self.top_p <= 1 or self.repetition_penalty <= 0:
            raise InvalidInputError(
                "Decoding needs temperature >= 0, 0 < top_p <= 1 and repetition_penalty > 0, "
                f"got {self.temperature}, {self.top_p} and {self.repetition_penalty}."
            )


@dataclass(frozen=True, slots=True)
class Response:
    """What a language model answered.

    Reasoning (`<think>…</think>` and its kin) is separated from the answer when a response is made,
    whatever backend makes it.

    Attributes:
        text: the answer, stripped of the prompt and of reasoning.
        finish: "stop" where the model ended by itself, "length" where the limit ended it.
        abstained: True where the model itself says that it recognises nothing.
        details: what else it reported, for the record; its reasoning as "reasoning".

    Raises:
        InvalidInputError: if there is reasoning and no answer behind it.
    """

    text: str
    finish: Literal["stop", "length"] = "stop"
    abstained: bool = False
    details: Mapping[str, Option] = field(default_factory=dict)

    def __post_init__(self) -> None:
        reasoning, answer = split_reasoning(self.text)
        if reasoning is None:
            return
        if not answer:
            raise InvalidInputError(
                "The model answered with no text: it ran into the limit, or thought only. Raise "
                f"max_new_tokens, or switch thinking off. It began: {self.text[:60]!r}."
            )
        object.__setattr__(self, "text", answer)
        object.__setattr__(self, "details", {**self.details, "reasoning": reasoning})


@dataclass(frozen=True, slots=True)
class LogLikelihood:
    """Log-probability of a continuation.

    Attributes:
        total: nats, finite, at most 0; a positive number within rounding becomes 0.
        n_tokens: how many tokens it is spread over, at least 1.

    Raises:
        NonFiniteError: if the total is NaN or infinite. Minus infinity, a probability of exactly 0,
            is what an overflow leaves, and cannot be ranked or averaged.
        InvalidInputError: if the total is positive beyond rounding, or there is no token.
    """

    total: float
    n_tokens: int

    def __post_init__(self) -> None:
        if self.n_tokens < 1:
            raise InvalidInputError(
                f"A log-likelihood needs at least one token, got n_tokens={self.n_tokens}."
            )
        if not math.isfinite(self.total):
            raise NonFiniteError(
                f"A log-likelihood must be a finite number of nats, got {self.total} for "
                f"{self.n_tokens} tokens. {NonFiniteError.ADVICE}"
            )
        if self.total > _ROUNDING_NATS * self.n_tokens:
            raise InvalidInputError(
                f"A log-likelihood must be at most 0 nats, got {self.total} for {self.n_tokens} "
                "tokens: it is no logarithm of a probability."
            )
        if self.total > 0:
            object.__setattr__(self, "total", 0.0)

    @property
    def per_token(self) -> float:
        """Mean over the tokens, in nats."""
        return self.total / self.n_tokens
