"""Where the jobs of a study run: in this process, in several, or on a Ray cluster."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from audioprobe.errors import InvalidInputError, optional_import
from audioprobe.experiments.job_pool import Context, JobPool, SerialPool, WorkerSetup
from audioprobe.experiments.worker_pool import worker_pool


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the jobs of a study run.

    Results do not depend on the place if all workers compute with the same number of threads.

    Attributes:
        n_workers: number of processes that run jobs. With 1 and without a cluster, jobs run in this
            process.
        cluster: address of a Ray cluster, see `ray_cluster.ray_pool`; "" uses this machine without
            Ray.
        gpus: number of GPUs of each worker of a cluster, or a share of one GPU; None means one if
            the cluster has any.

    Raises:
        InvalidInputError: if a number is out of range, or `gpus` is given without a cluster.
    """

    n_workers: int = 1
    cluster: str = ""
    gpus: float | None = None

    def __post_init__(self) -> None:
        if self.n_workers < 1:
            raise InvalidInputError(f"Expected n_workers of at least 1, received {self.n_workers}.")
        if self.gpus is None:
            return
        if not self.cluster:
            raise InvalidInputError(
                "Expected a number of GPUs only for workers of a Ray cluster, which assigns them, "
                f"received gpus = {self.gpus:g} without one. Pass --on ray for this machine."
            )
        if not (0 <= self.gpus < 1 or self.gpus == int(self.gpus) > 0):
            raise InvalidInputError(
                f"Expected a number of GPUs per worker, or a share of one below 1, received "
                f"{self.gpus:g}."
            )

    @property
    def is_here(self) -> bool:
        """Whether jobs run in this process."""
        return self.n_workers == 1 and not self.cluster

    @contextmanager
    def workers(self, setup: WorkerSetup[Context]) -> Iterator[JobPool[Any]]:
        """Context manager with workers in other processes.

        Args:
            setup: how each worker prepares itself.

        Raises:
            InvalidInputError: see `ray_cluster.ray_pool`.
            MissingDependencyError: if a cluster is named and the extra `ray` is not installed.
        """
        if self.cluster:
            ray = optional_import("audioprobe.experiments.ray_cluster", "ray")
            with ray.ray_pool(self.cluster, self.n_workers, self.gpus, setup) as pool:
                yield pool
        else:
            with worker_pool(self.n_workers, setup) as pool:
                yield pool

    @contextmanager
    def jobs(
        self, here: Callable[[], Context], setup: WorkerSetup[Context]
    ) -> Iterator[JobPool[Context]]:
        """Context manager with a pool of workers, or with one that runs jobs in this process.

        Args:
            here: function that returns the context of jobs in this process.
            setup: how each worker prepares itself otherwise.
        """
        if self.is_here:
            yield SerialPool(here())
        else:
            with self.workers(setup) as pool:
                yield pool


HERE = Placement()
"""Jobs run in this process."""
