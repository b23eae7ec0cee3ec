"""Promises about the project itself: sizes, licences, data, versions."""

import ast
import csv
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import soundfile

import audioprobe
from audioprobe.datasets.recordings import FOLDER

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.relative_to(ROOT / "src").as_posix())
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno <= 60, node.name


def _relative(path: Path) -> str:
    return path.relative_to(ROOT / "src").as_posix()


def _nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text("utf-8"))))


def test_class_names_are_unique() -> None:
    classes: dict[str, list[str]] = {}
    for path in SOURCES:
        for node in _nodes(path):
            if isinstance(node, ast.ClassDef):
                classes.setdefault(node.name, []).append(f"{_relative(path)}:{node.lineno}")
    assert {name: places for name, places in classes.items() if len(places) > 1} == {}


def _is_field(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.AnnAssign) and not (
        ast.unparse(statement.annotation).startswith(("ClassVar", "KW_ONLY"))
    )


def test_dataclasses_with_more_than_five_fields_take_keywords_only() -> None:
    positional = [
        f"{_relative(path)}: {node.name}"
        for path in SOURCES
        for node in _nodes(path)
        if isinstance(node, ast.ClassDef) and sum(map(_is_field, node.body)) > 5
        for decorator in map(ast.unparse, node.decorator_list)
        if decorator.split("(")[0] in ("dataclass", "dataclasses.dataclass")
        if "kw_only=True" not in decorator
    ]
    assert positional == []


def test_every_package_lists_its_public_names() -> None:
    unlisted = [
        _relative(path)
        for path in SOURCES
        if path.name == "__init__.py"
        if not any(
            isinstance(node, ast.Name) and node.id == "__all__" and isinstance(node.ctx, ast.Store)
            for node in _nodes(path)
        )
    ]
    assert unlisted == []


def test_no_module_name_begins_with_an_underscore() -> None:
    private = [
        _relative(path)
        for path in SOURCES
        if path.stem not in ("__init__", "__main__")
        if any(part.startswith("_") for part in path.with_suffix("").parts[len(ROOT.parts) :])
    ]
    assert private == []


def test_functions_outside_the_command_line_contain_no_import() -> None:
    imports = {
        f"{_relative(path)}:{inner.lineno}: {ast.unparse(inner)}"
        for path in SOURCES
        if "cli" not in path.relative_to(ROOT / "src" / "audioprobe").parts
        for node in _nodes(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    }
    assert imports == set()


def test_the_recordings_are_few_small_free_and_all_listed() -> None:
    with (FOLDER / "recordings.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    sounds = [p for p in FOLDER.iterdir() if p.suffix in (".flac", ".ogg")]
    assert {row["file"] for row in rows} == {p.name for p in sounds}
    assert sum(p.stat().st_size for p in sounds) <= 1_500_000
    assert all(row["licence"] == "CC0 1.0" and row["source"] and row["author"] for row in rows)
    assert max(soundfile.info(p).duration for p in sounds) < 5
    text = (FOLDER / "README.md").read_text("utf-8")
    assert f"{len(rows)} short real recordings" in text
    assert f"Each of the {len({row['label'] for row in rows})} labels" in text


def test_test_data_stays_small_and_says_where_it_comes_from() -> None:
    data = ROOT / "tests" / "data"
    assert sum(p.stat().st_size for p in data.rglob("*") if p.is_file()) <= 15_000_000
    for folder in (p for p in data.iterdir() if p.is_dir() and p.name != "plugin"):
        assert (folder / "README.md").is_file(), folder


def test_version_and_names_agree_everywhere() -> None:
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\nversion: {audioprobe.__version__}\n" in citation
    assert audioprobe.__version__ in (ROOT / "CHANGELOG.md").read_text("utf-8")
    site = (ROOT / "mkdocs.yml").read_text("utf-8")
    assert f"\ncopyright: audioprobe {audioprobe.__version__}\n" in site  # below every page
    assert (ROOT / "src" / "audioprobe" / "py.typed").is_file()


def test_every_dependency_has_a_lower_bound() -> None:
    extras = PROJECT["optional-dependencies"].values()
    for requirement in [*PROJECT["dependencies"], *(r for extra in extras for r in extra)]:
        assert re.search(r">=\d", requirement), requirement


def test_the_wheel_holds_data_stub_and_type_marker_and_little_else(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run([*command, "--directory", tmp_path], cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.stat().st_size < 16_000_000  # 13 of them are the two small LTUs
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {
        "audioprobe/py.typed",
        "audioprobe/__init__.pyi",
        "audioprobe/concepts/concepts.toml",
        "audioprobe/datasets/debian/labels.csv",
        "audioprobe/datasets/debian/packages.csv",
        "audioprobe/recordings/crow.flac",
        "audioprobe/recordings/recordings.csv",
    } <= names
    assert all(name.startswith("audioprobe") for name in names)


def test_the_makefile_and_ci_agree_on_one_command() -> None:
    assert "make test" in (ROOT / ".ci" / "run").read_text()
