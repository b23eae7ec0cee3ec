"""The commands export and analyze: runs become folders, logs become tables, bad input one line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile
from pyarrow import parquet
from tests.exchange.probes import scored
from tests.probing.known_models import NAMES, tone

from audioprobe.cli import main
from audioprobe.exchange import read_inspect_questions
from audioprobe.experiments.classification.config import read_classification
from audioprobe.experiments.classification.run import ClassificationRun

Run = Callable[..., tuple[int, str, str]]

CLASSIFICATION = """
kind = "classification"
model = {{ name = "scripted:a crow" }}
scorer = {{ name = "keyword" }}

[[evaluation_sets]]
name = "tones"
dataset = {{ name = "folder", options = {{ folder = {folder} }} }}
split = "all"

[[prompt_levels]]
prompt = "caption"
"""


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command, and return its status, standard output and standard error."""
    monkeypatch.setenv("COLUMNS", "160")

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        output = capsys.readouterr()
        assert isinstance(end.value.code, int)
        return end.value.code, output.out, output.err

    return run


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sounds")
    for number, name in enumerate(NAMES[:4]):
        (folder / name).mkdir()
        soundfile.write(folder / name / f"{name}.wav", tone(number).samples, 8000)
    return folder


@pytest.fixture(scope="module")
def probe_run(sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "probe"
    with pytest.raises(SystemExit):
        main([
            "probe", "--model", "scripted:Yes", "--clips", str(sounds), "--conditions",
            "text,audio,silence", "--n-clips", "1", "--out", str(folder),
        ])  # fmt: skip
    return folder


def test_probe_becomes_a_data_set_with_answers(cli: Run, probe_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "shared"
    status, text, _ = cli(
        "export", probe_run, "--to", "huggingface", "--out", out, "--licence", "cc0-1.0"
    )
    (path,) = (out / "data").iterdir()
    rows = parquet.read_table(path).to_pylist()
    assert status == 0
    assert f"{len(rows)} rows" in text
    assert {row["model"] for row in rows} == {"model"}
    assert {row["response"] for row in rows} == {"Yes"}
    assert {row["clip"] for row in rows} == {None, *(f"{name}/{name}.wav" for name in NAMES[:4])}
    assert str(probe_run.parent) not in (out / "README.md").read_text("utf-8")
    assert 'license: "cc0-1.0"' in (out / "README.md").read_text("utf-8")


def test_probe_becomes_questions_without_answers(cli: Run, probe_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "questions"
    status, _, _ = cli("export", probe_run, "--to", "huggingface", "--out", out, "--questions")
    (path,) = (out / "data").iterdir()
    assert status == 0
    assert "response" not in parquet.read_schema(path).names


def test_probe_becomes_a_task(cli: Run, probe_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "task"
    status, text, _ = cli("export", probe_run, "--to", "inspect", "--out", out)
    assert status == 0
    assert "inspect eval" in text
    content = read_inspect_questions(out)
    (path,) = (probe_run / "results").glob("*.json")
    assert len(content.questions) == len(json.loads(path.read_text("utf-8"))["trials"])


def test_classification_becomes_a_data_set(cli: Run, sounds: Path, tmp_path: Path) -> None:
    config = tmp_path / "classes.toml"
    config.write_text(CLASSIFICATION.format(folder=json.dumps(str(sounds))), "utf-8")
    ClassificationRun(read_classification(config), config.read_text("utf-8"))(tmp_path / "run")
    out = tmp_path / "shared"
    status, _, _ = cli("export", tmp_path / "run", "--to", "huggingface", "--out", out)
    (path,) = (out / "data").iterdir()
    rows = parquet.read_table(path).to_pylist()
    assert status == 0
    assert {row["labels"][0] for row in rows} == set(NAMES[:4])
    assert all(row["audio"]["bytes"] and row["captions"] == ["a crow"] for row in rows)
    assert {row["prompt_level"] for row in rows} == {"caption"}
    status, _, error = cli("export", tmp_path / "run", "--to", "inspect", "--out", tmp_path / "t")
    assert status == 2
    assert "classification" in error


def test_invalid_exports_are_one_line_and_status_2(
    cli: Run, probe_run: Path, tmp_path: Path
) -> None:
    for arguments, words in (
        ((tmp_path, "--to", "inspect", "--out", tmp_path / "x"), "expected the folder of a run"),
        ((probe_run, "--to", "huggingface", "--out", tmp_path), "already exists"),
        (
            (probe_run, "--to", "inspect", "--out", tmp_path / "x", "--model", "modell"),
            "Did you mean 'model'?",
        ),
        ((probe_run, "--to", "csv", "--out", tmp_path / "x"), "huggingface"),
    ):
        status, _, error = cli("export", *arguments)
        assert status == 2
        assert words in error
        assert error.count("\n") == 1


def test_logs_are_analysed_together(cli: Run, tmp_path: Path) -> None:
    a = scored(tmp_path / "a/1_samples_t.jsonl", [1, 1, 1, 0, 1, 1])
    b = scored(tmp_path / "b/1_samples_t.jsonl", [1, 0, 1, 0, 0, 0])
    text = scored(tmp_path / "a/1_samples_text.jsonl", [1, 1, 1, 1, 1, 1])
    status, output, notes = cli("analyze", a, f"second={b}", "--text", text)
    assert status == 0
    assert "a: text minus audio" in output
    assert "a minus second: audio" in output
    assert "6 items of lmms-eval, model second" in notes
    groups = tmp_path / "groups.csv"
    groups.write_text("item,group\n" + "".join(f"{n},{n % 3}\n" for n in range(6)), "utf-8")
    status, output, _ = cli("analyze", a, b, "--groups", groups)
    assert status == 0
    assert "resample groups" in output


def test_result_of_a_probe_is_analysed(cli: Run, probe_run: Path) -> None:
    (path,) = (probe_run / "results").glob("*.json")
    status, output, _ = cli("analyze", path)
    assert status == 0
    assert "model: text minus audio" in output


@pytest.mark.parametrize("arguments", [(), ("gone.jsonl",), ("name=gone.jsonl",)])
def test_missing_logs_are_one_line_and_status_2(cli: Run, arguments: tuple[str, ...]) -> None:
    status, _, error = cli("analyze", *arguments)
    assert status == 2
    assert "log" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("command", ["export", "analyze"])
def test_help_has_examples(cli: Run, command: str) -> None:
    status, text, _ = cli(command, "--help")
    assert status == 0
    assert f"audioprobe {command}" in text
