"""Saved training states: written atomically, and read without executing code from the file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from audioprobe.errors import WeightsError
from audioprobe.io.atomic import atomic_open


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a training state to a file; after a crash, the old or the new file is complete.

    Args:
        path: path of the file; its folder must exist.
        state: tensors, numbers and strings, possibly in nested dictionaries and lists.

    Raises:
        OSError: if the file cannot be written; an existing file is unchanged.
    """
    with atomic_open(path) as stream:
        torch.save(dict(state), stream)


def load_state(path: Path) -> dict[str, Any]:
    """Read a training state that `save_state` has written.

    Raises:
        WeightsError: if the file is missing, damaged, or not a training state.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler's own exception is private
        raise WeightsError(
            f"{path}: the training state cannot be read ({error!s:.200}). Delete the file to start "
            "the training again."
        ) from error
    return state


def trainable_weights(module: nn.Module) -> dict[str, Tensor]:
    """Return the trainable parameters by name, detached but not copied."""
    named = module.named_parameters()
    return {name: parameter.detach() for name, parameter in named if parameter.requires_grad}


def copy_trainable_weights(module: nn.Module) -> dict[str, Tensor]:
    """Return copies of the trainable parameters by name, on the CPU."""
    return {name: tensor.to("cpu", copy=True) for name, tensor in trainable_weights(module).items()}


def load_trainable_weights(module: nn.Module, weights: Mapping[str, Tensor]) -> bool:
    """Copy weights into the trainable parameters.

    Returns:
        True if the weights were copied; False if names or shapes differ, and nothing was changed.
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
