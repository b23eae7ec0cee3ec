"""A run that is killed, again and again, ends as one that was left alone."""

import random
import subprocess
import time
from collections import Counter
from pathlib import Path

from tests.experiments.slow_backend import install
from tests.processes import CLI, run_cli, run_python, start_cli

CONFIG = """
kind = "classification"
bootstrap = { n_resamples = 50 }

[model]
name = "slow"

[scorer]
name = "keyword"

[[evaluation_sets]]
name = "shipped"
dataset = { name = "recordings" }
split = "all"

[[prompt_levels]]
prompt = "caption"

[[prompt_levels]]
prompt = "labels"
"""
N_QUESTIONS = 44
N_KILLS = 3


def n_stored(folder: Path) -> int:
    path = folder / "responses.jsonl"
    return len(path.read_bytes().splitlines()) if path.is_file() else 0


def kill_after(process: subprocess.Popen[str], folder: Path, n_more: int) -> None:
    """As soon as so many more answers are kept, somewhere within the next question."""
    wanted = n_stored(folder) + n_more
    while n_stored(folder) < wanted and process.poll() is None:
        time.sleep(0.002)
    time.sleep(random.random() * 0.02)
    process.kill()
    process.communicate()


def test_a_killed_run_loses_nothing_and_ends_the_same(tmp_path: Path) -> None:
    log, alone_log = tmp_path / "asked", tmp_path / "asked-alone"
    environment = install(tmp_path / "backend", log, 0.02)
    config = tmp_path / "killed.toml"
    config.write_text(CONFIG)
    folder, alone = tmp_path / "killed", tmp_path / "alone"
    for _ in range(N_KILLS):
        process = start_cli("run", str(config), "--out", str(folder), cwd=tmp_path, **environment)
        kill_after(process, folder, random.randint(1, 6))
    assert 0 < n_stored(folder) <= N_QUESTIONS
    last = run_cli("run", str(config), "--out", str(folder), **environment)
    assert last.returncode == 0, last.stderr
    whole = run_cli(
        "run", str(config), "--out", str(alone), **environment | {"SLOW_LOG": str(alone_log)}
    )
    assert whole.returncode == 0, whole.stderr
    prompts = Counter(line.split()[0] for line in log.read_text().splitlines())
    assert set(prompts) == {line.split()[0] for line in alone_log.read_text().splitlines()}
    # What was answered but not yet kept when it was killed is asked again: one question a kill.
    assert N_QUESTIONS <= sum(prompts.values()) <= N_QUESTIONS + N_KILLS
    for name in ("scores.parquet", "summary.md", "summary.tex"):
        assert (folder / name).read_bytes() == (alone / name).read_bytes(), name
    assert n_stored(folder) == N_QUESTIONS


FULL_DISK = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # an error of the write instead
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[-1]),) * 2)
sys.argv.pop()
"""


def test_a_run_on_a_full_disk_says_so_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    log = tmp_path / "asked"
    environment = install(tmp_path / "backend", log, 0.0)
    config = tmp_path / "full.toml"
    config.write_text(CONFIG)
    alone, folder = tmp_path / "alone", tmp_path / "full"
    assert run_cli("run", str(config), "--out", str(alone), **environment).returncode == 0
    log.unlink()
    # No file may grow beyond half of what the journal needs.
    most = str((alone / "responses.jsonl").stat().st_size // 2)
    full = run_python(
        FULL_DISK + CLI, "run", str(config), "--out", str(folder), most, **environment
    )
    assert full.returncode == 2, full.stderr
    assert "responses.jsonl" in full.stderr
    assert "Traceback" not in full.stderr
    n_kept = n_stored(folder)
    assert 0 < n_kept < N_QUESTIONS
    assert run_cli("run", str(config), "--out", str(folder), **environment).returncode == 0
    for name in ("scores.parquet", "responses.jsonl"):
        assert (folder / name).read_bytes() == (alone / name).read_bytes(), name
    # Only the question whose answer found no room is asked again.
    assert len(log.read_text().splitlines()) <= N_QUESTIONS + 1


def test_a_second_process_on_one_folder_is_refused(tmp_path: Path) -> None:
    environment = install(tmp_path / "backend", tmp_path / "asked", 1.0)
    config = tmp_path / "locked.toml"
    config.write_text(CONFIG)
    folder = tmp_path / "locked"
    first = start_cli("run", str(config), "--out", str(folder), cwd=tmp_path, **environment)
    try:
        while not n_stored(folder) and first.poll() is None:
            time.sleep(0.01)
        second = run_cli("run", str(config), "--out", str(folder), **environment)
        assert second.returncode == 2
        assert "another process is using this folder" in second.stderr
    finally:
        first.kill()
        first.communicate()


def test_another_scorer_asks_nothing_again_where_runs_share_a_cache(tmp_path: Path) -> None:
    log = tmp_path / "asked"
    environment = install(tmp_path / "backend", log, 0.0)
    for name, labels in (("one", ""), ("two", 'labels = ["crow", "bell"]')):
        text = CONFIG.replace("[model]", f'cache = "{tmp_path}/shared.sqlite"\n[model]', 1)
        config = tmp_path / f"{name}.toml"
        config.write_text(text.replace('split = "all"', f'split = "all"\n{labels}'))
        process = run_cli("run", str(config), "--out", str(tmp_path / name), **environment)
        assert process.returncode == 0, process.stderr
    prompts = [line.split()[0] for line in log.read_text().splitlines()]
    # Only the prompt level that lists the labels has other prompts.
    assert len(prompts) == N_QUESTIONS + N_QUESTIONS // 2
    assert len(set(prompts)) == len(prompts)


def test_a_damaged_line_is_named_and_a_torn_last_one_is_asked_again(tmp_path: Path) -> None:
    environment = install(tmp_path / "backend", tmp_path / "asked", 0.0)
    config = tmp_path / "torn.toml"
    config.write_text(CONFIG)
    command = ("run", str(config), "--out", str(tmp_path / "torn"))
    assert run_cli(*command, **environment).returncode == 0
    journal = tmp_path / "torn" / "responses.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-20])
    assert run_cli(*command, **environment).returncode == 0
    assert journal.read_bytes() == whole
    journal.write_bytes(whole.replace(b"a crow", b"a cow!", 1))
    process = run_cli(*command, **environment)
    assert process.returncode == 2
    assert "is damaged" in process.stderr
