"""Changes of a forward pass that hooks at sites cannot make; see `protocols.Inspectable`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from audioprobe.errors import InvalidInputError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class ResidualStart:
    """States from which a forward pass continues, so that earlier layers are not computed.

    Attributes:
        layer: layer of the language model whose output the states are, counted from 0. Its site is
            "lm.resid.{layer}".
        states: states of each prompt at this site, each of shape (n_tokens, width).
    """

    layer: int
    states: "Sequence[Tensor]"


@dataclass(frozen=True, slots=True, eq=False)
class AttentionStates:
    """Attention of a layer for one prompt.

    The output of the attention at position q is the sum over heads and positions p of
    `weights[head, q, p]` times `values[head, p]`, converted by `project`.

    Attributes:
        weights: attention weights after the softmax, shape (n_heads, n_tokens, n_tokens).
        values: values, shape (n_heads, n_tokens, head_width); heads that share values have copies.
        project: linear map from the values of all heads, (..., n_heads * head_width), to the
            residual stream, (..., width), without bias.
    """

    weights: "Tensor"
    values: "Tensor"
    project: "Callable[[Tensor], Tensor]"


AttentionHook: TypeAlias = Callable[[int, AttentionStates], None]
"""Function that receives the index of a prompt and the attention of a layer."""


@dataclass(frozen=True, slots=True, eq=False)
class ForwardOptions:
    """Options of a forward pass with hooks.

    Attributes:
        start: states from which the pass continues; hooks of earlier sites are not called.
        blocked: removed attention edges by layer: for each prompt a boolean tensor of shape
            (n_tokens, n_tokens), in which True removes the edge from a query (row) to a key
            (column). A position always attends to itself.
        attention: functions that read the attention of a layer, by layer. Such a pass computes
            attention weights explicitly, so states may differ in the last bits.
        gradients: whether gradients can be computed. A hook at a site of the language model must
            then return the states that it received (or others), and `torch.autograd.grad` of a
            value of a later site gives the gradient with respect to the returned states.
            With quantized weights, gradients are inexact or missing.
    """

    start: ResidualStart | None = None
    blocked: "Mapping[int, Sequence[Tensor]]" = field(default_factory=dict)
    attention: Mapping[int, AttentionHook] = field(default_factory=dict)
    gradients: bool = False

    def check(self, n_layers: int, lengths: Sequence[int]) -> None:
        """Raise `InvalidInputError` unless the options fit a batch.

        Args:
            n_layers: number of layers of the language model.
            lengths: number of tokens of each prompt.
        """
        start = () if self.start is None else (self.start.layer,)
        for layer in (*start, *self.blocked, *self.attention):
            if not 0 <= layer < n_layers:
                raise InvalidInputError(
                    f"Expected a layer from 0 to {n_layers - 1}, got layer {layer}."
                )
        if self.start is not None and [len(s) for s in self.start.states] != list(lengths):
            raise InvalidInputError(
                f"Expected states of {list(lengths)} tokens to continue from, got "
                f"{[len(s) for s in self.start.states]}. Take them from the same prompts."
            )
        for layer, masks in self.blocked.items():
            shapes = [tuple(mask.shape) for mask in masks]
            if shapes != [(n, n) for n in lengths]:
                raise InvalidInputError(
                    f"Expected an edge mask of shape (n_tokens, n_tokens) for prompts of "
                    f"{list(lengths)} tokens in layer {layer}, got shapes {shapes}."
                )


NO_OPTIONS = ForwardOptions()
"""A plain forward pass."""
