"""The page of a probe in a real browser, and the command in a real process."""

from pathlib import Path

import pytest
from tests.browser import opened
from tests.probing.known_models import CLIPS, CONCEPTS, always_yes, known_model
from tests.processes import run_cli

from audioprobe import Clip
from audioprobe.datasets.recordings import FOLDER
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing import ConceptProbe, ProbeOutcome, PromptingOptions
from audioprobe.reports.html import DataGrid
from audioprobe.reports.probe_page import probe_page, write_probe_page

EVIL = '<img src=x onerror=alert(1)><script>alert(2)</script>"'


@pytest.fixture(scope="module")
def outcome() -> ProbeOutcome:
    clips = [Clip(id=EVIL, path=FOLDER / "crow.flac", labels=("crow",)), *CLIPS[1:]]
    probe = ConceptProbe(
        known_model(name=EVIL), concepts=CONCEPTS, n_clips=1, bootstrap=Bootstrap(50)
    )
    return probe("hypernym", clips)


def test_the_page_shows_all_sections_and_runs_no_foreign_script(
    outcome: ProbeOutcome, tmp_path: Path
) -> None:
    with opened(write_probe_page(outcome, tmp_path / "report.html")) as (page, complaints):
        assert complaints == []
        assert page.locator("script").count() == 1
        assert page.locator("td img, dd img, h1 img").count() == 0
        headings = page.locator("h2").all_text_contents()
        assert {"Conditions", "Modality gap", "Hypernym chains", "Trials"} <= set(headings)
        chains = page.locator("figure[aria-label], figure svg[aria-label*='upwards']")
        assert chains.count() == 2  # text and audio
        cells = page.locator("details", has_text="Text by audio").locator("td.number")
        assert sum(int(text) for text in cells.all_text_contents()[-4:]) > 0
        assert EVIL in page.locator(".cards h3").all_text_contents()
        page.locator(".cards summary").first.click()
        assert page.locator(".cards audio").count() == 1  # other sounds are in memory


def test_the_page_states_the_diagnosis_and_every_reading(
    outcome: ProbeOutcome, tmp_path: Path
) -> None:
    page = probe_page(outcome, tmp_path)
    assert f"{EVIL}: {outcome.diagnosis().name}." in page.lead
    sections = {section.title: section for section in page.sections}
    (grid,) = sections["Readings of the answers"].items
    assert isinstance(grid, DataGrid)
    readings = {(row[0], row[2]) for row in grid.table.rows}
    assert {(r, "audio") for r in ("free-text", "likelihood", "prior-corrected")} <= readings
    assert ("prior-corrected", "no audio") not in readings  # there is no audio to leave out
    trials = sections["Trials"].items[-1]
    assert isinstance(trials, DataGrid)
    column = trials.table.header.index("probability of the correct answer")
    probabilities = {float(row[column]) for row in trials.table.rows if row[column] != "–"}
    assert probabilities <= {0.052, 0.948}  # -0.1 against -3 nats


def test_a_single_reading_has_no_section(tmp_path: Path) -> None:
    options = PromptingOptions(free_text=False)
    probe = ConceptProbe(always_yes(), concepts=CONCEPTS, options=options, bootstrap=Bootstrap(20))
    titles = [section.title for section in probe_page(probe("hypernym"), tmp_path).sections]
    assert "Conditions" in titles
    assert "Readings of the answers" not in titles


def test_a_dry_run_shows_questions_and_writes_nothing(tmp_path: Path) -> None:
    out = str(tmp_path / "probe")
    dry = run_cli("probe", "--dry-run", "--clips", str(FOLDER), "--out", out)
    assert dry.returncode == 0, dry.stderr
    assert " questions" in dry.stdout
    assert f"[{FOLDER}/burp.flac]" in dry.stdout
    assert not Path(out).exists()
    text_only = run_cli("probe", "--clips", "", "--dry-run", "--out", out)
    assert "text: " in text_only.stdout
    assert "audio: " not in text_only.stdout


def test_the_command_asks_the_questions_and_resumes(tmp_path: Path) -> None:
    out = str(tmp_path / "probe")
    command = ("probe", "--model", "scripted:Yes.", "--conditions", "text,audio", "--out", out)
    first = run_cli(*command)
    assert first.returncode == 0, first.stderr
    # All likelihoods of a script tie, so that responses are read.
    assert "always says yes" in first.stdout
    results = ("trials.parquet", "summary.md", "config.toml", "responses.jsonl")
    before = {name: (Path(out) / name).read_bytes() for name in results}
    assert (Path(out) / "report.html").is_file()
    again = run_cli(*command)
    assert again.stdout == first.stdout
    assert {name: (Path(out) / name).read_bytes() for name in results} == before
    other = run_cli(*command, "--seed", "1")
    assert other.returncode == 2
    assert "another configuration" in other.stderr
    wrong = run_cli("probe", "--model", "scripted:Yes.", "--pairs", "hypernyms", "--out", out)
    assert wrong.returncode == 2
    assert "Did you mean 'hypernym'" in wrong.stderr
