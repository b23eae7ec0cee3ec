"""Properties of devices: bfloat16 arithmetic, deterministic algorithms, lack of memory."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from audioprobe.errors import OutOfMemoryError

# On a CPU, torch raises a plain RuntimeError with one of these messages.
_CPU_MESSAGES = ("can't allocate memory", "not enough memory", "bad allocation")


def computes_in_bfloat16(device: str) -> bool:
    """Return whether a device type ("cpu" or "cuda") has instructions for bfloat16.

    A CPU without such instructions (AVX-512 or similar) emulates bfloat16, which is about ten times
    slower than float32. The result for "cuda" is always True.
    """
    if device != "cpu":
        return True
    supported: bool = torch.ops.mkldnn._is_mkldnn_bf16_supported()  # noqa: SLF001 - no public name
    return supported


def placement(device: str, dtype: str = "float32") -> tuple[str, str]:
    """Return device and data type of a model, with "auto" replaced by the best choice.

    Args:
        device: "auto" is the first GPU that torch can use (CUDA), otherwise "cpu".
        dtype: "auto" is "bfloat16" on a GPU, which halves memory, and "float32" on a CPU, where
            results should not depend on the processor.

    Returns:
        Names such as ("cpu", "float32"); other arguments are returned unchanged.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if dtype == "auto":
        dtype = "bfloat16" if device.startswith("cuda") else "float32"
    return device, dtype


@contextmanager
def bfloat16_mode(device: str) -> Iterator[None]:
    """Context manager in which torch computes in bfloat16 on a device type ("cpu", "cuda").

    The data type of weights does not change (torch's autocast).
    """
    # The backward pass of torch's fused attention is slow in bfloat16 on CPUs: it took 37 % of a
    # training step.
    attention = sdpa_kernel(SDPBackend.MATH) if device == "cpu" else nullcontext()
    with attention, torch.autocast(device, torch.bfloat16):
        yield


@contextmanager
def deterministic_mode(device: str) -> Iterator[None]:
    """Context manager that makes torch use deterministic algorithms on "cuda".

    On the device type "cpu", nothing is changed.
    """
    was_deterministic = torch.are_deterministic_algorithms_enabled()
    warned_only = torch.is_deterministic_algorithms_warn_only_enabled()
    if device == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # required by torch for cuBLAS
        torch.use_deterministic_algorithms(True)  # warn_only would leave attention unchanged
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(was_deterministic, warn_only=warned_only)


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an exception means that memory could not be allocated."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(
        message in str(error) for message in _CPU_MESSAGES
    )


@contextmanager
def out_of_memory_advice(advice: str) -> Iterator[None]:
    """Context manager and decorator that replaces errors of memory allocation.

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
