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
    if quantization is not None:
        quantize(net.llama, quantization, dtype)
    elif dtype == torch.float32:  # rounding to a shorter type would lose small changes
        merge_lora(net.llama)
