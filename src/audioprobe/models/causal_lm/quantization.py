"""Quantise the weights of a language model to 8 or 4 bits with bitsandbytes.

Source: Dettmers et al., "LLM.int8()", NeurIPS 2022, and "QLoRA", NeurIPS 2023. Only the linear
    layers
in LLaMA's blocks are quantised, which are 90 % of a 7B model. Audio prefix, LoRA, embeddings and
output layer are not quantised.
"""

from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import nn

from audioprobe.errors import optional_import

Quantization: TypeAlias = Literal["8bit", "4bit"]
QUANTIZATIONS: tuple[Quantization, ...] = get_args(Quantization)


def quantize(llama: nn.Module, kind: Quantization, dtype: torch.dtype) -> None:
    """Replace the linear layers of LLaMA's blocks; moving them to a device quantises them.

    "8bit" quantises weights by row and activations by token. LLM.int8() treats outlier columns
    separately; this is disabled because the choice of these columns would depend on the batch.
    "4bit" is NF4.

    Args:
        llama: the language model; changed in place.
        kind: "8bit" or "4bit".
        dtype: data type of the computation, for "4bit" only.

    Raises:
        MissingDependencyError: if bitsandbytes is not installed.
    """
    bnb: Any = optional_import("bitsandbytes.nn", extra="quantization")
    for name, linear in linear_layers(llama):
        options = {"bias": linear.bias is not None, "device": "meta"}
        sizes = (linear.in_features, linear.out_features)
        quantised: nn.Module
        if kind == "8bit":
            quantised = bnb.Linear8bitLt(*sizes, has_fp16_weights=False, threshold=0.0, **options)
            quantised.weight = bnb.Int8Params(
                linear.weight.data, requires_grad=False, has_fp16_weights=False
            )
        else:
            quantised = bnb.Linear4bit(*sizes, compute_dtype=dtype, quant_type="nf4", **options)
            quantised.weight = bnb.Params4bit(
                linear.weight.data, requires_grad=False, quant_type="nf4"
            )
        quantised.bias = linear.bias
        llama.set_submodule(name, quantised)


def linear_layers(llama: nn.Module) -> list[tuple[str, nn.Linear]]:
    """Return the layers to quantise by name: the linear layers of all blocks, except LoRA."""
    return [
        (name, module)
        for name, module in llama.named_modules()
        if ".layers." in name and type(module) is nn.Linear and ".lora_" not in name
    ]
