"""Spans whose states are copied from one prompt into another, and rules for spans of other lengths.

Terms:
    The base is the prompt whose states are replaced; the source is the prompt that the states come
    from. A transfer such as "concept -> audio" takes the states of the span "concept" of the source
    and puts them at the span "audio" of the base. "last" means "last -> last".
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from audioprobe.errors import InvalidInputError
from audioprobe.sites import PromptLayout, span_range

LengthRule: TypeAlias = Literal["equal", "mean", "last"]
"""What happens if both spans have different numbers of positions.

"equal" refuses them. "mean" puts the mean of the source at every position of the base. "last"
aligns both spans at the end, so that the shorter one limits what is replaced."""
LENGTH_RULES: tuple[LengthRule, ...] = get_args(LengthRule)

_ARROW = "->"


@dataclass(frozen=True, slots=True)
class SpanTransfer:
    """Span of the source whose states are copied, and span of the base that receives them."""

    source: str
    base: str

    @classmethod
    def parse(cls, text: str) -> "SpanTransfer":
        """Return the transfer that a text such as "last" or "concept -> audio" names.

        Raises:
            InvalidInputError: if a span is unknown, or there is more than one arrow.
        """
        names = [name.strip() for name in text.split(_ARROW)]
        if len(names) > 2:
            raise InvalidInputError(
                f'Expected a span or "SOURCE_SPAN -> BASE_SPAN", got {text!r}. Pass several '
                "transfers as several spans."
            )
        for name in names:
            span_range(name)
        return cls(names[0], names[-1])

    def __str__(self) -> str:
        return self.source if self.source == self.base else f"{self.source} {_ARROW} {self.base}"


@dataclass(frozen=True, slots=True, eq=False)
class Replacement:
    """New states of some positions at a site.

    Attributes:
        positions: the positions, in order.
        states: the states, shape (n_positions, width).
    """

    positions: tuple[int, ...]
    states: Tensor

    def applied(self, states: Tensor) -> Tensor:
        """Return a copy of states, shape (n_tokens, width), with the new states."""
        changed = states.clone()
        changed[list(self.positions)] = self.states.to(states.device, states.dtype)
        return changed

    def undone(self, states: Tensor) -> "Replacement":
        """Return the replacement of the same positions by their earlier states.

        Args:
            states: earlier states at the site, shape (n_tokens, width).
        """
        return Replacement(self.positions, states[list(self.positions)])

    def noisy(self, states: Tensor, seed: int) -> "Replacement":
        """Return states that differ from the earlier ones by noise as large as the change.

        At each position, the noise has a random direction and the norm of the difference between
        new and earlier state.

        Args:
            states: earlier states at the site, shape (n_tokens, width).
            seed: seed of the noise.
        """
        earlier = states[list(self.positions)].float()
        sizes = (self.states.to(earlier.device).float() - earlier).norm(dim=-1, keepdim=True)
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(earlier.shape, generator=generator).to(earlier.device)
        noise = noise / noise.norm(dim=-1, keepdim=True)
        return Replacement(self.positions, earlier + sizes * noise)


def replacement(
    states: Tensor, positions: tuple[int, ...], lengths: LengthRule
) -> Replacement | None:
    """Return the replacement of positions of the base by states of the source.

    Args:
        states: states of the span of the source, shape (n_source, width).
        positions: positions of the span of the base.
        lengths: rule for spans of different lengths.

    Returns:
        None if a span does not exist, or the lengths differ and the rule is "equal".
    """
    if not len(states) or not positions:
        return None
    if lengths == "mean":
        return Replacement(positions, states.float().mean(dim=0).expand(len(positions), -1))
    if lengths == "equal" and len(states) != len(positions):
        return None
    n = min(len(states), len(positions))
    return Replacement(positions[-n:], states[-n:])


def parse_transfers(spans: Iterable[str], lengths: str) -> tuple[SpanTransfer, ...]:
    """Return the transfers that spans name, without repetitions.

    Raises:
        InvalidInputError: if there is no span, or a span or the rule is unknown.
    """
    if lengths not in LENGTH_RULES:
        raise InvalidInputError(
            f"Expected lengths among {', '.join(LENGTH_RULES)}, got {lengths!r}."
        )
    texts = (spans,) if isinstance(spans, str) else tuple(spans)
    if not texts:
        raise InvalidInputError('Expected at least one span, such as "last", got none.')
    return tuple(dict.fromkeys(SpanTransfer.parse(text) for text in texts))


def check_lengths(
    transfer: SpanTransfer, site: str, source: PromptLayout, base: PromptLayout
) -> None:
    """Raise `InvalidInputError` if both prompts have the spans and their lengths differ."""
    n_source = len(source.positions(site, transfer.source))
    n_base = len(base.positions(site, transfer.base))
    if n_source and n_base and n_source != n_base:
        raise InvalidInputError(
            f'{transfer} at {site}: expected spans of equal lengths (lengths="equal"), got '
            f"{n_source} positions in the source and {n_base} in the base. Choose "
            'lengths="mean" (mean of the source at every position) or lengths="last" (aligned at '
            "the end; the shorter span limits)."
        )
