"""Training states on disk: written atomically, and read without running code."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from audioprobe.errors import WeightsError
from audioprobe.io.atomic import atomic_open


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a state; a crash at any moment leaves the old file or the new one.

    Args:
        path: in an existing folder.
        state: tensors, numbers and strings, and dictionaries and lists of them.

    Raises:
        OSError: if the file cannot be written; the old one is unchanged.
    """
    with atomic_open(path) as stream:
        torch.save(dict(state), stream)


def load_state(path: Path) -> dict[str, Any]:
    """Read a state of `save_state`.

    Raises:
        WeightsError: if the file is missing or damaged, or holds something else.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler's own exception is private
        raise WeightsError(
            f"{path}: unreadable training state ({error!s:.200}). Delete it to start again."
        ) from error
    return state


def trainable_weights(module: nn.Module) -> dict[str, Tensor]:
    """Return the parameters that require gradients, by name, detached but not copied."""
    named = module.named_parameters()
    return {name: parameter.detach() for name, parameter in named if parameter.requires_grad}


def copy_trainable_weights(module: nn.Module) -> dict[str, Tensor]:
    """Return copies of the parameters that require gradients, by name, on the CPU."""
    return {name: tensor.to("cpu", copy=True) for name, tensor in trainable_weights(module).items()}


def load_trainable_weights(module: nn.Module, weights: Mapping[str, Tensor]) -> bool:
    """Copy weights into the parameters that require gradients.

    Returns:
        False, without a change, if names or shapes differ.
    """
    parameters = trainable_weights(module)
    if {name: p.shape for name, p in parameters.items()} != {
        n: w.shape for n, w in weights.items()
    }:
        return False
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(weights[name])
    return True
