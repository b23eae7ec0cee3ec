"""Notices of other libraries that say nothing about a result, kept out of standard error.

Only the lines that are named here are dropped. Everything else passes, also what a library writes
while it crashes.
"""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_KERNEL_LOGGER = "bitsandbytes.backends.cpu.ops"
_KERNEL_NOTICE = "Failed to load CPU gemm_4bit_forward"  # told on import, whoever needs 4 bits
_TFLITE_NOTICE = "Created TensorFlow Lite XNNPACK delegate"
_FILTER = """
import sys
notice = sys.argv[1].encode()
for line in sys.stdin.buffer:
    if notice not in line:
        sys.stderr.buffer.write(line)
        sys.stderr.buffer.flush()
"""
_ENDS_WITHIN_S = 5.0  # longer only if another process was started meanwhile and holds the pipe


def hide_kernel_notice() -> None:
    """Let bitsandbytes not announce that its optional kernels are missing; its errors stay."""
    logging.getLogger(_KERNEL_LOGGER).addFilter(
        lambda record: not str(record.msg).startswith(_KERNEL_NOTICE)
    )


@contextmanager
def without_tflite_notice() -> Iterator[None]:
    """Where TensorFlow Lite does not announce its delegate.

    C++ writes the notice to file descriptor 2. A process of its own reads the descriptor meanwhile
    and passes everything else on: it also outlives a crash of this one.
    """
    try:
        kept = os.dup(2)
    except OSError:  # standard error is closed: there is nothing to keep clean
        yield
        return
    reader = subprocess.Popen(  # noqa: S603 - this interpreter, with the code above
        [sys.executable, "-I", "-S", "-c", _FILTER, _TFLITE_NOTICE],
        stdin=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for this process
    )
    assert reader.stdin is not None  # noqa: S101 - a pipe was asked for
    os.dup2(reader.stdin.fileno(), 2)
    reader.stdin.close()
    try:
        yield
    finally:
        os.dup2(kept, 2)  # ends what the reader reads
        os.close(kept)
        with suppress(subprocess.TimeoutExpired):
            reader.wait(_ENDS_WITHIN_S)
