"""A short soak test, and controls that its checks can fail."""

import json
from pathlib import Path

import pytest
from tests.processes import run_python
from tests.soak.children import Disturbance
from tests.soak.loads import repetitions
from tests.soak.run import SoakTest


@pytest.mark.slow
def test_runs_under_faults_lose_and_repeat_nothing(tmp_path: Path) -> None:
    code = "import sys; from tests.soak.run import main; sys.exit(main())"
    arguments = ("--minutes", "0.2", "--seed", "3", "--out", str(tmp_path / "soak"))
    process = run_python(code, *arguments)
    assert process.returncode == 0, process.stdout + process.stderr
    outcome = json.loads(process.stdout)
    assert sum(outcome["runs"].values()) >= 1
    assert sum(outcome["kills"].values()) + outcome["n_full"] >= 1
    assert outcome["n_repeated"] <= outcome["most_repeated"]
    assert len(outcome["memory_mb"]) >= 1


def entry(client: str, request: str, fault: str = "", s: float = 0.0) -> str:
    return json.dumps({"client": client, "request": request, "fault": fault, "s": s}) + "\n"


def test_repeated_requests_are_counted_without_faults(tmp_path: Path) -> None:
    log = tmp_path / "requests.jsonl"
    log.write_text(
        entry("a", "1") + entry("a", "2", "503") + entry("a", "2") + entry("a", "1", s=8.5)
    )
    assert repetitions(log) == {"a": (2, [8.5])}


def test_repeated_requests_beyond_the_kills_are_a_fault(tmp_path: Path) -> None:
    log = tmp_path / "requests.jsonl"
    log.write_text(entry("a", "1") * 3 + entry("b", "1"))
    test = SoakTest(tmp_path, 0.0, 0)
    test.allowed["a"] = 2
    test.count_requests(log)
    assert (test.outcome.n_requests, test.outcome.n_repeated, test.outcome.faults) == (2, 2, [])
    test.allowed["a"] = 1
    test.count_requests(log)
    assert len(test.outcome.faults) == 1


@pytest.mark.parametrize(
    ("rows", "n_faults"),
    [
        ([(100, 9)] * 9, 0),
        ([(50, 5)] * 3 + [(100, 9)] * 6, 0),  # caches are filled at the beginning
        ([(100 + 10 * n, 9) for n in range(9)], 1),
        ([(100, 9 + n) for n in range(9)], 1),
    ],
)
def test_growth_of_memory_or_open_files_is_a_fault(
    rows: list[tuple[int, int]], n_faults: int, tmp_path: Path
) -> None:
    report = tmp_path / "memory.txt"
    report.write_text("".join(f"{megabytes * 10**6} {files}\n" for megabytes, files in rows))
    test = SoakTest(tmp_path, 0.0, 0)
    test.check_growth(report)
    assert len(test.outcome.faults) == n_faults


def test_the_same_seed_gives_the_same_disturbances(tmp_path: Path) -> None:
    def first() -> list[Disturbance]:
        test = SoakTest(tmp_path, 0.0, 5)
        test.durations["probing"] = 3.0
        return [test.kill("probing") for _ in range(5)]

    disturbances = first()
    assert disturbances == first()
    assert all(each.kill and 0 <= each.kill_after_s <= 3.6 for each in disturbances)
