"""Workers end with the process that started them, even in the middle of a task."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.processes import SETTINGS

from audioprobe.errors import TrainingError, WorkerError
from audioprobe.experiments.job_pool import WorkerSetup
from audioprobe.experiments.worker_pool import worker_pool

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self").exists(), reason="reads /proc"),
]


def setup(folder: Path) -> WorkerSetup[Path]:
    return WorkerSetup(Path, (str(folder),))


def sleep(folder: Path, name: str) -> None:
    """Write the id of the process, and sleep much longer than a test."""
    (folder / name).write_text(str(os.getpid()))
    time.sleep(600)


def fail(folder: Path, name: str) -> str:
    raise TrainingError(f"{folder}: {name}")


def double(folder: Path, number: int) -> int:
    assert folder.is_dir()
    return 2 * number


def wait_for_pid(path: Path) -> int:
    deadline = time.monotonic() + 120
    while not (path.is_file() and path.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return int(path.read_text())


def wait_for_end(pid: int) -> None:
    deadline = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, "the worker is still there"
        time.sleep(0.05)


def test_results_and_errors_of_tasks_are_returned(tmp_path: Path) -> None:
    with worker_pool(1, setup(tmp_path)) as pool:
        assert [pool.submit(double, n).result() for n in range(3)] == [0, 2, 4]
        with pytest.raises(TrainingError, match="diverged"):
            pool.submit(fail, "diverged").result()
        assert pool.submit(double, 4).result() == 8


def kill(folder: Path, name: str) -> None:
    del folder, name
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_is_killed_is_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(WorkerError, match="one of 1 worker processes died"),
        worker_pool(1, setup(tmp_path)) as pool,
    ):
        pool.submit(kill, "a").result()


def interrupt(folder: Path) -> None:
    """Submit three tasks to one worker, and interrupt the first."""
    with worker_pool(1, setup(folder)) as pool:
        for name in "abc":
            pool.submit(sleep, name)
        wait_for_pid(folder / "a")
        raise KeyboardInterrupt


def test_an_interruption_ends_running_and_waiting_tasks(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        interrupt(tmp_path)
    assert time.monotonic() - began < 300
    wait_for_end(wait_for_pid(tmp_path / "a"))
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


PARENT = """
import signal
import sys
from audioprobe.experiments.worker_pool import worker_pool
from tests.experiments.test_worker_pool import setup, sleep
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
    with worker_pool(1, setup(sys.argv[1])) as pool:
        pool.submit(sleep, "a").result()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_if_their_parent_is_killed(tmp_path: Path, number: signal.Signals) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        env=os.environ | SETTINGS,
        stderr=subprocess.DEVNULL,
    )
    try:
        pid = wait_for_pid(tmp_path / "a")
        parent.send_signal(number)
        wait_for_end(pid)
    finally:
        parent.kill()
        parent.wait()
