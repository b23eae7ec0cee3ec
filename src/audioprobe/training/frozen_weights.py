"""Frozen weights in bfloat16 for training steps that compute in bfloat16."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class FrozenBFloat16:
    """Copies in bfloat16 of the frozen float32 weights of linear layers.

    Autocast converts weights in every step, and keeps the result within a step only for weights
    that are trained. With copies, a step has the same result and takes about a tenth less time on
    a CPU (`python benchmarks/frozen_weights.py`). They need half as much memory as the weights.

    Args:
        module: module whose weights are copied; they must not change afterwards.
    """

    def __init__(self, module: nn.Module) -> None:
        self._weights = frozen_linear_weights(module)
        self._copies = [weight.detach().to(torch.bfloat16) for weight in self._weights]

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Context manager in which the copies replace the weights, for forward and backward."""
        originals = [weight.data for weight in self._weights]
        try:
            _set(self._weights, self._copies)
            yield
        finally:
            _set(self._weights, originals)


def frozen_linear_weights(module: nn.Module) -> list[nn.Parameter]:
    """Return the float32 weights that linear layers alone use, and that are not trained.

    A matrix of embeddings that is also the weight of the output layer is left out: its rows would
    change the data type of the first hidden states.
    """
    owners: dict[nn.Parameter, bool] = {}  # whether all owners are linear layers
    for layer in module.modules():
        for parameter in layer.parameters(recurse=False):
            is_linear = isinstance(layer, nn.Linear) and parameter is layer.weight
            owners[parameter] = owners.get(parameter, True) and is_linear
    return [
        weight
        for weight, is_linear in owners.items()
        if is_linear and not weight.requires_grad and weight.dtype == torch.float32
    ]


def _set(weights: list[nn.Parameter], values: list[Tensor]) -> None:
    for weight, value in zip(weights, values, strict=True):
        weight.data = value
