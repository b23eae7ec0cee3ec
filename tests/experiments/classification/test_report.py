"""The report of a run, in a real browser: it sorts, filters, plays, and runs nothing foreign."""

import csv
import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page
from tests.browser import check_page, draw_charts, opened

from audioprobe.cli import main
from audioprobe.datasets.recordings import FOLDER

EVIL = '<img src=x onerror=alert(1)>&<script>alert(2)</script>"$x^2$'
CONFIG = """
kind = "classification"
bootstrap = {{ n_resamples = 50 }}

[model]
name = "scripted"
options = {{ answer = {answer} }}

[scorer]
name = "keyword"

[[evaluation_sets]]
name = "mine"
dataset = {{ name = "manifest", options = {{ table = {table} }} }}
split = "all"
familiar = true

[[evaluation_sets]]
name = "made"
dataset = {{ name = "synthetic", options = {{ n_clips = 4, palette = ["crow", "rain", "bell"] }} }}
split = "test"

[[evaluation_sets]]
name = "same"
thresholds_from = "mine"
dataset = {{ name = "manifest", options = {{ table = {table} }} }}
split = "all"
familiar = false

[[prompt_levels]]
prompt = "caption"

[[prompt_levels]]
prompt = "labels"
"""


def quoted(text: str) -> str:
    return "'''" + text + "'''"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over clips, labels and captions that want to be markup."""
    home = tmp_path_factory.mktemp("report")
    names = ["crow.flac", "drum <b>bold #1?.flac", "gone.flac", "broken.flac"]
    shutil.copy(FOLDER / "crow.flac", home / names[0])
    shutil.copy(FOLDER / "crow.flac", home / names[1])
    (home / names[3]).write_bytes(b"no sound")
    with (home / "clips.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("path", "labels"))
        labels = ("crow", f"rain;{EVIL}", "rain", "rain")
        writer.writerows(zip(names, labels, strict=True))
    text = CONFIG.format(answer=quoted(f"a crow {EVIL}"), table=quoted(str(home / "clips.csv")))
    (home / "mine.toml").write_text(text)
    with pytest.raises(SystemExit) as ended:
        main(["run", str(home / "mine.toml"), "--out", str(home / "run")])
    assert not ended.value.code
    return home / "run"


def samples(page: Page) -> Locator:
    return page.locator(".samples")


def select(page: Page, name: str, option: str) -> None:
    samples(page).locator("label", has_text=name).locator("select").first.select_option(option)


def count(page: Page) -> str:
    return samples(page).locator(".count").text_content() or ""


def test_nothing_foreign_runs_and_all_of_it_is_shown(folder: Path) -> None:
    with opened(folder / "report.html") as (page, complaints):
        draw_charts(page)
        assert complaints == []
        assert page.locator("script:not([type])").count() == 1
        assert page.locator("td img, dd img, h3 b, svg script, svg img").count() == 0
        shown = samples(page).locator("dd.response").all_text_contents()
        assert f"a crow {EVIL}" in shown
        assert "drum <b>bold #1?.flac" in samples(page).locator("h3").all_text_contents()
        labels = page.locator(".drawing text")
        assert any(EVIL[:9] in text for text in labels.all_text_contents())


def test_tables_sort_by_keyboard_and_filter(folder: Path) -> None:
    with opened(folder / "report.html") as (page, _):
        labels = page.locator("section", has_text="Show rows with").locator("details").first
        column = labels.locator("tbody th")
        head = labels.locator("thead th", has_text="label")
        head.locator("button").focus()
        assert "Class name" in (page.locator("#tip").text_content() or "")
        page.keyboard.press("Enter")
        rising = column.all_text_contents()
        assert rising == sorted(rising, key=str.lower)
        assert head.get_attribute("aria-sort") == "ascending"
        page.keyboard.press("Enter")
        assert column.all_text_contents() == rising[::-1]
        assert head.get_attribute("aria-sort") == "descending"
        page.keyboard.press("Escape")
        assert page.locator("#tip").is_hidden()
        labels.locator("input.filter").fill("CROW")
        assert labels.locator("tbody tr:visible").count() == 1


def test_samples_are_filtered_and_two_prompts_compared(folder: Path) -> None:
    with opened(folder / "report.html") as (page, _):
        assert count(page).startswith("1 to 10 of 10 samples")
        select(page, "evaluation set", "mine")
        assert count(page) == "1 to 3 of 3 samples: 2 undecided, 1 failed"
        select(page, "label", "crow")
        assert samples(page).locator("h3").all_text_contents() == ["crow.flac"]
        select(page, "label", "")
        select(page, "answers", "failed")
        assert count(page).startswith("1 to 1 of 1 samples")
        assert "read" in (samples(page).locator(".answer").first.text_content() or "")
        select(page, "answers", "")
        select(page, "compare with", "1")
        first = samples(page).locator("article").first
        assert first.locator("h4").all_text_contents() == ["caption", "labels"]
        prompts = first.locator("dd.prompt").all_text_contents()
        assert prompts[0] != prompts[1]
        select(page, "answers", "differ")
        assert count(page) == "0 samples"
        select(page, "answers", "")
        samples(page).locator("input[type=search]").fill("BOLD")
        assert samples(page).locator("article").count() == 1


def test_sounds_are_linked_and_can_be_played(folder: Path) -> None:
    with opened(folder / "report.html") as (page, _):
        for audio in samples(page).locator("audio").all():
            seconds = audio.evaluate(
                "a => new Promise(done => { a.onloadedmetadata = () => done(a.duration);"
                " a.onerror = () => done(0); a.load(); })"
            )
            assert seconds > 0.1
        picture = samples(page).locator("img").first
        assert picture.evaluate("i => i.naturalWidth") > 20
        assert "kHz" in (picture.get_attribute("alt") or "")
        assert "s" in samples(page).locator(".axis.bottom b").all_text_contents()


def test_charts_can_be_read_by_keyboard_and_have_their_numbers(folder: Path) -> None:
    with opened(folder / "report.html") as (page, _):
        assert draw_charts(page) == page.locator("figure .numbers table").count()
        figure = page.locator("#findings figure")
        figure.locator(".chart").focus()
        page.keyboard.press("ArrowDown")
        first = figure.locator("output").text_content() or ""
        page.keyboard.press("ArrowDown")
        assert first.startswith("mine: caption: ")
        assert (figure.locator("output").text_content() or "").startswith("mine: labels: ")
        cells = figure.locator("tbody td").all_text_contents()
        assert first.removeprefix("mine: caption: ") == cells[0]


@pytest.mark.slow
def test_dark_mode_can_be_chosen(folder: Path) -> None:
    with opened(folder / "report.html") as (page, _):
        color = "getComputedStyle(document.body).backgroundColor"
        assert page.evaluate(color) == "rgb(255, 255, 255)"
        page.locator("#theme").click()
        assert page.evaluate(color) == "rgb(18, 24, 30)"
    with opened(folder / "report.html", dark=True) as (page, _):
        assert page.evaluate(color) == "rgb(18, 24, 30)"


def test_the_top_says_what_was_done_and_what_came_out(folder: Path) -> None:
    with opened(folder / "report.html") as (page, _):
        top = page.locator("header").text_content() or ""
        for words in ("scripted", "4 clips", "audioprobe run config.toml", "UTC"):
            assert words in top
        findings = page.locator(".findings li").all_text_contents()
        assert 3 <= len(findings) <= 5
        assert "macro AUC" in findings[0]
        provenance = page.locator("section").last.text_content() or ""
        for words in ("scorer", "seed", "version of numpy", "scores.parquet", "question"):
            assert words in provenance


def test_failures_and_the_drop_have_their_places(folder: Path) -> None:
    with opened(folder / "report.html") as (page, _):
        headings = page.locator("h2").all_text_contents()
        assert "Familiar and unfamiliar audio" in headings
        assert "Calibration" in headings
        sections = dict(zip(headings, page.locator("section[aria-labelledby]").all(), strict=True))
        assert "broken.flac" in (sections["Failures"].text_content() or "")
        assert "missing 1" in (sections["Set-up"].text_content() or "")


def test_the_report_is_light_and_embeds_sounds_on_request(folder: Path, tmp_path: Path) -> None:
    linked = (folder / "report.html").read_text()
    assert "data:audio" not in linked
    assert len(linked) < 1_500_000
    shutil.copytree(folder, tmp_path / "run")
    with pytest.raises(SystemExit):
        main(["run", str(folder / "config.toml"), "--out", str(tmp_path / "run"), "--embed-audio"])
    assert "data:audio/wav;base64," in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.slow
def test_page_is_accessible_in_all_widths(folder: Path) -> None:
    check_page(folder / "report.html")


def test_tables_are_there_for_papers(folder: Path) -> None:
    latex = (folder / "summary.tex").read_text()
    assert latex.count("tabular") > 2  # wide tables are split
    assert not re.search(r"(?<!\\)(?<!^)[%$#_&](?![ ])", latex.replace(" & ", " "))
    assert "## mine: caption" in (folder / "summary.md").read_text()
