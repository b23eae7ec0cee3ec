"""Studies on a Ray cluster give the results of one process, also if a worker is killed."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import tomli_w
from tests.experiments.architectures import tiny_architectures
from tests.experiments.finetuning.test_run import prepared
from tests.experiments.interpretability.test_run import results
from tests.experiments.interpretability.tiny_interpretability import parsed, settings

from audioprobe.experiments.architectures.run import prepare
from audioprobe.experiments.interpretability.interventions import NEAREST
from audioprobe.experiments.interpretability.representations import LINEAR, SIMILARITY
from audioprobe.experiments.interpretability.run import InterpretabilityRun
from audioprobe.experiments.placement import Placement

pytestmark = [
    pytest.mark.slow,  # start clusters
    pytest.mark.skipif(not Path("/proc/self").exists(), reason="finds workers in /proc"),
]
RAY = Placement(2, "ray")


def workers() -> list[int]:
    """Return the ids of the worker processes below this process."""
    ids = []
    for status in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if status.read_bytes().startswith(b"ray::JobActor") and is_ours(int(status.parts[2])):
                ids.append(int(status.parts[2]))
        except OSError:  # the process has ended
            continue
    return sorted(ids)


def is_ours(pid: int) -> bool:
    while pid > 1 and pid != os.getpid():
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return pid == os.getpid()


@contextmanager
def killing(when: Callable[[], bool]) -> Iterator[list[int]]:
    """Kill all workers once, as soon as a condition holds; yield the list of their ids."""
    killed: list[int] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            if when():
                killed.extend(workers())
                for pid in killed:
                    os.kill(pid, signal.SIGKILL)
                return
            time.sleep(0.01)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield killed
    finally:
        stop.set()
        thread.join()


def test_fine_tuning_survives_the_death_of_its_workers(tmp_path: Path) -> None:
    arguments = {"steps": 6, "learning_rate": 1e-3, "warmup_steps": 0, "save_every": 1}
    study = prepared(tmp_path, seeds=[0, 1], training_arguments=arguments)
    here, cluster = tmp_path / "here", tmp_path / "cluster"
    study(here)

    def is_trained_partly() -> bool:
        return any((cluster / "training").glob("*/**/state.pt"))

    with killing(is_trained_partly) as killed:
        study(cluster, placement=RAY)
    assert killed
    names = sorted(path.name for path in (here / "runs").iterdir())
    assert len(names) == 3  # before, and two seeds
    assert names == sorted(path.name for path in (cluster / "runs").iterdir())
    for name in names:
        expected, result = (json.loads((f / "runs" / name).read_text()) for f in (here, cluster))
        assert expected.pop("seconds") > 0
        assert result.pop("seconds") > 0
        assert result == expected
    assert not list((cluster / "training").iterdir())
    assert not (cluster / "cluster-check").exists()


def test_architectures_on_a_cluster_equal_those_of_one_process(tmp_path: Path) -> None:
    recipe = tiny_architectures.write_recipe(tmp_path)
    tables = tiny_architectures.settings(recipe, "linear", "cascade", "blind")
    made = tiny_architectures.materials(tables, tmp_path / "made")
    prepare(made)
    study = tiny_architectures.study(tables)
    here = study(tiny_architectures.copied(made, tmp_path / "here"))
    cluster = tiny_architectures.copied(made, tmp_path / "cluster")
    with killing(lambda: any((cluster / "results").glob("*.json.gz"))) as killed:
        record = study(cluster, placement=RAY)
    assert killed
    assert record.results.keys() == here.results.keys()
    for run, result in record.results.items():
        expected = here.results[run]
        assert tiny_architectures.without_times(result) == (
            tiny_architectures.without_times(expected)
        )


def test_measurements_on_a_cluster_equal_those_of_one_process(tmp_path: Path) -> None:
    measurements = [LINEAR, SIMILARITY, NEAREST]
    tables = settings(tmp_path, max_pairs=3, measurements=measurements)
    study = InterpretabilityRun(parsed(tables), tomli_w.dumps(tables))
    here, cluster = tmp_path / "here", tmp_path / "cluster"
    study(here)
    states = cluster / "activations"
    with killing(lambda: any(states.glob("states-*/recording.json"))) as killed:
        record = study(cluster, placement=RAY)
    assert killed
    assert list(record.results) == measurements
    assert results(cluster) == results(here)
