"""What devices can do: fast arithmetic in bfloat16, and running out of memory."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from audioprobe.errors import OutOfMemoryError

# Messages of torch on a CPU, where it raises a plain RuntimeError.
_CPU_MESSAGES = ("can't allocate memory", "not enough memory", "bad allocation")


def computes_in_bfloat16(device: str) -> bool:
    """Return whether a kind of device ("cpu", "cuda") has fast arithmetic in bfloat16.

    A processor without AVX-512 or the like emulates it, about ten times slower than float32.
    """
    if device != "cpu":
        return True
    supported: bool = torch.ops.mkldnn._is_mkldnn_bf16_supported()  # noqa: SLF001 - no public name
    return supported


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an exception means that memory could not be allocated."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(
        message in str(error) for message in _CPU_MESSAGES
    )


@contextmanager
def out_of_memory_advice(advice: str) -> Iterator[None]:
    """Turn a failed allocation into an `OutOfMemoryError`; a context manager and a decorator.

    Args:
        advice: message of the error: what does not fit, and what would.

    Raises:
        OutOfMemoryError: with the advice.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemoryError(advice) from error
