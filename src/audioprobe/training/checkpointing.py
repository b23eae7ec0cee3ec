"""The state of a training on disk: whole or not there, and nothing in it that could run code."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from audioprobe.errors import WeightsError
from audioprobe.io.atomic import atomic_open


def save(path: Path, state: Mapping[str, Any]) -> None:
    """Write a state, so that a crash at any moment leaves the old file or the new one.

    Args:
        path: the file; its folder exists.
        state: tensors, numbers, texts, and dictionaries and lists of them.

    Raises:
        OSError: if the disk is full or not writable; the old file is as it was.
    """
    with atomic_open(path) as stream:
        torch.save(dict(state), stream)


def load(path: Path) -> dict[str, Any]:
    """Read what `save` wrote, as data.

    Raises:
        WeightsError: if the file is damaged or holds something else.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler's own class is private
        raise WeightsError(
            f"{path}: could not be read ({error!s:.200}). Delete it to begin from the start."
        ) from error
    return state


def restore(module: torch.nn.Module, weights: Mapping[str, Tensor]) -> bool:
    """Put saved weights into the parameters that are being trained.

    Returns:
        False, and nothing is changed, if they are of other names or sizes.
    """
    own = trained(module)
    if own.keys() != weights.keys():
        return False
    if any(own[name].shape != tensor.shape for name, tensor in weights.items()):
        return False
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(weights[name])
    return True


def trained(module: torch.nn.Module) -> dict[str, Tensor]:
    """The parameters that are being trained, by name."""
    return {
        name: parameter.detach()
        for name, parameter in module.named_parameters()
        if parameter.requires_grad
    }


def copied(module: torch.nn.Module) -> dict[str, Tensor]:
    """A copy of the parameters that are being trained, by name, as they are now, on the CPU."""
    return {name: weights.to("cpu", copy=True) for name, weights in trained(module).items()}
