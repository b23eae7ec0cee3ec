"""The page of a probe in a real browser, and the command in a real process."""

from pathlib import Path

import pytest
from playwright.sync_api import Page
from tests.browser import check_page, draw_charts, opened
from tests.probing.known_models import CLIPS, CONCEPTS, always_yes, known_model
from tests.processes import run_cli

from audioprobe import Clip
from audioprobe.datasets.recordings import FOLDER
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing import ConceptProbe, ProbeOutcome, PromptingOptions
from audioprobe.reports.html import DataGrid
from audioprobe.reports.probe_page import probe_page, write_probe_page
from audioprobe.reports.probe_samples import NamedOutcome, question_samples
from audioprobe.reports.samples import Sample

EVIL = '<img src=x onerror=alert(1)><script>alert(2)</script>"'


@pytest.fixture(scope="module")
def outcome() -> ProbeOutcome:
    clips = [Clip(id=EVIL, path=FOLDER / "crow.flac", labels=("crow",)), *CLIPS[1:]]
    probe = ConceptProbe(
        known_model(name=EVIL), concepts=CONCEPTS, n_clips=1, bootstrap=Bootstrap(50)
    )
    return probe("hypernym", clips)


def select(page: Page, name: str, option: str) -> None:
    label = page.locator(".samples label", has_text=name)
    label.locator("select").first.select_option(label=option)


def test_the_page_shows_all_sections_and_runs_no_foreign_script(
    outcome: ProbeOutcome, tmp_path: Path
) -> None:
    with opened(write_probe_page(outcome, tmp_path / "report.html")) as (page, complaints):
        draw_charts(page)
        assert complaints == []
        assert page.locator("script:not([type])").count() == 1
        assert page.locator("td img, dd img, h1 img, svg img, svg script").count() == 0
        headings = page.locator("h2").all_text_contents()
        assert {"Conditions", "Modality gap", "Hypernym chains", "Samples"} <= set(headings)
        chains = page.locator(".chart [role=graphics-document][aria-label*='upwards']")
        assert chains.count() == 2  # text and audio
        cells = page.locator("details", has_text="Text by audio").locator("td.number")
        assert sum(int(text) for text in cells.all_text_contents()[-4:]) > 0
        sources = page.locator(".samples audio").evaluate_all("all => all.map(a => a.src)")
        assert len(set(sources)) == 1  # other sounds are in memory
        assert EVIL in page.locator(".samples article dd").all_text_contents()


def test_every_question_can_be_read_with_two_conditions_side_by_side(
    outcome: ProbeOutcome, tmp_path: Path
) -> None:
    n_audio = len(outcome.where(condition="audio"))
    with opened(write_probe_page(outcome, tmp_path / "report.html")) as (page, _):
        count = page.locator(".samples .count")
        assert f"of {n_audio} samples" in (count.text_content() or "")
        select(page, "compare with", "text")
        select(page, "answers", "wrong, the other right")
        wrong = {
            trial.question.key
            for trial in outcome.where(condition="audio")
            if not trial.is_correct(outcome.reading)
        }
        both = [
            trial
            for trial in outcome.where(condition="text")
            if trial.question.key in wrong and trial.is_correct(outcome.reading)
        ]
        assert 0 < len(both) <= int((count.text_content() or "").split(" of ")[1].split()[0])
        select(page, "answers", "all")
        select(page, "concept", outcome.trials[0].question.pair.concept)
        first = page.locator(".samples article").first
        assert first.locator("h4").all_text_contents() == ["audio", "text"]
        assert first.locator("dd.prompt").count() >= 1


def test_questions_in_text_are_next_to_those_about_each_clip(outcome: ProbeOutcome) -> None:
    samples = question_samples([NamedOutcome(outcome)])
    n_answers = {c: sum(c in each.answers for each in samples) for c in outcome.conditions}
    for condition in outcome.conditions:
        assert n_answers[condition] >= len(outcome.where(condition=condition)), condition
    for each in samples:
        if "audio" in each.answers:
            trials = outcome.where(condition="audio")
            (same,) = [
                t
                for t in trials
                if (t.question.text, t.question.clip, t.question.pair.target)
                == (each.answers["audio"].prompt, each.clip, each.facts[relation(each)])
                and t.question.pair.relation == relation(each)
            ]
            correct = same.is_correct(outcome.reading)
            assert each.answers["audio"].correctness == ("right" if correct else "wrong")


def relation(sample: Sample) -> str:
    (name,) = set(sample.facts) - {"concept"}
    return name


def test_the_page_states_the_diagnosis_and_every_reading(
    outcome: ProbeOutcome, tmp_path: Path
) -> None:
    page = probe_page(outcome, tmp_path)
    assert page.findings[0].startswith(f"Diagnosis: {outcome.diagnosis().name}.")
    assert 3 <= len(page.findings) <= 5
    sections = {section.title: section for section in page.sections}
    (grid,) = sections["Readings of the answers"].items
    assert isinstance(grid, DataGrid)
    readings = {(row[0], row[2]) for row in grid.table.rows}
    assert {(r, "audio") for r in ("free-text", "likelihood", "prior-corrected")} <= readings
    assert ("prior-corrected", "no audio") not in readings  # there is no audio to leave out
    probabilities = {
        answer.facts["probability of the correct answer"]
        for each in question_samples([NamedOutcome(outcome)])
        for answer in each.answers.values()
    }
    assert probabilities <= {"0.052", "0.948"}  # -0.1 against -3 nats


def test_options_are_shown_without_python_syntax(outcome: ProbeOutcome, tmp_path: Path) -> None:
    (grid, *_) = probe_page(outcome, tmp_path).sections[-1].items
    assert isinstance(grid, DataGrid)
    values = {row[0]: row[1] for row in grid.table.rows}
    assert values["forms"] == "yes-no"
    assert not any(value.startswith(("(", "[", "{")) for value in values.values())


@pytest.mark.slow
def test_page_is_accessible_in_all_widths(outcome: ProbeOutcome, tmp_path: Path) -> None:
    check_page(write_probe_page(outcome, tmp_path / "report.html"))


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


@pytest.mark.slow
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
