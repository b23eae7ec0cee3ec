"""The page and the command of a probe, in a real browser and a real process."""

from pathlib import Path

import pytest
from tests.browser import opened
from tests.probing.listeners import CLIPS, SUBJECTS, knows_names, listener, misheard, yes_sayer
from tests.processes import run_cli

from audioprobe import Clip
from audioprobe.datasets.recordings import FOLDER
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing.concept_probe import ConceptProbe
from audioprobe.probing.prompting import PromptingOptions
from audioprobe.protocols import LanguageModel
from audioprobe.reports.html import DataGrid
from audioprobe.reports.probe_page import probe_page, write_probe_page

EVIL = '<img src=x onerror=alert(1)><script>alert(2)</script>"'


def test_the_page_shows_all_and_runs_nothing_foreign(tmp_path: Path) -> None:
    named = Clip(id=EVIL, path=FOLDER / "crow.flac", labels=("crow",))
    clips = [named, *CLIPS[1:]]
    probe = ConceptProbe(listener(name=EVIL), concepts=SUBJECTS, bootstrap=Bootstrap(50))
    page_file = write_probe_page(probe("hypernym", clips), tmp_path / "report.html")
    with opened(page_file) as (page, complaints):
        assert complaints == []
        assert page.locator("script").count() == 1
        assert page.locator("td img, dd img, h1 img").count() == 0
        headings = page.locator("h2").all_text_contents()
        assert {"Conditions", "Words against sound", "The ladder", "Every trial"} <= set(headings)
        ladder = page.locator("figure[aria-label], figure svg[aria-label*='upwards']")
        assert ladder.count() == 2  # in words and in sound
        cells = page.locator("details", has_text="Text by audio").locator("td.number")
        n_paired = sum(int(text) for text in cells.all_text_contents()[-4:])
        assert n_paired > 0
        assert EVIL in page.locator(".cards h3").all_text_contents()
        page.locator(".cards summary").first.click()
        assert page.locator(".cards audio").count() == 1  # sounds in memory have no file to play


KINDS = {
    "recognises and reasons": listener(),
    "ignores the audio, reasons in text": listener(ear=lambda _: ""),
    "always says yes": yes_sayer(),
    "recognises but does not reason": listener(mind=knows_names),
    "reasons in text but does not recognise": listener(ear=misheard),
}


@pytest.mark.parametrize(("name", "model"), KINDS.items())
def test_the_report_tells_five_listeners_apart_by_name(
    name: str, model: LanguageModel, tmp_path: Path
) -> None:
    probe = ConceptProbe(model, concepts=SUBJECTS, conditions=("text", "audio"))
    page = probe_page(probe("hypernym", CLIPS), tmp_path)
    assert [one for one in KINDS if f": {one}. It was asked" in page.lead] == [name]


def test_the_page_reads_the_same_trials_in_every_way(tmp_path: Path) -> None:
    probe = ConceptProbe(listener(), concepts=SUBJECTS, bootstrap=Bootstrap(50))
    sections = {s.title: s for s in probe_page(probe("hypernym", CLIPS), tmp_path).sections}
    (ways,) = sections["Ways to read an answer"].items
    assert isinstance(ways, DataGrid)
    told = {(row[0], row[2]) for row in ways.table.rows}
    assert {("text", "audio"), ("likelihood", "audio"), ("prior-corrected", "audio")} <= told
    assert ("prior-corrected", "no audio") not in told  # it has no sound to leave out
    trials = sections["Every trial"].items[-1]
    assert isinstance(trials, DataGrid)
    shares = {
        row[trials.table.header.index("probability of the right one")] for row in trials.table.rows
    }
    assert {float(share) for share in shares} <= {0.052, 0.948}  # -0.1 against -3 nats
    words = ConceptProbe(yes_sayer(), concepts=SUBJECTS, options=PromptingOptions(free_text=False))
    alone = probe_page(words("hypernym"), tmp_path)
    assert "Ways to read an answer" not in [section.title for section in alone.sections]


def test_the_command_shows_questions_asks_them_and_goes_on(tmp_path: Path) -> None:
    out = str(tmp_path / "probe")
    dry = run_cli("probe", "--dry-run", "--out", out)
    assert dry.returncode == 0, dry.stderr
    assert "questions; equal ones are asked once" in dry.stdout
    assert not Path(out).exists()
    own = run_cli("probe", "--pairs", "hypernym", "--clips", str(FOLDER), "--dry-run", "--out", out)
    assert f"[{FOLDER}/burp.flac]" in own.stdout
    words = run_cli("probe", "--clips", "", "--dry-run", "--out", out)
    assert "text: " in words.stdout
    assert "audio: " not in words.stdout
    command = ("probe", "--model", "scripted:Yes.", "--conditions", "text,audio", "--out", out)
    first = run_cli(*command)
    assert first.returncode == 0, first.stderr
    # A script rates all words alike, and a tie is no answer: words are read.
    assert "always says yes" in first.stdout
    results = ("trials.parquet", "summary.md", "config.toml", "responses.jsonl")
    before = {name: (Path(out) / name).read_bytes() for name in results}
    assert (Path(out) / "report.html").is_file()
    again = run_cli(*command)
    assert again.stdout == first.stdout
    assert {name: (Path(out) / name).read_bytes() for name in results} == before
    other = run_cli(*command, "--seed", "1")
    assert other.returncode == 2
    assert "holds a run with another configuration" in other.stderr
    wrong = run_cli("probe", "--model", "scripted:Yes.", "--pairs", "hypernyms", "--out", out)
    assert wrong.returncode == 2
    assert "Did you mean 'hypernym'" in wrong.stderr
