"""A run on a local cluster of two workers, one of which is killed, is the run of one process."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from tests.experiments.slow_backend import install
from tests.experiments.test_killed import CONFIG, N_QUESTIONS, n_stored
from tests.processes import run_cli, start_cli


@pytest.mark.slow  # starts a cluster
def test_two_workers_and_a_kill_give_what_one_process_gives(tmp_path: Path) -> None:
    log = tmp_path / "asked"
    environment = install(tmp_path / "backend", log, 0.3)
    config = tmp_path / "cluster.toml"
    config.write_text(CONFIG)
    alone = run_cli("run", str(config), "--out", str(tmp_path / "alone"), **environment)
    assert alone.returncode == 0, alone.stderr
    log.unlink()
    folder = tmp_path / "cluster"
    command = ("run", str(config), "--out", str(folder), "--on", "ray", "--workers", "2")
    process = start_cli(*command, cwd=tmp_path, **environment)
    while n_stored(folder) < N_QUESTIONS // 4 and process.poll() is None:
        time.sleep(0.05)
    workers = {int(line.split()[1]) for line in log.read_text().splitlines()}
    assert process.pid not in workers
    os.kill(min(workers), signal.SIGKILL)
    _, stderr = process.communicate()
    assert process.returncode == 0, stderr
    lines = [line.split() for line in log.read_text().splitlines()]
    assert len({digest for digest, _ in lines}) == N_QUESTIONS
    assert len({worker for _, worker in lines}) >= 3  # two, and the one in place of the dead
    single = tmp_path / "alone"
    assert (folder / "scores.parquet").read_bytes() == (single / "scores.parquet").read_bytes()
    assert answers(folder) == answers(single)


def answers(folder: Path) -> dict[str, object]:
    lines = (folder / "responses.jsonl").read_text().splitlines()
    return {entry["key"]: entry["answer"] for entry in map(json.loads, lines)}
