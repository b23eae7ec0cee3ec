"""Number format of the weights of an LTU: data type, quantisation, merged LoRA."""

import torch

from audioprobe.errors import InvalidInputError
from audioprobe.models.ltu.network import (
    QUANTIZATIONS,
    LTUNetwork,
    Quantization,
    merge_lora,
    quantize,
)


def check_quantization(quantization: str | None) -> None:
    """Raise `InvalidInputError` unless it is None or one of `QUANTIZATIONS`."""
    if quantization not in (None, *QUANTIZATIONS):
        raise InvalidInputError(
            f"Expected quantization None, {' or '.join(QUANTIZATIONS)}, got {quantization!r}."
        )


def set_number_format(
    net: LTUNetwork, dtype: torch.dtype, quantization: Quantization | None
) -> None:
    """Convert the weights of a network for inference, in place; float32 also merges LoRA."""
    net.to(dtype)
    if quantization is None:
        merge_float32_lora(net)
    else:
        quantize(net.llama, quantization, dtype)


def merge_float32_lora(net: LTUNetwork) -> None:
    """Merge LoRA into the weights of the LLaMA if they are float32, in place.

    Inference is faster. Rounding to a shorter data type would lose small changes.
    """
    if net.llama.dtype == torch.float32:
        merge_lora(net.llama)
