"""Pool of processes that train and evaluate runs of a study in parallel."""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any

import torch


@contextmanager
def worker_pool(
    n_workers: int, start: Callable[..., None], arguments: tuple[object, ...]
) -> Iterator[ProcessPoolExecutor]:
    """Context manager with a pool of processes that share the CPU cores equally.

    If the block raises an error, or this process is killed, the workers end at once, even in the
    middle of a task. Otherwise they would hold the locks of their folders, and go on to the next
    tasks.

    Args:
        n_workers: number of processes.
        start: function that is called once in each process, before the first task.
        arguments: arguments of `start`.
    """
    context = get_context("spawn")
    threads = max(1, (os.cpu_count() or 1) // n_workers)
    parent, own_end = context.Pipe(duplex=False)  # closed by the system if this process is killed
    initial = (parent, threads, start, arguments)
    try:
        with ProcessPoolExecutor(n_workers, context, _start_worker, initial) as pool:
            try:
                yield pool
            except BaseException:
                own_end.close()
                pool.shutdown(cancel_futures=True)
                raise
    finally:
        own_end.close()
        parent.close()


def _start_worker(
    parent: "Connection[Any, Any]",
    threads: int,
    start: Callable[..., None],
    arguments: tuple[object, ...],
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends this
    Thread(target=_exit_with_parent, args=(parent,), daemon=True).start()
    torch.set_num_threads(threads)
    start(*arguments)


def _exit_with_parent(parent: "Connection[Any, Any]") -> None:
    """End this process when the other end of a pipe is closed."""
    try:
        parent.recv()
    finally:
        os._exit(1)
