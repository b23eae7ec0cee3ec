"""Every code block in README and docs runs; names, extras and make targets in them exist."""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from audioprobe.configs import parse_config
from audioprobe.datasets.recordings import FOLDER
from audioprobe.experiments.config import Classification
from audioprobe.experiments.probing.config import Probe
from audioprobe.language_models.conversion import convert_ltu
from audioprobe.weights import CARRIERS
from tests.datasets.debian_packages import lay_out_sonic_pi
from tests.processes import run_cli
from tests.remote_service import serve
from tests.tiny_chat_models import saved
from tests.tiny_ltu import write_base, write_checkpoint, write_checkpoint_as, write_whisper

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def blocks(page: Path, language: str) -> list[str]:
    return [code for name, code in FENCE.findall(page.read_text("utf-8")) if name == language]


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder as the pages assume it: recordings, models, and a remote service.

    The models are tiny and random, and the service is really local.
    """
    shutil.copytree(FOLDER, tmp_path / "recordings")
    lay_out_sonic_pi(tmp_path / "sounds")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "Qwen2-Audio-7B-Instruct").symlink_to(saved("qwen2-audio"))
    (tmp_path / "models" / "Qwen2.5-7B-Instruct").symlink_to(saved("llama"))
    write_checkpoint(tmp_path / "models" / "ltu_ori_paper.bin")
    write_checkpoint_as(tmp_path / "models" / "ltuas_long_noqa_a6.bin")
    write_base(tmp_path / "models" / "vicuna-7b-v1.1")
    write_whisper(tmp_path / "models" / "whisper-large")
    monkeypatch.chdir(tmp_path)
    convert_ltu("models/ltu_ori_paper.bin", "models/ltu-7b", base="models/vicuna-7b-v1.1")
    with serve() as service:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-docs")
        monkeypatch.setenv("OPENAI_BASE_URL", service.url)
        yield tmp_path


def test_every_block_has_a_language_that_is_checked_here() -> None:
    languages = {lang for page in PAGES for lang, _ in FENCE.findall(page.read_text("utf-8"))}
    assert languages <= {"python", "bash", "toml", "text"}


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=name)
def test_python_blocks_run_one_after_the_other(page: Path, workplace: Path) -> None:
    scope: dict[str, object] = {"__name__": "__main__"}
    for code in blocks(page, "python"):
        exec(compile(code, name(page), "exec"), scope)  # the page is ours


SHELL = [(p, line) for p in PAGES for b in blocks(p, "bash") for line in b.splitlines() if line]


@pytest.mark.parametrize(
    ("page", "line"),
    [c for c in SHELL if c[1].startswith("audioprobe ")],
    ids=lambda v: str(v)[-60:],
)
def test_shell_commands_run(page: Path, line: str, workplace: Path) -> None:
    process = run_cli(*shlex.split(line)[1:])
    assert process.returncode == 0, process.stderr


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
            assert line in [c.install.split(" && ")[0] for c in CARRIERS.values()]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_nothing_is_left_to_be_filled_in(page: Path) -> None:
    assert re.findall(r"@@.*|\b(?:TODO|TBD|FIXME|XXX)\b.*", page.read_text("utf-8")) == []


@pytest.mark.parametrize("block", [b for p in PAGES for b in blocks(p, "toml")])
def test_toml_blocks_parse(block: str) -> None:
    tables = tomllib.loads(block)
    assert tables
    kind = {"classification": Classification, "probe": Probe}.get(str(tables.get("kind")))
    if kind is not None:
        parse_config(kind, tables, "a page")


def test_the_example_classifies_a_folder(workplace: Path) -> None:
    assert "22 of 22 clips scored" in run_example("classify_folder.py", "recordings", "crow,drum")


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
