"""Responses and log-likelihoods of language models, and options for text generation."""

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal, TypeAlias

from audioprobe.errors import InvalidInputError, NonFiniteError

Option: TypeAlias = str | int | float | bool | tuple[str, ...] | None

_ROUNDING_NATS = 1e-4  # per token; largest float32 rounding error of a log-probability of 0

_NAME = r"(?:\w+[:_])?(?:think|thinking|thoughts?|reasoning|analysis|scratchpad)"
_TAG = re.compile(
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
    """Options for text generation; the default is greedy decoding.

    Attributes:
        max_new_tokens: maximum length of an answer in tokens.
        temperature: sampling temperature; 0 means greedy decoding.
        top_p: probability mass of nucleus sampling, in (0, 1].
        top_k: number of candidate tokens per step; None means all tokens.
        repetition_penalty: factor that penalises repeated tokens; 1 means no penalty.
        seed: random seed of sampling.
        choices: if not empty, the only texts that may be the response. The response is the choice
            that the model gives the highest probability, or with a temperature T a choice drawn
            with a probability proportional to P(choice)^(1 / T). The probabilities are those of the
            whole response including its end, so that neither the length nor a common beginning of
            the choices matters. `max_new_tokens` is ignored.

    Raises:
        InvalidInputError: if a value is out of its range, if a choice is empty or repeated, or if
            choices are combined with top_p, top_k or a repetition penalty.
    """

    max_new_tokens: int = 400
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int | None = None
    repetition_penalty: float = 1.0
    seed: int = 0
    choices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._check_choices()
        if self.max_new_tokens < 1:
            raise InvalidInputError(
                f"max_new_tokens must be at least 1, got {self.max_new_tokens}."
            )
        if self.temperature < 0 or not 0 < self.top_p <= 1 or self.repetition_penalty <= 0:
            raise InvalidInputError(
                "Decoding needs temperature >= 0, 0 < top_p <= 1 and repetition_penalty > 0, "
                f"got {self.temperature}, {self.top_p} and {self.repetition_penalty}."
            )

    def _check_choices(self) -> None:
        received: object = self.choices
        if isinstance(received, str) or any(
            not isinstance(text, str) or not text.strip() for text in self.choices
        ):
            raise InvalidInputError(f"choices must be non-empty texts, got {self.choices!r:.80}.")
        object.__setattr__(self, "choices", tuple(self.choices))
        if len({text.strip() for text in self.choices}) < len(self.choices):
            raise InvalidInputError(f"choices must be different, got {self.choices!r:.80}.")
        others = (self.top_p, self.top_k, self.repetition_penalty)
        if self.choices and others != (1, None, 1):
            raise InvalidInputError(
                "choices are compared by their whole probability: omit top_p, top_k and "
                f"repetition_penalty, got {others[0]}, {others[1]} and {others[2]}."
            )

    @property
    def options(self) -> dict[str, Option]:
        """The settings by name, for provenance and cache keys; `choices` only if there are any."""
        options: dict[str, Option] = asdict(self)
        if not self.choices:
            del options["choices"]
        return options


@dataclass(frozen=True, slots=True)
class Response:
    """Answer of a language model.

    Reasoning in the text (`<think>…</think>` and similar tags) is moved to `details`.

    Attributes:
        text: the answer; contains neither the prompt nor reasoning.
        finish: "stop" if the model ended the answer, "length" if the answer reached the token
            limit.
        abstained: True if the model states that it does not recognise any sound.
        details: additional information from the backend; the key "reasoning" has the reasoning.

    Raises:
        InvalidInputError: if the text contains reasoning, but no answer.
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
    """Log-probability of a text that follows a prompt, such as a possible answer.

    Attributes:
        total: log-probability in nats, finite and at most 0; a rounding error above 0 is set to 0.
        n_tokens: number of tokens of the text, at least 1.

    Raises:
        NonFiniteError: if the total is NaN or infinite. Minus infinity is an error, too, because
            it results from a numerical overflow.
        InvalidInputError: if the total is above 0 by more than a rounding error, or if there is no
            token.
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
        """Mean log-probability per token, in nats."""
        return self.total / self.n_tokens


def split_reasoning(text: str) -> tuple[str | None, str | None]:
    """Separate reasoning from the answer in a generated text.

    Reasoning is the text between tags such as `<think>` and `</think>`; the tags of many models are
    known (`_TAG`). Blocks may be nested. If an end tag has no start tag, the prompt contained the
    start tag, and all text before the end tag is reasoning.

    Returns:
        The tuple (reasoning, answer). It is (None, text) if the text has no tags. The answer is
        None if an end tag is missing.
    """
    pieces: list[str] = []
    is_reasoning: list[bool] = []
    open_blocks: list[str] = []
    position = 0
    for tag in _TAG.finditer(text):
        if tag["empty"] or (tag["bare_final"] and not open_blocks):
            continue  # <think/>, or a word of the answer
        pieces.append(text[position : tag.start()])
        is_reasoning.append(bool(open_blocks))
        position = tag.end()
        name = (tag["name"] or "channel").casefold()
        if not any(tag[group] for group in _END_GROUPS):
            if name != "channel" or name not in open_blocks:  # all channels share one end tag
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
