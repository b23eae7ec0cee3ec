"""Every code block in README and docs runs; names, extras and make targets in them exist."""

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import CycloptsError

from audioprobe.classification.caption import CaptionClassifier
from audioprobe.cli import app
from audioprobe.cli.classify import DEMO_SAMPLES
from audioprobe.datasets.recordings import FOLDER, Recordings
from audioprobe.experiments.classification.config import ClassificationConfig
from audioprobe.experiments.probing.config import ProbeConfig
from audioprobe.io.config import parse_config
from audioprobe.results.tables import compare_captions
from audioprobe.weights import WEIGHTS_PACKAGES
from tests.datasets.debian_packages import lay_out_sonic_pi
from tests.processes import run_cli
from tests.remote_service import Service
from tests.tiny_chat_models import saved
from tests.tiny_ltu import write_base, write_checkpoint, write_checkpoint_as, write_whisper
from tests.vllm_service import VllmEngine, serve_vllm

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


# What a page asks its reader to have: weights that the authors publish, a service with a key,
# recordings that are fetched over the network. The models here are tiny and random, in the
# original format, and the service is really local. All other pages begin in an empty folder.
WEIGHTS = ("how-to/chat-models.md", "how-to/ltu-weights.md")
SERVICES = ("how-to/remote-embeddings.md", "how-to/remote-models.md")
FETCHED = ("how-to/debian-sounds.md",)
VLLM = ("how-to/serve-with-vllm.md",)


def blocks(page: Path, *languages: str) -> list[tuple[str, str]]:
    """Language and code of the blocks in these languages, in order; a command is one line."""
    fences = FENCE.findall(page.read_text("utf-8"))
    return [
        (language, code if language == "python" else code.replace("\\\n", ""))
        for language, code in fences
        if language in languages
    ]


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A folder `models`, as the pages about weights ask for it."""
    models = tmp_path / "models"
    models.mkdir()
    (models / "Qwen2-Audio-7B-Instruct").symlink_to(saved("qwen2-audio"))
    (models / "Qwen2.5-7B-Instruct").symlink_to(saved("llama"))
    write_checkpoint(models / "ltu_ori_paper.bin")
    write_checkpoint_as(models / "ltuas_long_noqa_a6.bin")
    write_base(models / "vicuna-7b-v1.1")
    write_whisper(models / "whisper-large")
    return models


@pytest.fixture
def vllm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Service, VllmEngine]]:
    """A server, in vLLM's format, of the folder that the page exports."""
    with serve_vllm(tmp_path / "served") as (service, engine):
        monkeypatch.setenv("OPENAI_BASE_URL", service.url)
        yield service, engine


def test_every_block_has_a_language_that_is_checked_here() -> None:
    languages = {lang for page in PAGES for lang, _ in FENCE.findall(page.read_text("utf-8"))}
    assert languages <= {"python", "bash", "toml", "text"}


LONG = (
    "docs/gallery.md",
    "docs/index.md",
    "docs/small-ltu.md",
    "docs/how-to/compare-representations.md",
    "docs/how-to/use-tools.md",
    "docs/how-to/bioacoustics.md",
    "docs/how-to/block-attention.md",
    "docs/how-to/exchange.md",
    "docs/how-to/locate-a-loss.md",
    "docs/how-to/patch-activations.md",
    "docs/how-to/serve-with-vllm.md",
    "docs/how-to/read-activations-as-words.md",
    "docs/how-to/run-an-experiment.md",
    "docs/how-to/probe-concepts.md",
    "docs/how-to/probe-measures.md",
    "docs/how-to/choose-a-classifier.md",
    "docs/how-to/fine-tune.md",
    "docs/how-to/remote-models.md",
    "docs/tutorial.md",
)
"""Pages that run experiments, or many forward passes."""


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=name(page), marks=[pytest.mark.slow] if name(page) in LONG else [])
        for page in PAGES
        if blocks(page, "python", "bash")
    ],
)
def test_a_page_runs_from_top_to_bottom(
    page: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    if name(page).removeprefix("docs/") in WEIGHTS:
        request.getfixturevalue("weights")
    if name(page).removeprefix("docs/") in SERVICES:
        service = request.getfixturevalue("service")
        monkeypatch.setenv("OPENAI_BASE_URL", service.url)
    if name(page).removeprefix("docs/") in VLLM:
        _, engine = request.getfixturevalue("vllm")
        engine.n_new = 12  # a model of 135 million parameters, without a cache of keys and values
    if name(page).removeprefix("docs/") in FETCHED:
        lay_out_sonic_pi(tmp_path / "sounds")
    monkeypatch.chdir(tmp_path)
    scope: dict[str, object] = {"__name__": "__main__"}
    for language, code in blocks(page, "python", "bash"):
        if language == "python":
            exec(compile(code, name(page), "exec"), scope)  # the page is ours
            continue
        for line in code.splitlines():
            if line.startswith("audioprobe "):
                process = run_cli(*shlex.split(line)[1:])
                assert process.returncode == 0, f"{line}\n{process.stderr}"


SHELL = [(p, line) for p in PAGES for _, b in blocks(p, "bash") for line in b.splitlines() if line]


@pytest.mark.parametrize(("page", "line"), SHELL, ids=lambda v: str(v)[-60:])
def test_other_commands_name_what_exists(page: Path, line: str) -> None:
    command, *arguments = shlex.split(line)
    assert command in ("audioprobe", "make", "pip")
    if command == "make":
        dry_run = ["make", "--dry-run", "--directory", str(ROOT), *arguments]
        assert subprocess.run(dry_run, capture_output=True, check=False).returncode == 0
    if command == "pip":
        extras = re.findall(r"\[(.*)\]", arguments[-1])
        if extras:
            assert set(extras[0].split(",")) <= set(PROJECT["optional-dependencies"])
        else:
            assert line in [c.install.split(" && ")[0] for c in WEIGHTS_PACKAGES.values()]


QUOTED = [
    line
    for page in PAGES
    for _, code in blocks(page, "text")
    for line in code.splitlines()
    if line.startswith("audioprobe ")
]


@pytest.mark.parametrize("line", QUOTED)
def test_commands_that_are_not_run_have_valid_arguments(line: str) -> None:
    app.parse_args(shlex.split(line)[1:], exit_on_error=False, print_error=False)


def test_an_unknown_option_is_not_a_valid_argument() -> None:
    with pytest.raises(CycloptsError):
        app.parse_args(["classify", "--tabel", "x.csv"], exit_on_error=False, print_error=False)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_nothing_is_left_to_be_filled_in(page: Path) -> None:
    assert re.findall(r"@@.*|\b(?:TODO|TBD|FIXME|XXX)\b.*", page.read_text("utf-8")) == []


@pytest.mark.parametrize("block", [b for p in PAGES for _, b in blocks(p, "toml")])
def test_toml_blocks_parse(block: str) -> None:
    tables = tomllib.loads(block)
    assert tables
    kind = {"classification": ClassificationConfig, "probe": ProbeConfig}.get(
        str(tables.get("kind"))
    )
    if kind is not None:
        parse_config(kind, tables, "a page")


@pytest.mark.slow
def test_the_example_classifies_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "22 of 22 clips scored" in run_example("classify_folder.py", str(FOLDER), "crow,drum")


@pytest.mark.slow
def test_the_example_draws_synthetic_sources(tmp_path: Path) -> None:
    picture = tmp_path / "sources.png"
    run_example("draw_synthetic_sources.py", str(picture))
    assert picture.read_bytes().startswith(b"\x89PNG")


def run_example(script: str, *arguments: str) -> str:
    command = [sys.executable, str(ROOT / "examples" / script), *arguments]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return process.stdout


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_between_files_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


def test_commands_quoted_beside_numbers_exist() -> None:
    text = "".join(page.read_text("utf-8") for page in PAGES)
    for path in re.findall(r"`(?:python|pytest) (\S+\.py)`", text):
        assert (ROOT / path).is_file(), path


NAVIGATION = re.compile(r"^ +- (?:([^:\n]+): )?(\S+\.md)$", re.MULTILINE)


def test_every_page_is_in_the_navigation_under_its_title() -> None:
    entries = NAVIGATION.findall((ROOT / "mkdocs.yml").read_text("utf-8"))
    titles = {
        path: (ROOT / "docs" / path).read_text("utf-8").partition("\n")[0].removeprefix("# ")
        for _, path in entries
    }
    assert {path: label for label, path in entries if label not in ("", titles[path])} == {}
    pages = {page.relative_to(ROOT / "docs").as_posix() for page in PAGES if page.parent != ROOT}
    assert sorted(titles) == sorted(pages)


def test_the_reference_contains_calls_and_no_private_names() -> None:
    (hidden,) = re.findall(r'filters: \["!(.+)"\]', (ROOT / "mkdocs.yml").read_text("utf-8"))
    assert not re.search(hidden, "__call__")
    assert re.search(hidden, "_private")
    assert re.search(hidden, "__post_init__")


@pytest.mark.slow
@pytest.mark.parametrize("model", ["ltu:mini", "tag-captioner:yamnet", "tag-captioner:birdnet"])
def test_the_gallery_shows_captions_of_the_models(model: str) -> None:
    lines = (ROOT / "docs" / "gallery.md").read_text("utf-8").splitlines()
    header, _, *rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("|")]
    shown = {row[0]: row[header.index(f"`{model}`")] for row in rows}
    recordings = Recordings()
    n_samples = DEMO_SAMPLES if model.startswith("ltu:") else 1
    classifier = CaptionClassifier(model, "keyword", samples=n_samples)
    table = compare_captions({model: classifier(recordings.clips(), recordings.labels)})
    assert shown == {row[0]: row[-1] for row in table.rows}
