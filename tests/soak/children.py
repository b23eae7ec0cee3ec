"""Processes of a soak test: commands that are disturbed, and one that runs for the whole time."""

import gc
import os
import random
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from tests import forking

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
_DAY_S = 86_400.0


@dataclass(frozen=True)
class Disturbance:
    """What happens to a process.

    Attributes:
        kill: the signal that ends it; None lets it end by itself.
        kill_after_s: when it is killed, in seconds after its start.
        most_bytes: size that no file may exceed, as on a full disk; None sets no limit.
        clock_seed: seed of the jumps of its clock; None is a clock that does not jump.
    """

    kill: signal.Signals | None = None
    kill_after_s: float = 0.0
    most_bytes: int | None = None
    clock_seed: int | None = None


class Child:
    """A forked process that runs a command of `audioprobe`.

    Args:
        arguments: arguments of the command.
        environment: its environment.
        output: file for what it prints.
        disturbance: what happens to it.
    """

    def __init__(
        self,
        arguments: list[str],
        environment: Mapping[str, str],
        output: Path,
        disturbance: Disturbance,
    ) -> None:
        self._disturbance = disturbance
        self._started = time.monotonic()
        self.pid = os.fork()
        if not self.pid:
            _disturb(disturbance)
            outputs = [str(output), str(output)]
            forking.run_command(arguments, dict(environment), str(Path.cwd()), outputs)

    def wait(self) -> tuple[int, bool]:
        """Wait for the end, and kill the process if it has to be killed.

        Returns:
            The exit status, negative for a signal, and whether the process was killed.
        """
        kill, killed = self._disturbance.kill, False
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status), killed
            due = time.monotonic() - self._started >= self._disturbance.kill_after_s
            if kill is not None and due and not killed:
                os.kill(self.pid, kill)
                killed = True
            time.sleep(0.02)


def _disturb(disturbance: Disturbance) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
    if disturbance.most_bytes is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # an error of the write instead
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (disturbance.most_bytes, hard))
    if disturbance.clock_seed is not None:
        _let_clock_jump(random.Random(disturbance.clock_seed))


def _let_clock_jump(rng: random.Random) -> None:
    """Make `time.time` jump by up to a day, forwards and backwards, twice a second."""
    real, offset = time.time, [0.0]

    def jump() -> None:
        while True:
            time.sleep(0.5)
            offset[0] = rng.uniform(-_DAY_S, _DAY_S)

    time.time = lambda: real() + offset[0]
    threading.Thread(target=jump, daemon=True).start()


def run_here(arguments: list[str]) -> int:
    """Run a command in this process without its output, and return its exit status."""
    from audioprobe.cli import main

    sys.argv = ["audioprobe", *arguments]
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        try:
            main()
        except SystemExit as ended:
            return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


def steady(step: Callable[[int], None], until: float, report: Path) -> int:
    """Fork a process that repeats a step until a time, and notes its memory and open files.

    Args:
        step: the step, which gets its number from 0.
        until: end, in seconds of the monotonic clock, which all processes share.
        report: file to which each step adds a line: bytes of resident memory, and open files.

    Returns:
        The id of the process.
    """
    pid = os.fork()
    if not pid:
        _repeat(step, until, report)
    return pid


def _repeat(step: Callable[[int], None], until: float, report: Path) -> NoReturn:
    status = 1
    try:
        number = 0
        while time.monotonic() < until:
            step(number)
            gc.collect()
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            n_files = len(list(Path("/proc/self/fd").iterdir()))
            with report.open("a") as stream:
                stream.write(f"{pages * resource.getpagesize()} {n_files}\n")
            number += 1
        status = 0
    except BaseException:  # noqa: BLE001 - printed, as Python does it
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)
