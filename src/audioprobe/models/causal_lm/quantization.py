"""The language model's weights in 8 or 4 bits, by bitsandbytes.

Source: Dettmers et al., "LLM.int8()", NeurIPS 2022, and "QLoRA", NeurIPS 2023. Only the linear maps
inside LLaMA's blocks are quantised, nine tenths of a 7B model; sound, adapters, embeddings and the
output stay as they are.
"""

from typing import Any, Literal, TypeAlias

import torch
from torch import nn

from audioprobe.errors import needs_extra

Quantization: TypeAlias = Literal["8bit", "4bit"]
QUANTIZATIONS: tuple[Quantization, ...] = ("8bit", "4bit")


def quantize(llama: nn.Module, kind: Quantization, dtype: torch.dtype) -> None:
    """Replace the linear maps of LLaMA's blocks, adapters aside; quantised when moved to a device.

    "8bit" quantises weights by row and activations by token, without LLM.int8()'s separate path
    for outliers: which columns are outliers would depend on the batch. "4bit" is NF4.

    Args:
        llama: changed in place.
        kind: how.
        dtype: numbers to compute with, in "4bit".

    Raises:
        MissingDependencyError: if bitsandbytes is not installed.
    """
    with needs_extra("quantization"):
        import bitsandbytes  # noqa: PLC0415 - an extra that only this function needs
    linear = _eight_bit if kind == "8bit" else _four_bit
    for name, module in linear_maps(llama):
        parent, _, own = name.rpartition(".")
        setattr(llama.get_submodule(parent), own, linear(bitsandbytes.nn, module, dtype))


def linear_maps(llama: nn.Module) -> list[tuple[str, nn.Linear]]:
    """What is quantised, with its name: the linear maps of the blocks, adapters aside."""
    return [
        (name, module)
        for name, module in llama.named_modules()
        if ".layers." in name and type(module) is nn.Linear and ".lora_" not in name
    ]


def _eight_bit(bnb: Any, module: nn.Linear, _: torch.dtype) -> nn.Module:  # noqa: ANN401
    quantised: nn.Module = bnb.Linear8bitLt(
        module.in_features,
        module.out_features,
        bias=module.bias is not None,
        has_fp16_weights=False,
        threshold=0.0,
        device="meta",
    )
    quantised.weight = bnb.Int8Params(
        module.weight.data, requires_grad=False, has_fp16_weights=False
    )
    quantised.bias = module.bias
    return quantised


def _four_bit(bnb: Any, module: nn.Linear, dtype: torch.dtype) -> nn.Module:  # noqa: ANN401
    quantised: nn.Module = bnb.Linear4bit(
        module.in_features,
        module.out_features,
        bias=module.bias is not None,
        compute_dtype=dtype,
        quant_type="nf4",
        device="meta",
    )
    quantised.weight = bnb.Params4bit(module.weight.data, requires_grad=False, quant_type="nf4")
    quantised.bias = module.bias
    return quantised
