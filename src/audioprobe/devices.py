"""Properties of devices: fast bfloat16 arithmetic and out-of-memory errors."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from audioprobe.errors import OutOfMemoryError

# On a CPU, torch raises a plain RuntimeError with one of these messages.
_CPU_MESSAGES = ("can't allocate memory", "not enough memory", "bad allocation")


def computes_in_bfloat16(device: str) -> bool:
    """Return whether a type of device ("cpu", "cuda") has fast bfloat16 arithmetic.

    A CPU that has no AVX-512 or similar instructions emulates bfloat16, about ten times slower than
    float32.
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
    """Convert a failed memory allocation into an `OutOfMemoryError`.

    This function is a context manager and a decorator.

    Args:
        advice: message of the error, which states what does not fit and what needs less memory.

    Raises:
        OutOfMemoryError: if memory could not be allocated.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemoryError(advice) from error
