"""Hooks that read or replace the activations of a network at named sites.

The hooks of a batch are called once per prompt, with the states of this prompt alone: padding,
batch dimension and output tuples of modules are hidden from them.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from audioprobe.errors import InvalidInputError
from audioprobe.sites import SiteHook

RowSplitter: TypeAlias = Callable[[Tensor], Mapping[int, Tensor]]
"""Function that returns views of a batch, (n_positions, width), keyed by the index of a prompt."""


@dataclass(frozen=True, slots=True)
class SitePoint:
    """Place of a site in a network.

    Attributes:
        module: module whose output, or input, contains the states.
        at_input: whether the states are the first tensor that the module receives.
        channels_first: whether the last two dimensions are (width, n_positions).
    """

    module: nn.Module
    at_input: bool = False
    channels_first: bool = False


def decoder_points(layers: Any, norm: nn.Module, head: nn.Module) -> dict[str, SitePoint]:  # noqa: ANN401
    """Return the sites of a language model whose layers have `self_attn` and `mlp`.

    Args:
        layers: the layers, in order; their first argument is the residual stream.
        norm: the final norm.
        head: the module that computes logits.
    """
    points = {"lm.embed": SitePoint(layers[0], at_input=True)}
    for n, layer in enumerate(layers):
        points[f"lm.attn.{n}"] = SitePoint(layer.self_attn)
        points[f"lm.mlp.{n}"] = SitePoint(layer.mlp)
        points[f"lm.resid.{n}"] = SitePoint(layer)
    return points | {"lm.norm": SitePoint(norm), "lm.logits": SitePoint(head)}


def logits_of(states: Tensor, norm: nn.Module, head: nn.Module, *, normalized: bool) -> Tensor:
    """Return the logits of the vocabulary for states of the residual stream.

    Args:
        states: shape (..., width).
        norm: the final norm.
        head: the module that computes logits.
        normalized: whether the norm was applied already, as at "lm.norm".
    """
    weight = next(norm.parameters())  # the head may have quantized weights
    # Offloaded weights (meta) move to the device that computes, and hooks move the states there.
    moved = states.to(states.device if weight.is_meta else weight.device, weight.dtype)
    logits: Tensor = head(moved if normalized else norm(moved))
    return logits.float()


@contextmanager
def active_hooks(
    points: Mapping[str, SitePoint], hooks: Mapping[str, SiteHook], split: RowSplitter
) -> Iterator[None]:
    """Context manager in which the hooks are registered; it always removes them.

    Args:
        points: place of each site.
        hooks: hooks by site; sites that are not in `points` are ignored.
        split: returns the states of each prompt in a batch. For a contiguous tensor, the result
            must be views, into which replacements are written.
    """
    with ExitStack() as stack:
        for site, hook in hooks.items():
            if site in points:
                handle = _register(points[site], partial(_apply, site, hook, split))
                stack.callback(handle.remove)
        yield


def _register(point: SitePoint, apply: Callable[[Tensor], Tensor | None]) -> Any:  # noqa: ANN401
    """Register a function that returns replaced states, or None to keep them."""

    def transposed(states: Tensor) -> Tensor | None:
        if not point.channels_first:
            return apply(states)
        changed = apply(states.transpose(-1, -2))
        return None if changed is None else changed.transpose(-1, -2)

    def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
        if args:
            changed = transposed(args[0])
            return None if changed is None else ((changed, *args[1:]), kwargs)
        name = next(name for name, value in kwargs.items() if isinstance(value, Tensor))
        changed = transposed(kwargs[name])
        return None if changed is None else (args, kwargs | {name: changed})

    def after(_: nn.Module, __: object, output: Any) -> Any:  # noqa: ANN401
        if not isinstance(output, tuple):
            return transposed(output)
        changed = transposed(output[0])
        return None if changed is None else (changed, *output[1:])

    if point.at_input:
        # Before the hooks of the model's own adapters, which change the input of a layer.
        return point.module.register_forward_pre_hook(before, with_kwargs=True, prepend=True)
    return point.module.register_forward_hook(after)


def _apply(site: str, hook: SiteHook, split: RowSplitter, states: Tensor) -> Tensor | None:
    """Call a hook for each prompt in a batch, and return the changed states, if any."""
    changed: Tensor | None = None
    for number, rows in split(states).items():
        replacement = hook(number, rows)
        if replacement is None:
            continue
        if replacement.shape != rows.shape:
            raise InvalidInputError(
                f"Expected a replacement of shape {tuple(rows.shape)} at {site}, got "
                f"{tuple(replacement.shape)}. Return all positions of the site."
            )
        if changed is None:
            changed = states.clone(memory_format=torch.contiguous_format)
        split(changed)[number].copy_(replacement)
    return changed
