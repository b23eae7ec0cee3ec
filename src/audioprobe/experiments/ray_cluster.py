"""Workers of a Ray cluster that run the jobs of a study; importing this module needs extra `ray`.

A worker is a Ray actor: a process of the cluster that runs one job at a time. If it dies, Ray
starts it again, possibly on another machine, and repeats its job in progress.
"""

import os
import socket
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audioprobe.errors import InvalidInputError, WorkerError, needs_extra
from audioprobe.experiments.job_pool import Context, Item, Result, WorkerSetup
from audioprobe.io.atomic import atomic_write
from audioprobe.results.provenance import versions

with needs_extra("ray"):
    import ray
    from ray.exceptions import RayActorError

LOCAL = "ray"
"""Address that starts a cluster on this machine."""

MAX_REPEATS = 3
"""How often a job is repeated after its worker died."""

_CHECK = "cluster-check"  # name of a file in the common folder


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a worker must have in common with the process that started the study.

    Attributes:
        versions: versions of the libraries that can change results.
        working_folder: folder that relative paths start from.
        folder: common folder of all workers; None if there is none.
        token: content of a file in that folder.
    """

    versions: Mapping[str, str]
    working_folder: Path
    folder: Path | None
    token: str

    def adopt(self) -> None:
        """Change to the working folder, if this machine has it, and check versions and folder.

        Raises:
            InvalidInputError: if the versions differ, or this machine does not have the folder.
        """
        machine = socket.gethostname()
        names = sorted({*self.versions, *versions()})
        pairs = {name: (self.versions.get(name), versions().get(name)) for name in names}
        different = [f"{n}: {a} and {b}" for n, (a, b) in pairs.items() if a != b]
        if different:
            raise InvalidInputError(
                f"Machine {machine!r} of the Ray cluster: expected the versions of the first "
                f"process, received others ({'; '.join(different)}). Install the same versions."
            )
        if self.working_folder.is_dir():
            os.chdir(self.working_folder)
        if self.folder is not None and not self._shares(self.folder):
            raise InvalidInputError(
                f"Machine {machine!r} of the Ray cluster: expected the folder of the study at "
                f"{self.folder}, which all machines must share because workers write checkpoints "
                "and results there; it is missing, another one, or not writable. Pass an --out on "
                "a file system that is mounted under the same path on all machines."
            )

    def _shares(self, folder: Path) -> bool:
        path = folder / _CHECK
        is_same = path.is_file() and path.read_text(encoding="utf-8") == self.token
        return is_same and os.access(folder, os.W_OK)


class JobActor:
    """Ray actor that runs jobs.

    Args:
        setup: how the worker prepares itself.
        surroundings: what the machine of the worker must have.
    """

    def __init__(self, setup: WorkerSetup[Any], surroundings: Surroundings) -> None:
        self._setup = setup
        self._surroundings = surroundings
        self._context: list[Any] = []

    def run(self, job: Callable[[Any, Item], Result], item: Item) -> tuple[Any, Exception | None]:
        """Return the result of a job, or None and the error.

        The error is returned because Ray would raise it as an error of another class. For the same
        reason, the context is built here and not when the actor starts.
        """
        try:
            if not self._context:
                self._surroundings.adopt()
                self._context.append(self._setup.build(*self._setup.arguments))
            return job(self._context[0], item), None
        except Exception as error:  # noqa: BLE001 - raised by the future
            return None, error


class RayPool:
    """Pool whose workers are actors of a Ray cluster; open it with `ray_pool`.

    Args:
        actors: the actors.
    """

    def __init__(self, actors: Sequence[Any]) -> None:
        self.n_workers = len(actors)
        self._actors = actors
        self._running: list[set[Future[Any]]] = [set() for _ in actors]

    def submit(self, job: Callable[[Any, Item], Result], item: Item) -> "Future[Result]":
        """Run a job in the worker with the fewest unfinished jobs.

        Raises:
            WorkerError: by the future, if the workers that run the job die again and again.
        """
        self._running = [{f for f in jobs if not f.done()} for jobs in self._running]
        number = min(range(self.n_workers), key=lambda n: len(self._running[n]))
        future: Future[Result] = Future()
        reference = self._actors[number].run.remote(job, item)
        self._running[number].add(future)
        reference.future().add_done_callback(lambda done: _settle(future, done))
        return future


@contextmanager
def ray_pool(
    address: str, n_workers: int, gpus: float | None, setup: WorkerSetup[Context]
) -> Iterator[RayPool]:
    """Context manager with workers on a Ray cluster; they end with the block.

    Args:
        address: "ray" starts a cluster on this machine; otherwise the address of a cluster, such as
            "HOST:6379", or "auto" for the cluster that this machine belongs to.
        n_workers: number of workers, which share the CPU cores of the cluster equally.
        gpus: number of GPUs of each worker, or a share of one GPU; None means one if the cluster
            has any.
        setup: how each worker prepares itself. Its folder must be the same on all machines.

    Raises:
        InvalidInputError: if there is no cluster at the address, or it is too small.
    """
    _connect(address, n_workers)
    try:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if gpus is None:
            gpus = float(any(node.get("GPU") for node in nodes))
        options = {
            "num_cpus": cores_per_worker(nodes, n_workers, gpus),
            "num_gpus": gpus,
            "max_restarts": -1,
            "max_task_retries": MAX_REPEATS,
        }
        with _checked_folder(setup.folder) as surroundings:
            actor = ray.remote(JobActor).options(**options)
            yield RayPool([actor.remote(setup, surroundings) for _ in range(n_workers)])
    finally:
        ray.shutdown()


def cores_per_worker(nodes: Sequence[Mapping[str, float]], n_workers: int, gpus: float) -> int:
    """Return the largest number of CPU cores per worker with which all workers find a place.

    Args:
        nodes: resources of each machine: "CPU" and "GPU" with their numbers.
        n_workers: number of workers.
        gpus: number of GPUs per worker.

    Raises:
        InvalidInputError: if there is no place for all workers, even with one core each.
    """

    def places(cores: int) -> int:
        by_cores = [int(node.get("CPU", 0) // cores) for node in nodes]
        if not gpus:
            return sum(by_cores)
        numbers = [node.get("GPU", 0) for node in nodes]
        # A share of a GPU must lie on one GPU.
        by_gpus = [int(n // gpus) if gpus >= 1 else int(n) * int(1 / gpus) for n in numbers]
        return sum(map(min, by_cores, by_gpus))

    most = max((int(node.get("CPU", 0)) for node in nodes), default=0)
    for cores in range(most, 0, -1):
        if places(cores) >= n_workers:
            return cores
    raise InvalidInputError(
        f"Expected at most {places(1)} workers with one CPU core each (GPUs per worker: {gpus:g}) "
        f"on the {len(nodes)} machines of this Ray cluster, received {n_workers}. Lower "
        "--workers or --gpus, or add machines."
    )


def _connect(address: str, n_workers: int) -> None:
    """Start a cluster on this machine, or connect to one."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address == LOCAL:
        cores = max(os.cpu_count() or 1, n_workers)
        ray.init(address="local", num_cpus=cores, log_to_driver=False)
        return
    try:
        ray.init(address=address, log_to_driver=False)
    except (ValueError, RuntimeError, ConnectionError) as error:
        raise InvalidInputError(
            f"Expected a Ray cluster at {address!r}, cannot connect ({error}). Start one with `ray "
            "start --head`; if it requires a token, set RAY_AUTH_MODE=token here, too."
        ) from error


@contextmanager
def _checked_folder(folder: Path | None) -> Iterator[Surroundings]:
    """Context manager with the surroundings of this process; a file identifies the folder."""
    token = uuid.uuid4().hex
    absolute = None if folder is None else folder.absolute()
    if absolute is not None:
        absolute.mkdir(parents=True, exist_ok=True)
        atomic_write(absolute / _CHECK, token)
    try:
        yield Surroundings(versions(), Path.cwd(), absolute, token)
    finally:
        if absolute is not None:
            (absolute / _CHECK).unlink()


def _settle(future: "Future[Any]", done: "Future[Any]") -> None:
    """Give a future the result or the error of a job."""
    failure = done.exception()
    result, error = (None, failure) if failure else done.result()
    if isinstance(error, RayActorError):
        error = WorkerError(
            f"Expected a job to end, but its worker died {MAX_REPEATS + 1} times, or its machine "
            f"is gone ({error!s:.300}). Finished jobs are stored: run the same command again, with "
            "fewer --workers if memory is short."
        )
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
