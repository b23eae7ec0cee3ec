"""The report of a run, in a real browser: it sorts, filters, plays, and runs nothing foreign."""

import csv
import re
import shutil
from pathlib import Path

import pytest
from tests.browser import opened

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


def test_nothing_foreign_runs_and_all_of_it_is_shown(folder: Path) -> None:
    with opened(folder / "report.html") as (page, complaints):
        assert complaints == []
        assert page.locator("script").count() == 1
        assert page.locator("td img, dd img, h3 b, svg script").count() == 0
        assert EVIL in page.locator("dd.response").all_text_contents()[0]
        assert "drum <b>bold #1?.flac" in page.locator(".cards h3").all_text_contents()


def test_tables_sort_and_filter(folder: Path) -> None:
    with opened(folder / "report.html") as (page, _):
        labels = page.locator("section", has_text="Show rows with").locator("details").first
        column = labels.locator("tbody tr td:first-child")
        labels.locator("th button", has_text="label").click()
        rising = column.all_text_contents()
        assert rising == sorted(rising, key=str.lower)
        labels.locator("th button", has_text="label").click()
        assert column.all_text_contents() == rising[::-1]
        labels.locator("input.filter").fill("CROW")
        assert labels.locator("tbody tr:visible").count() == 1


def test_sounds_are_linked_and_can_be_played(folder: Path) -> None:
    with opened(folder / "report.html") as (page, _):
        page.locator(".cards summary").first.click()
        for audio in page.locator(".cards").first.locator("audio").all():
            seconds = audio.evaluate(
                "a => new Promise(done => { a.onloadedmetadata = () => done(a.duration);"
                " a.onerror = () => done(0); a.load(); })"
            )
            assert seconds > 0.1
        picture = page.locator(".cards").first.locator("img").first
        assert picture.evaluate("i => i.naturalWidth") > 20


def test_failures_and_the_drop_have_their_places(folder: Path) -> None:
    with opened(folder / "report.html") as (page, _):
        headings = page.locator("h2").all_text_contents()
        assert "Failures" in headings
        assert "Familiar and unfamiliar audio" in headings
        assert "Calibration" in headings
        *_, failed, made = page.locator("section").all_text_contents()
        assert "broken.flac" in failed
        assert "missing 1" in made


def test_the_report_is_light_and_embeds_sounds_on_request(folder: Path, tmp_path: Path) -> None:
    linked = (folder / "report.html").read_text()
    assert "data:audio" not in linked
    assert len(linked) < 1_000_000
    shutil.copytree(folder, tmp_path / "run")
    with pytest.raises(SystemExit):
        main(["run", str(folder / "config.toml"), "--out", str(tmp_path / "run"), "--embed-audio"])
    assert "data:audio/wav;base64," in (tmp_path / "run" / "report.html").read_text()


def test_tables_are_there_for_papers(folder: Path) -> None:
    latex = (folder / "summary.tex").read_text()
    assert latex.count(r"\\") == 7
    assert not re.search(r"(?<!\\)[%$#_&](?![ ])", latex.replace(" & ", " "))
    assert "## mine: caption" in (folder / "summary.md").read_text()
