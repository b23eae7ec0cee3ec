"""Soak test: runs with faults of all kinds for a given time, which must lose and repeat nothing.

A server answers a quarter of all requests with a fault: HTTP errors, slow, cut-off or invalid
answers, closed connections. Three loads use it or a tiny local model: classification, probing, and
classification by an LTU. Each load runs

- in processes that are killed at random, that find a full disk (a limit on the size of files), and
  whose clock jumps by up to a day, until a last one ends by itself;
- in one process that lives as long as the test, whose memory and open files are measured.

At the end, the results of all runs must equal those of an undisturbed run, and no request may have
been answered more often than once, beyond those in progress at a kill. The exit status is 1
otherwise.

Usage: python -m tests.soak.run [--minutes 5] [--seed 0] [--out FOLDER]
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from tests import forking
from tests.soak.children import SIGNALS, Child, Disturbance, run_here, steady
from tests.soak.loads import Load, repetitions, result_of, write_loads
from tests.soak.server import UNDISTURBED

MOST_KILLS = 3
MOST_GROWTH = 0.05
"""Growth of resident memory that is not counted as growth: the allocator keeps freed pages."""


@dataclass(kw_only=True)
class Outcome:
    """What happened in a soak test, and what was wrong.

    Attributes:
        runs: number of runs with disturbances, by load.
        kills: number of processes that were killed, by the signal.
        n_full: number of processes that met a full disk.
        n_requests: number of requests that were answered.
        n_repeated: number of requests that were answered again.
        most_repeated: largest number that the kills and full disks allow.
        memory_mb: resident memory of the long-lived process after each step, in MB (10^6 bytes).
        open_files: number of its open files after each step.
        faults: sentences on what was wrong.
    """

    runs: dict[str, int] = field(default_factory=dict)
    kills: dict[str, int] = field(default_factory=dict)
    n_full: int = 0
    n_requests: int = 0
    n_repeated: int = 0
    most_repeated: int = 0
    memory_mb: tuple[int, ...] = ()
    open_files: tuple[int, ...] = ()
    faults: list[str] = field(default_factory=list)


class SoakTest:
    """A soak test in a folder.

    Args:
        folder: empty folder for everything that is written.
        seconds: duration of the disturbances.
        seed: seed of the disturbances and of the faults of the server.

    Attributes:
        outcome: what happened so far.
        allowed: number of requests that a client may repeat, because it was interrupted.
        durations: seconds that a run without disturbances takes, by load.
    """

    def __init__(self, folder: Path, seconds: float, seed: int) -> None:
        self._folder = folder
        self._seconds = seconds
        self._seed = seed
        self._random = random.Random(seed)
        self.allowed: dict[str, int] = {}
        self._loads: list[Load] = []
        self._environment: dict[str, str] = {}
        self._expected: dict[str, dict[str, object]] = {}
        self.durations: dict[str, float] = {}
        self.outcome = Outcome()

    def __call__(self) -> Outcome:
        """Run the test, and return what happened."""
        forking.load_modules()
        log = self._folder / "requests.jsonl"
        command = [sys.executable, "-m", "tests.soak.server", str(log), str(self._seed)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as server:
            assert server.stdout is not None
            assert server.stdin is not None
            self._loads, environment = write_loads(self._folder, server.stdout.readline().strip())
            self._environment = dict(os.environ) | environment
            self._run_undisturbed()
            until = time.monotonic() + self._seconds
            report = self._folder / "memory.txt"
            pid = steady(self._steady_step, until, report)
            while time.monotonic() < until:
                self._run_disturbed(self._random.choice(self._loads))
            _, status = os.waitpid(pid, 0)
            if status:
                self.outcome.faults.append("the process without disturbances ended with an error")
            server.stdin.close()
        self.count_requests(log)
        self.check_growth(report)
        return self.outcome

    def _run_undisturbed(self) -> None:
        for load in self._loads:
            start = time.monotonic()
            folder = self._folder / f"undisturbed-{load.name}"
            status, output = self._run(load, folder, f"{UNDISTURBED}-{load.name}", Disturbance())
            assert status == 0, output
            self.durations[load.name] = time.monotonic() - start
            self._expected[load.name] = result_of(folder)

    def _run(
        self, load: Load, folder: Path, client: str, disturbance: Disturbance
    ) -> tuple[int, str]:
        """Run a load once; return the exit status, and the end of what it printed."""
        output = self._folder / "output.txt"
        output.write_bytes(b"")
        environment = self._environment | {"OPENAI_API_KEY": client}
        arguments = ["run", str(load.config), "--out", str(folder)]
        status, killed = Child(arguments, environment, output, disturbance).wait()
        if killed and status and disturbance.kill is not None:
            name = disturbance.kill.name
            self.outcome.kills[name] = self.outcome.kills.get(name, 0) + 1
            self.allowed[client] = self.allowed.get(client, 0) + 2 * load.concurrency
        return (0 if killed else status), output.read_text("utf-8", "replace")[-2000:]

    def _run_disturbed(self, load: Load) -> None:
        """Disturb a run several times, let it end, and compare its results."""
        number = sum(self.outcome.runs.values())
        self.outcome.runs[load.name] = self.outcome.runs.get(load.name, 0) + 1
        client, folder = f"sk-round-{number}", self._folder / f"round-{number}"
        for _ in range(self._random.randint(1, MOST_KILLS)):
            status, output = self._run(load, folder, client, self.kill(load.name))
            self._expect(status == 0, f"{client}, {load.name}: status {status}: {output}")
        if self._random.random() < 0.5:
            self._fill_disk(load, folder, client)
        last = Disturbance(clock_seed=self._random.randrange(1000))
        status, output = self._run(load, folder, client, last)
        self._expect(status == 0, f"{client}, {load.name}: status {status}: {output}")
        if status == 0:
            same = result_of(folder) == self._expected[load.name]
            self._expect(same, f"{client}, {load.name}: other results, see {folder}")
            if same:
                shutil.rmtree(folder)

    def kill(self, name: str) -> Disturbance:
        """Draw how a process of the load with this name is killed."""
        return Disturbance(
            kill=self._random.choice(SIGNALS),
            kill_after_s=self._random.uniform(0, 1.2 * self.durations[name]),
            clock_seed=self._random.randrange(1000) if self._random.random() < 0.5 else None,
        )

    def _fill_disk(self, load: Load, folder: Path, client: str) -> None:
        """Run with a limit on the size of files, somewhere below what the run needs."""
        needed = (self._folder / f"undisturbed-{load.name}" / "responses.jsonl").stat().st_size
        limit = self._random.randint(needed // 4, needed)
        status, output = self._run(load, folder, client, Disturbance(most_bytes=limit))
        if status:
            self.outcome.n_full += 1
            self.allowed[client] = self.allowed.get(client, 0) + 2 * load.concurrency
        clear = status in (0, 2) and "Traceback" not in output
        self._expect(clear, f"{client}, {load.name}, full disk: status {status}: {output}")

    def _steady_step(self, number: int) -> None:
        """Run all loads in this process, and compare their results."""
        os.environ.update(self._environment | {"OPENAI_API_KEY": f"sk-steady-{number}"})
        sys.path.insert(0, str(self._folder / "backend"))
        for load in self._loads:
            folder = self._folder / f"steady-{load.name}"
            status = run_here(["run", str(load.config), "--out", str(folder)])
            assert status == 0, f"{load.name}: status {status}"
            assert result_of(folder) == self._expected[load.name], load.name
            shutil.rmtree(folder)
        sys.path.pop(0)

    def count_requests(self, log: Path) -> None:
        """Count the requests in the log of the server, and compare them with what is allowed."""
        for client, (n_requests, gaps) in repetitions(log).items():
            allowed = self.allowed.get(client, 0)
            self.outcome.n_requests += n_requests
            self.outcome.n_repeated += len(gaps)
            self.outcome.most_repeated += allowed
            fault = f"{client}: {len(gaps)} repeated, {allowed} allowed, seconds between: {gaps}"
            self._expect(len(gaps) <= allowed, fault)

    def check_growth(self, report: Path) -> None:
        """Compare the last third of the steps with the second one."""
        rows = [tuple(map(int, line.split())) for line in report.read_text().splitlines()]
        self.outcome.memory_mb = tuple(round(memory / 1e6) for memory, _ in rows)
        self.outcome.open_files = tuple(n_files for _, n_files in rows)
        third = len(rows) // 3
        if not third:
            return
        for values, most in ((self.outcome.memory_mb, MOST_GROWTH), (self.outcome.open_files, 0)):
            before, after = median(values[third : 2 * third]), median(values[2 * third :])
            grown = f"growth from {before} to {after}: {values}"
            self._expect(after <= before * (1 + most), grown)

    def _expect(self, condition: bool, fault: str) -> None:
        if not condition:
            self.outcome.faults.append(fault)


def main() -> int:
    """Run a soak test, and print what happened; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="empty folder; default: a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as temporary:
        folder = options.out or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        outcome = SoakTest(folder.resolve(), 60 * options.minutes, options.seed)()
    print(json.dumps(asdict(outcome), indent=2))
    return int(bool(outcome.faults))


if __name__ == "__main__":
    sys.exit(main())
