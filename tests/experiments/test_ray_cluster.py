"""Workers of a Ray cluster give what one process gives, also if one of them is killed."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.experiments.slow_backend import install
from tests.experiments.test_killed import CONFIG, N_QUESTIONS, n_stored
from tests.processes import run_cli, start_cli

from audioprobe.errors import InvalidInputError, TrainingError, WorkerError
from audioprobe.experiments.job_pool import WorkerSetup, run_jobs
from audioprobe.experiments.placement import Placement
from audioprobe.experiments.ray_cluster import (
    LOCAL,
    MAX_REPEATS,
    RayPool,
    Surroundings,
    cores_per_worker,
    ray_pool,
)
from audioprobe.experiments.worker_model import RESPONSES_PER_BLOCK
from audioprobe.results.provenance import versions

NODE = {"CPU": 8.0, "GPU": 4.0}


def test_workers_share_cores_and_fit_on_machines() -> None:
    assert cores_per_worker([NODE], 2, 0) == 4
    assert cores_per_worker([NODE], 3, 0) == 2
    assert cores_per_worker([{"CPU": 3.0}, {"CPU": 3.0}], 3, 0) == 1  # not 2: one of three each
    assert cores_per_worker([NODE], 4, 1) == 2
    assert cores_per_worker([NODE], 2, 2) == 4
    assert cores_per_worker([NODE], 8, 0.5) == 1
    assert cores_per_worker([NODE, {"CPU": 64.0}], 2, 1) == 4  # the GPUs decide
    with pytest.raises(InvalidInputError, match="at most 4 workers"):
        cores_per_worker([NODE], 5, 1)
    with pytest.raises(InvalidInputError, match="at most 4 workers"):
        cores_per_worker([NODE], 5, 0.6)  # two of 0.6 do not fit on one GPU
    with pytest.raises(InvalidInputError, match="at most 0 workers"):
        cores_per_worker([{"CPU": 8.0}], 1, 1)


def test_placement_checks_its_numbers() -> None:
    assert Placement().is_here
    assert not Placement(2).is_here
    assert not Placement(1, LOCAL).is_here
    for gpus in (0, 0.25, 1, 2):
        assert Placement(1, LOCAL, gpus).gpus == gpus
    for gpus in (-1, 1.5):
        with pytest.raises(InvalidInputError, match="a share of one below 1"):
            Placement(1, LOCAL, gpus)
    with pytest.raises(InvalidInputError, match="--on ray"):
        Placement(2, gpus=1)
    with pytest.raises(InvalidInputError, match="n_workers of at least 1"):
        Placement(0)


def test_machine_with_other_versions_or_another_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "cluster-check").write_text("token")
    Surroundings(versions(), tmp_path, folder, "token").adopt()
    with pytest.raises(InvalidInputError, match="all machines must share"):
        Surroundings(versions(), tmp_path, folder, "other").adopt()
    with pytest.raises(InvalidInputError, match="all machines must share"):
        Surroundings(versions(), tmp_path, tmp_path / "missing", "token").adopt()
    other = {**versions(), "torch": "1.0"}
    with pytest.raises(InvalidInputError, match=r"torch: 1\.0 and"):
        Surroundings(other, tmp_path, folder, "token").adopt()


def test_a_cluster_that_does_not_exist_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_gcs_server_request_timeout_seconds", "1")
    with (
        pytest.raises(InvalidInputError, match="Expected a Ray cluster at 'auto'"),
        ray_pool("auto", 1, None, WorkerSetup(str)),
    ):
        pass


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayPool]:
    folder = tmp_path_factory.mktemp("jobs")
    with ray_pool(LOCAL, 2, None, WorkerSetup(Path, (str(folder),), folder)) as opened:
        yield opened
    assert not (folder / "cluster-check").exists()


def double(folder: Path, number: int) -> int:
    assert folder.is_dir()
    return 2 * number


def fail(_: Path, message: str) -> None:
    raise TrainingError(message)


def die(folder: Path, name: str) -> str:
    """Note the start, and kill this worker if it is the first one, or always for "always"."""
    starts = folder / name
    with starts.open("a") as stream:
        stream.write("x")
    if name == "always" or len(starts.read_text()) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return name


@pytest.mark.slow  # starts a cluster
def test_jobs_return_results_and_errors_and_are_repeated_if_their_worker_dies(
    pool: RayPool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert sorted(run_jobs(pool, double, range(7))) == [0, 2, 4, 6, 8, 10, 12]
    failures: list[Exception] = []
    assert not list(run_jobs(pool, fail, ["diverged"], failures))  # type: ignore[arg-type]
    assert [(type(error), str(error)) for error in failures] == [(TrainingError, "diverged")]
    assert sorted(run_jobs(pool, die, ["once", "twice"])) == ["once", "twice"]
    with pytest.raises(WorkerError, match=f"died {MAX_REPEATS + 1} times"):
        list(run_jobs(pool, die, ["always"]))
    assert list(run_jobs(pool, double, [4])) == [8]
    folder = tmp_path_factory.getbasetemp() / "jobs0"
    assert (folder / "once").read_text() == "xx"
    assert len((folder / "always").read_text()) == MAX_REPEATS + 1


@pytest.mark.slow  # starts a cluster
def test_two_workers_and_a_kill_give_what_one_process_gives(tmp_path: Path) -> None:
    log = tmp_path / "asked"
    environment = install(tmp_path / "backend", log, 0.2)
    config = tmp_path / "cluster.toml"
    config.write_text(CONFIG)
    alone = run_cli("run", str(config), "--out", str(tmp_path / "alone"), **environment)
    assert alone.returncode == 0, alone.stderr
    log.unlink()
    folder = tmp_path / "cluster"
    command = ("run", str(config), "--out", str(folder), "--on", "ray", "--workers", "2")
    process = start_cli(*command, cwd=tmp_path, **environment)
    n_before = 0
    while n_before < N_QUESTIONS // 4 and process.poll() is None:
        n_before = len(log.read_text().splitlines()) if log.is_file() else 0
        time.sleep(0.05)
    last = int(log.read_text().splitlines()[-1].split()[1])
    assert process.pid != last
    os.kill(last, signal.SIGKILL)
    _, stderr = process.communicate()
    assert process.returncode == 0, stderr
    lines = [line.split() for line in log.read_text().splitlines()]
    assert len({digest for digest, _ in lines}) == N_QUESTIONS
    # Only the block in progress is asked again.
    assert N_QUESTIONS < len(lines) <= N_QUESTIONS + RESPONSES_PER_BLOCK
    assert len({worker for _, worker in lines}) >= 3  # two, and the one in place of the dead
    assert n_stored(folder) == N_QUESTIONS
    single = tmp_path / "alone"
    for name in ("scores.parquet", "summary.md", "summary.tex"):
        assert (folder / name).read_bytes() == (single / name).read_bytes(), name
    assert answers(folder) == answers(single)


def answers(folder: Path) -> dict[str, object]:
    lines = (folder / "responses.jsonl").read_text().splitlines()
    return {entry["key"]: entry["answer"] for entry in map(json.loads, lines)}
