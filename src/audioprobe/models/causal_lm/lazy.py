"""Sounds that are encoded once, though many questions about them follow each other."""

import copy
from collections.abc import Callable
from functools import update_wrapper
from typing import Any

import torch

TOWER = "audio_tower"
"""What transformers calls the half of a model that hears."""


def encode_lazily(net: Any) -> None:  # noqa: ANN401 - models have no common type
    """Let the hearing half of a model keep its last output, and give it for equal inputs.

    A model whose hearing half has another name stays as it is.
    """
    for name, module in net.named_modules():
        if name.rpartition(".")[2] == TOWER:
            module.forward = _LazyEncoding(module.forward)


class _LazyEncoding:
    def __init__(self, forward: Callable[..., Any]) -> None:
        self._forward = forward
        self._last: tuple[tuple[Any, ...], dict[str, Any], Any] | None = None
        update_wrapper(self, forward)  # whoever asks for the signature gets its own

    def __call__(self, *given: Any, **options: Any) -> Any:  # noqa: ANN401
        """Copies, for nobody knows what is done to an output afterwards."""
        if self._last is not None:
            before, named, output = self._last
            if _equal([*before], [*given]) and _equal(named, options):
                return copy.deepcopy(output)
        output = self._forward(*given, **options)
        self._last = given, options, copy.deepcopy(output)
        return output


def _equal(one: Any, other: Any) -> bool:  # noqa: ANN401
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    return type(one) is type(other) and bool(one == other)
