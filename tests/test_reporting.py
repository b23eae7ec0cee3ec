"""`audioprobe report` computes the results of a run again, and names folders that are not runs."""

from pathlib import Path

import pytest

from audioprobe.cli import main
from tests.results.test_compare import RIGHT, result
from tests.results.test_leaderboard import NOISE, NOISY

CLASSIFICATION = """
kind = "classification"
model = { name = "scripted", options = { answer = "a crow" } }
scorer = { name = "keyword" }
bootstrap = { n_resamples = 20 }
[[evaluation_sets]]
name = "made"
split = "test"
dataset = { name = "synthetic", options = { n_clips = 4, palette = ["crow", "rain", "bell"] } }
[[prompt_levels]]
prompt = "caption"
"""
PROBE = """
kind = "probe"
bootstrap = { n_resamples = 20 }
concepts = { only = ["crow", "drum"] }
[[models]]
name = "model"
model = { name = "scripted:Yes." }
"""


def command(*arguments: object) -> object:
    """The exit status of a command."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code


@pytest.mark.parametrize("config", [CLASSIFICATION, PROBE])
def test_the_report_of_a_run_is_computed_again(config: str, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(config)
    folder, again = tmp_path / "run", tmp_path / "again"
    assert command("run", tmp_path / "mine.toml", "--out", folder) == 0
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert command("report", folder, "--out", again, "--name", "mine") == 0
    for name in ("summary.md", "summary.tex", "report.html"):
        assert (again / name).read_bytes() == before[name]
    (folder / "report.html").unlink()
    assert command("report", folder, "--name", "mine") == 0
    after = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert after == before


@pytest.mark.parametrize("config", [CLASSIFICATION, PROBE])
def test_a_run_that_has_not_ended_names_the_command_that_goes_on(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.toml").write_text(config)
    (tmp_path / "manifest.json").write_text('{"pinned": {}, "starts": []}')
    assert command("report", tmp_path) == 2
    stderr = capsys.readouterr().err
    assert f"audioprobe run {tmp_path / 'config.toml'} --out {tmp_path}" in stderr
    assert "1 of 1 parts" in stderr


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "has no config.toml"),
        ({"config.toml": "kind = 'probe'"}, "has no manifest.json"),
        ({"config.toml": "kind = 'other'", "manifest.json": "{}"}, "'other'"),
        ({"config.toml": "kind =", "manifest.json": "{}"}, "cannot be read as TOML"),
        ({"result.json": "{}"}, "classify"),
        ({"recipe.json": "{}"}, "audioprobe evaluate-ltu"),
    ],
)
def test_folder_that_is_not_a_run_is_named(
    files: dict[str, str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert command("report", tmp_path) == 2
    stderr = capsys.readouterr().err
    assert str(tmp_path) in stderr
    assert words in stderr


def test_missing_folder_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("report", "nosuch") == 2
    assert capsys.readouterr().err.startswith("audioprobe: nosuch: no such folder.")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (
            ('prompt = "caption"', 'promt = "caption"'),
            ["prompt_levels, number 1", "'prompt'", "'promt'"],
        ),
        (('split = "test"', ""), ["evaluation_sets, number 1", "'split'"]),
        (("n_clips", "n_clip"), ["made: dataset", "'n_clip'", "'n_clips'"]),
        (('"synthetic"', '"synthetik"'), ["made: dataset", "'synthetik'", "'synthetic'"]),
        (("answer =", "anwser ="), ["'anwser'", "'answer'"]),
        (('kind = "cl', 'seed = "x"\nkind = "cl'), ["seed", "'x'"]),
        (('prompt = "caption"', 'prompt = "caption"\nexmples = 2'), ["'exmples'", "'examples'"]),
        (("palette", 'seed = "x", palette'), ["made: dataset", "seed = 'x'"]),
    ],
)
def test_a_misspelt_configuration_names_file_key_and_nearest_name(
    wrong: tuple[str, str], words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "typo.toml"
    config.write_text(CLASSIFICATION.replace(*wrong))
    assert command("run", config, "--out", tmp_path / "run") == 2
    (message,) = capsys.readouterr().err.splitlines()
    assert message.startswith(f"audioprobe: {config}: ")
    assert all(word in message for word in words), message
    assert "__init__" not in message


def test_file_that_is_not_a_result_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "annotations.csv"
    table.write_text("path,labels\n")
    assert command("compare", table, table) == 2
    assert capsys.readouterr().err.startswith(f"audioprobe: {table}: ")


def test_three_results_are_ranked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = []
    for name, scores in (("a", NOISE), ("b", RIGHT), ("c", NOISY)):
        path = tmp_path / f"{name}.json"
        path.write_text(result(scores).to_json())
        files.append(path)
    assert command("compare", *files) == 0
    shown = capsys.readouterr().out
    lines = [line.split()[:2] for line in shown.splitlines()]
    assert [line for line in lines if line and line[0] in "123"] == [
        ["1", "b"],
        ["2", "c"],
        ["3", "a"],
    ]
    assert all(pair in shown for pair in ("b minus a", "b minus c", "c minus a"))
