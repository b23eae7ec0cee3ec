"""Run the independent jobs of a study: in this process, or in the workers of a `JobPool`.

A job is a function of a context and of one item, such as a training run. The context is what a
worker computes once for all of its jobs, such as a loaded model. Functions, items and results are
sent between processes, so they must be importable, or possible to pickle.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from audioprobe.errors import AudioProbeError

Context = TypeVar("Context")
Context_co = TypeVar("Context_co", covariant=True)
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class WorkerSetup(Generic[Context]):
    """How a worker prepares itself for jobs.

    Attributes:
        build: function that returns the context; called once in each worker, before its first job.
        arguments: arguments of `build`.
        folder: folder that all workers read and write; None if they need no common folder.
    """

    build: Callable[..., Context]
    arguments: tuple[object, ...] = ()
    folder: Path | None = None


class JobPool(Protocol[Context_co]):
    """Interface of what runs jobs.

    Attributes:
        n_workers: number of jobs that run at the same time.
    """

    n_workers: int

    def submit(self, job: Callable[[Context_co, Item], Result], item: Item) -> "Future[Result]":
        """Run a job as soon as a worker is free; its errors are those of the future."""
        ...


class SerialPool(Generic[Context]):
    """Pool that runs each job in this process when it is submitted.

    Args:
        context: context of all jobs.
    """

    n_workers = 1

    def __init__(self, context: Context) -> None:
        self._context = context

    def submit(self, job: Callable[[Context, Item], Result], item: Item) -> "Future[Result]":
        """Run a job; return a future that is done."""
        future: Future[Result] = Future()
        try:
            future.set_result(job(self._context, item))
        except Exception as error:  # noqa: BLE001 - raised by future.result()
            future.set_exception(error)
        return future


def run_jobs(
    pool: JobPool[Context],
    job: Callable[[Context, Item], Result],
    items: Iterable[Item],
    failures: list[AudioProbeError] | None = None,
) -> Iterator[Result]:
    """Yield the result of a job for each item, in the order in which the jobs end.

    Args:
        pool: what runs the jobs.
        job: the job.
        items: read when a worker is free.
        failures: list to which the error of a job that fails is appended; the other jobs continue.
            None raises the first error.

    Raises:
        AudioProbeError: the error of a job, if `failures` is None.
    """
    remaining = iter(items)
    running = {pool.submit(job, item) for item in islice(remaining, pool.n_workers)}
    while running:
        done, running = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            try:
                result = future.result()
            except AudioProbeError as error:
                if failures is None:
                    raise
                failures.append(error)
            else:
                yield result
            running |= {pool.submit(job, item) for item in islice(remaining, 1)}
