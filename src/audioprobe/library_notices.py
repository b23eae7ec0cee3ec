"""Filters that remove irrelevant notices of other libraries from standard error.

Only the notices in this module are removed; all other output is kept, including that of a crash.
"""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_KERNEL_LOGGER = "bitsandbytes.backends.cpu.ops"
_KERNEL_NOTICE = "Failed to load CPU gemm_4bit_forward"  # logged at import, even if irrelevant
_TFLITE_NOTICE = "Created TensorFlow Lite XNNPACK delegate"
_FILTER = """
import sys
notice = sys.argv[1].encode()
for line in sys.stdin.buffer:
    if notice not in line:
        sys.stderr.buffer.write(line)
        sys.stderr.buffer.flush()
"""
_TIMEOUT_S = 5.0  # reached only if a child process keeps the pipe open


def hide_kernel_notice() -> None:
    """Hide the notice of bitsandbytes about missing optional kernels; keep other messages."""
    logging.getLogger(_KERNEL_LOGGER).addFilter(
        lambda record: not str(record.msg).startswith(_KERNEL_NOTICE)
    )


@contextmanager
def without_tflite_notice() -> Iterator[None]:
    """Context manager that hides the notice of TensorFlow Lite about its delegate.

    C++ code writes the notice to file descriptor 2. A separate process filters this descriptor, so
    that output is kept even if this process crashes.
    """
    try:
        original = os.dup(2)
    except OSError:  # standard error is closed
        yield
        return
    reader = subprocess.Popen(  # noqa: S603 - runs this interpreter with the code above
        [sys.executable, "-I", "-S", "-c", _FILTER, _TFLITE_NOTICE],
        stdin=subprocess.PIPE,
        start_new_session=True,  # not interrupted by Ctrl-C
    )
    assert reader.stdin is not None  # noqa: S101 - because of PIPE
    os.dup2(reader.stdin.fileno(), 2)
    reader.stdin.close()
    try:
        yield
    finally:
        os.dup2(original, 2)  # closes the pipe
        os.close(original)
        with suppress(subprocess.TimeoutExpired):
            reader.wait(_TIMEOUT_S)
