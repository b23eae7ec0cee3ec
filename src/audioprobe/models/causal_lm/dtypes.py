"""Number formats by name."""

import torch

from audioprobe.errors import InvalidInputError

DTYPES = ("float32", "bfloat16", "float16")
"""What a network can compute with: 4, 2 and 2 bytes per parameter."""


def dtype_of(name: str) -> torch.dtype:
    """Torch's number format of this name.

    Raises:
        InvalidInputError: if it is none of `DTYPES`.
    """
    if name not in DTYPES:
        raise InvalidInputError(f"dtype must be one of {', '.join(DTYPES)}, got {name!r}.")
    dtype: torch.dtype = getattr(torch, name)
    return dtype
