"""Compilation of the layers of a language model for training.

torch.compile fuses the many small operations of LoRA, norms and casts, which take more than half of
the time of a training step of a small model on a CPU.
"""

import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn

from audioprobe.training.arguments import TrainingArguments
from audioprobe.training.trainable import TrainableModel

COMPILERS = ("g++", "clang++", "c++")
"""Programs that torch.compile can use, if the environment variable CXX names no other one."""


@contextmanager
def compiled_layers(model: TrainableModel, arguments: TrainingArguments) -> Iterator[None]:
    """Context manager in which a model trains with compiled layers, if the arguments ask for it.

    Layers in evaluation mode are not compiled, so that generation does not change. All layers share
    one compiled program, for batches of any size. It would contain the hooks of one layer, so layers
    with hooks on inner modules (the connector "keys_values") are not compiled. Without a C++
    compiler, a warning is given and nothing is compiled.

    Args:
        model: the model; its layers compute as before when the block ends.
        arguments: nothing is done unless `arguments.compile` is True.
    """
    layers: list[nn.Module] = []
    if arguments.compile and _has_compiler():
        layers = [layer for layer in model.language_layers if not _has_inner_hooks(layer)]
    for layer in layers:
        # Hooks on the layer itself (the connector "cross_attention") stay outside of `forward`.
        compiled = torch.compile(layer.forward, dynamic=True)
        layer.forward = partial(_forward, layer, compiled, layer.forward)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward  # the method of the class is visible again


def _forward(
    layer: nn.Module,
    compiled: Callable[..., Any],
    plain: Callable[..., Any],
    *args: object,
    **kwargs: object,
) -> Any:  # noqa: ANN401 - layers of transformers have no type
    return (compiled if layer.training else plain)(*args, **kwargs)


def _has_inner_hooks(layer: nn.Module) -> bool:
    return any(
        module._forward_pre_hooks or module._forward_hooks  # noqa: SLF001 - no public names
        for module in layer.modules()
        if module is not layer
    )


def _has_compiler() -> bool:
    """Return whether there is a C++ compiler; warn if there is none."""
    named = os.environ.get("CXX")
    if any(shutil.which(name) for name in ([named] if named else COMPILERS)):
        return True
    warnings.warn(
        f"compile=True needs a C++ compiler ({', '.join(COMPILERS)}, or the one that the environment "
        "variable CXX names), and none was found. The layers are not compiled: training is slower, "
        "and its result differs by rounding.",
        stacklevel=4,
    )
    return False
