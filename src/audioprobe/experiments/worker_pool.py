"""Pool of processes on this machine that run the jobs of a study in parallel."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any

from audioprobe.errors import WorkerError
from audioprobe.experiments.job_pool import Context, Item, Result, WorkerSetup


class ProcessPool:
    """Pool whose workers are processes; open it with `worker_pool`.

    Args:
        executor: processes that have stored a `WorkerSetup`.
        n_workers: their number.
    """

    def __init__(self, executor: ProcessPoolExecutor, n_workers: int) -> None:
        self.n_workers = n_workers
        self._executor = executor

    def submit(self, job: Callable[[Any, Item], Result], item: Item) -> "Future[Result]":
        """Run a job in the next process that is free."""
        return self._executor.submit(_run_job, job, item)


@contextmanager
def worker_pool(n_workers: int, setup: WorkerSetup[Context]) -> Iterator[ProcessPool]:
    """Context manager with a pool of processes that share the CPU cores equally.

    If the block raises an error, or this process is killed, the workers end at once, even in the
    middle of a job. Otherwise they would hold the locks of their folders, and go on to the next
    jobs.

    Args:
        n_workers: number of processes.
        setup: how each process prepares itself.

    Raises:
        WorkerError: if a process is killed.
    """
    context = get_context("spawn")
    threads = max(1, (os.cpu_count() or 1) // n_workers)
    parent, own_end = context.Pipe(duplex=False)  # closed by the system if this process is killed
    initial = (parent, threads, setup)
    try:
        with ProcessPoolExecutor(n_workers, context, _start_worker, initial) as executor:
            try:
                yield ProcessPool(executor, n_workers)
            except BaseException as error:
                own_end.close()
                executor.shutdown(cancel_futures=True)
                if not isinstance(error, BrokenProcessPool):
                    raise
                raise WorkerError(
                    f"Expected jobs to end, but one of {n_workers} worker processes died. Finished "
                    "jobs are stored: run the same command again, with fewer --workers if memory "
                    "is short."
                ) from error
    finally:
        own_end.close()
        parent.close()


_SETUP: list[WorkerSetup[Any]] = []  # set once in each process
_CONTEXT: list[Any] = []  # built for the first job of each process


def _start_worker(parent: "Connection[Any, Any]", threads: int, setup: WorkerSetup[Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends this
    Thread(target=_exit_with_parent, args=(parent,), daemon=True).start()
    _limit_threads(threads)
    _SETUP.append(setup)


def _limit_threads(n_threads: int) -> None:
    """Limit the threads of torch, whether the arguments of this process imported it or not.

    This module does not import it: a run with a model on a server needs no torch.
    """
    wished = os.environ.get("OMP_NUM_THREADS", "")  # read at the import of torch
    if not wished.isdecimal() or int(wished) > n_threads:
        os.environ["OMP_NUM_THREADS"] = str(n_threads)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(min(n_threads, torch.get_num_threads()))


def _run_job(job: Callable[[Any, Item], Result], item: Item) -> Result:
    if not _CONTEXT:  # not in `_start_worker`, whose errors have no cause in the parent
        _CONTEXT.append(_SETUP[0].build(*_SETUP[0].arguments))
    return job(_CONTEXT[0], item)


def _exit_with_parent(parent: "Connection[Any, Any]") -> None:
    """End this process when the other end of a pipe is closed."""
    try:
        parent.recv()
    finally:
        os._exit(1)
