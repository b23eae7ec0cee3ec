"""Networks with random weights, against which measures of a trained network are compared."""

from copy import deepcopy
from dataclasses import replace
from typing import TypeVar

import torch
from torch import nn

from audioprobe.errors import UnsupportedInputError
from audioprobe.types import ComponentInfo

Network = TypeVar("Network", bound=nn.Module)


def with_random_weights(net: Network, seed: int) -> Network:
    """Return a copy of a network in which the entries of each weight tensor are permuted.

    The values of a tensor, and so their mean and their variance, are those of the trained network;
    only their arrangement is lost.

    Raises:
        UnsupportedInputError: if the network has quantized weights, or weights on the disk or
            offloaded to the CPU.
    """
    if any(parameter.is_meta for parameter in net.parameters()):
        raise UnsupportedInputError(
            "Expected weights in the memory of the devices that compute, got offloaded weights. "
            "Load the model with a device_map without offloading."
        )
    copy = deepcopy(net)
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in copy.named_parameters():
        if not parameter.is_floating_point():
            raise UnsupportedInputError(
                f"Expected weights in float32, bfloat16 or float16, got {parameter.dtype} "
                f"({name}). Load the model without quantization."
            )
        order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
        parameter.data = parameter.data.flatten()[order].view_as(parameter)
    return copy


def randomized_info(info: ComponentInfo, seed: int) -> ComponentInfo:
    """Return the identity of a model whose weights were permuted."""
    return replace(info, options={**info.options, "permuted weights, seed": seed})
