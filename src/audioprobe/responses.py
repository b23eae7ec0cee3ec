"""Decoding options, responses and log-likelihoods of language models."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from audioprobe.errors import InvalidInputError, NonFiniteError

Option: TypeAlias = str | int | float | bool | tuple[str, ...] | None

_ROUNDING_NATS = 1e-4  # per token: the largest float32 rounding error of a log-probability of 0

_NAME = r"(?:\w+[:_])?(?:think|thinking|thoughts?|reasoning|analysis|scratchpad)"
_MARK = re.compile(
    # <think>, </think>, <think type="x">, <seed:think>, ◁think▷, <|END_THINKING|>
    rf"[<◁]\|?\s*(?P<end>/|end_of_|end_)?\s*(?:begin_of_|start_)?(?P<name>{_NAME})"
    r"(?:\s[^<>]*?)?(?P<empty>/)?\|?[>▷]"
    r"|(?-i:\[(?P<bracket_end>/?)THINK\])"
    # <|channel|>analysis<|message|> … <|channel|>final<|message|>, and the same without its tokens
    r"|<\|channel\|>\s*(?:analysis|commentary|(?P<final>final))\b(?:[^<]*<\|message\|>)?"
    r"|(?-i:\A\s*analysis(?=[A-Z]))|(?P<bare_final>assistantfinal)"
    # <|channel>thought … <channel|>
    r"|<\|channel>\s*thought\b|(?P<channel_end><channel\|>)",
    re.IGNORECASE,
)
_END_GROUPS = ("end", "bracket_end", "final", "bare_final", "channel_end")
_CHANNEL_TOKEN = re.compile(r"<\|(?:start|end|return|message)\|>(?:assistant\b)?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Decoding:
    """How a language model generates text; greedy by default.

    Attributes:
        max_new_tokens: length limit of an answer, in tokens.
        temperature: 0 is greedy; above 0 samples.
        top_p: nucleus mass in (0, 1].
        top_k: candidates per step; None means all.
        repetition_penalty: 1 is none.
        seed: for sampling; results record it.

    Raises:
        InvalidInputError: if a value is out of its range.
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
    """The answer of a language model.

    Reasoning (`<think>…</think>` and similar marks) is separated from the answer when a response is
    created, for every backend.

    Attributes:
        text: the answer, without the prompt and without reasoning.
        finish: "stop" if the model ended the answer, "length" if it reached the token limit.
        abstained: True if the model states that it recognises nothing.
        details: further information from the backend; reasoning is stored as "reasoning".

    Raises:
        InvalidInputError: if the text is reasoning without an answer.
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
                "Expected an answer, got reasoning only: the model may have reached the token "
                "limit. Raise max_new_tokens, or disable reasoning. The text starts with "
                f"{self.text[:60]!r}."
            )
        object.__setattr__(self, "text", answer)
        object.__setattr__(self, "details", {**self.details, "reasoning": reasoning})


@dataclass(frozen=True, slots=True)
class LogLikelihood:
    """The log-probability of a continuation.

    Attributes:
        total: nats, finite, at most 0; a positive number within rounding becomes 0.
        n_tokens: number of tokens of the continuation, at least 1.

    Raises:
        NonFiniteError: if the total is NaN or infinite. Minus infinity is the result of an
            overflow and can be neither ranked nor averaged.
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
                "tokens: not the logarithm of a probability."
            )
        if self.total > 0:
            object.__setattr__(self, "total", 0.0)

    @property
    def per_token(self) -> float:
        """Mean over the tokens, in nats."""
        return self.total / self.n_tokens


def split_reasoning(text: str) -> tuple[str | None, str | None]:
    """Separate reasoning blocks from the answer.

    Recognised are `<think>`, `<thinking>`, `<thought>`, `<reasoning>`, `<analysis>`, their variants
    in other brackets, and the channels "analysis" and "final". Blocks may be nested. A closing mark
    without an opening one ends a block that the chat template opened: all text before it is
    reasoning.

    Args:
        text: the generated text.

    Returns:
        The text inside the blocks, or None without a block; and the text outside them, or None if a
        block is not closed, so that there is no answer. Text without a block is returned unchanged
        as the answer.
    """
    pieces: list[str] = []
    is_reasoning: list[bool] = []
    open_blocks: list[str] = []
    position = 0
    for mark in _MARK.finditer(text):
        if mark["empty"] or (mark["bare_final"] and not open_blocks):
            continue  # <think/>, or a word of the answer
        pieces.append(text[position : mark.start()])
        is_reasoning.append(bool(open_blocks))
        position = mark.end()
        name = (mark["name"] or "channel").casefold()
        if not any(mark[group] for group in _END_GROUPS):
            if name != "channel" or name not in open_blocks:  # all channels have one end
                open_blocks.append(name)
        elif name in open_blocks:
            while open_blocks.pop() != name:
                pass
        elif not open_blocks:
            is_reasoning = [True] * len(pieces)
    if not pieces:
        return None, text
    pieces.append(text[position:])
    is_reasoning.append(bool(open_blocks))
    reasoning, answer = (
        "\n".join(p for p, flag in zip(pieces, is_reasoning, strict=True) if flag is side)
        for side in (True, False)
    )
    return _strip_channel_tokens(reasoning), None if open_blocks else _strip_channel_tokens(answer)


def _strip_channel_tokens(text: str) -> str:
    return _CHANNEL_TOKEN.sub("", text).strip()
