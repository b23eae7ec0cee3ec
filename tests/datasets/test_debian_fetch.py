"""Fetching packages: complete or absent, present packages are kept, errors are reported."""

import shutil
import signal
import time
from pathlib import Path

import pytest
from filelock import FileLock
from tests.datasets.debian_packages import (
    PACKAGES,
    build,
    lay_out,
    needs_dpkg,
    served,
    small_tables,
)
from tests.processes import run_cli, start_cli

from audioprobe import DebianSounds
from audioprobe.cli.training import fetch_sounds
from audioprobe.datasets.debian import fetch_packages, fetch_report
from audioprobe.errors import InvalidInputError, MissingDependencyError, RemoteError
from audioprobe.progress import ProgressEvent

__all__ = ["served", "small_tables"]
pytestmark = needs_dpkg


@pytest.fixture(scope="module")
def built_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all packages of the small tables."""
    folder = tmp_path_factory.mktemp("packages")
    for name in PACKAGES:
        lay_out(folder / name, name, fetched=False)
        build(folder / name, name, folder / f"{name}.deb")
    return folder


@pytest.fixture
def offered(served: Path, built_packages: Path) -> Path:
    """All packages of the small tables, ready to download."""
    for archive in built_packages.glob("*.deb"):
        shutil.copy(archive, served)
    return served


@pytest.mark.usefixtures("small_tables")
def test_labelled_recordings_and_the_copyright_are_kept(offered: Path, tmp_path: Path) -> None:
    events: list[ProgressEvent] = []
    states = fetch_packages(tmp_path / "out", progress=events.append)
    assert states == dict.fromkeys(PACKAGES, "fetched")
    sounds = DebianSounds(tmp_path / "out", doubtful=True)
    assert not sounds.missing
    assert (tmp_path / "out/farm/usr/share/doc/farm/copyright").read_text().startswith("License")
    assert not list((tmp_path / "out").rglob("jingle.wav"))
    assert not list((tmp_path / "out").glob(".partial-*"))
    assert (events[-1].done, events[-1].total, events[-1].unit) == (3000, 3000, "bytes")
    text, complete = fetch_report(tmp_path / "out", states)
    assert complete
    assert "6 of 6 recordings" in text
    assert "identical recordings: farm/more/dog.wav, forest/dog.wav" in text


@pytest.mark.usefixtures("small_tables")
def test_present_packages_are_not_downloaded_again(offered: Path, tmp_path: Path) -> None:
    fetch_packages(tmp_path / "out", ["farm"])
    (offered / "requests").unlink()
    assert fetch_packages(tmp_path / "out", ["farm"]) == {"farm": "present"}
    assert not (offered / "requests").exists()


@pytest.mark.usefixtures("small_tables")
def test_interrupted_fetch_leaves_no_package(offered: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    lay_out(out / ".partial-abc" / "present", "farm")
    (offered / "trouble").write_text("E: Failed to fetch farm: Could not resolve 'mirror'\n")
    with pytest.raises(
        RemoteError, match=r"farm: .*Could not resolve .*run the same command again"
    ):
        fetch_packages(out, ["farm"])
    assert {path.name for path in out.iterdir()} == {".lock"}
    (offered / "trouble").unlink()
    assert fetch_packages(out, ["farm"]) == {"farm": "fetched"}


@pytest.mark.usefixtures("small_tables")
def test_full_disk_raises_os_error(offered: Path, tmp_path: Path) -> None:
    (offered / "trouble").write_text("E: Write error - write (28: No space left on device)\n")
    with pytest.raises(OSError, match="Free space") as caught:
        fetch_packages(tmp_path / "out", ["farm"])
    assert not isinstance(caught.value, RemoteError)
    assert not (tmp_path / "out/farm").exists()


@pytest.mark.usefixtures("small_tables")
def test_damaged_package_is_refused(offered: Path, tmp_path: Path) -> None:
    content = (offered / "farm.deb").read_bytes()
    (offered / "farm.deb").write_bytes(content[: len(content) // 2])
    with pytest.raises(RemoteError, match="dpkg-deb could not unpack"):
        fetch_packages(tmp_path / "out", ["farm"])
    assert not (tmp_path / "out/farm").exists()


@pytest.mark.usefixtures("small_tables")
def test_packages_unknown_to_the_index_are_listed(offered: Path, tmp_path: Path) -> None:
    (offered / "farm.deb").unlink()
    states = fetch_packages(tmp_path / "out")
    assert list(states.values()) == ["unknown", "fetched", "fetched"]
    text, complete = fetch_report(tmp_path / "out", states)
    assert not complete
    assert "unknown  farm\n" in text
    assert "3 of 3 recordings" in text


@pytest.mark.usefixtures("small_tables")
def test_link_out_of_the_package_is_not_followed(served: Path, tmp_path: Path) -> None:
    lay_out(tmp_path / "farm", "farm")
    secret = tmp_path / "secret.wav"
    shutil.copy(tmp_path / "farm/usr/share/farm/cow.wav", secret)
    (tmp_path / "farm/usr/share/farm/cow.wav").unlink()
    (tmp_path / "farm/usr/share/farm/cow.wav").symlink_to(secret)
    build(tmp_path / "farm", "farm", served / "farm.deb")
    fetch_packages(tmp_path / "out", ["farm"])
    sounds = DebianSounds(tmp_path / "out", packages=["farm"], doubtful=True)
    assert sounds.missing == {"farm/cow.wav": "the package has no such file"}


@pytest.mark.usefixtures("small_tables")
def test_damaged_resource_file_is_refused(served: Path, tmp_path: Path) -> None:
    lay_out(tmp_path / "farm", "farm", fetched=False)
    (tmp_path / "farm/usr/share/farm/all.rcc").write_bytes(b"qres")
    build(tmp_path / "farm", "farm", served / "farm.deb")
    with pytest.raises(RemoteError, match=r"all\.rcc: cannot be read as a container of sounds"):
        fetch_packages(tmp_path / "out", ["farm"])
    assert not (tmp_path / "out/farm").exists()


def test_missing_tool_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingDependencyError, match="apt-get was not found"):
        fetch_packages(tmp_path / "out")


def test_unusable_folder_is_refused(served: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for folder in (file, file / "below"):
        with pytest.raises(InvalidInputError, match="cannot be written to"):
            fetch_packages(folder)
    (tmp_path / "out").mkdir()
    with (
        FileLock(tmp_path / "out" / ".lock"),
        pytest.raises(InvalidInputError, match="another process"),
    ):
        fetch_packages(tmp_path / "out")


def test_command_lists_missing_and_changed_recordings(
    served: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "xboard"
    place = package / "usr/share/games/xboard/sounds"
    lay_out(package, "farm")
    place.mkdir(parents=True)
    shutil.copy(package / "usr/share/farm/cow.wav", place / "gong.wav")
    build(package, "xboard", served / "xboard.deb")
    assert fetch_sounds(packages="xboard, scratch", out=tmp_path / "o") == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["fetched  xboard", "unknown  scratch"]
    assert any("missing  xboard/gong.wav: differs from the file that" in x for x in lines)
    assert "missing  xboard/cymbal.wav: the package has no such file" in lines
    assert lines[-1].startswith("0 of 5 recordings are in")


def test_command_prints_errors_in_one_line(served: Path, tmp_path: Path) -> None:
    (served / "trouble").write_text("E: Failed to fetch it  Connection refused\n")
    process = run_cli("fetch-sounds", "--packages", "xboard", "--out", str(tmp_path / "o"))
    assert process.returncode == 2
    assert process.stderr.startswith("audioprobe: xboard: apt-get could not fetch it")
    assert process.stderr.count("\n") == 1
    assert run_cli("fetch-sounds", "--packages", "nonsense").returncode == 2


def test_ctrl_c_stops_the_download_and_leaves_no_package(served: Path, tmp_path: Path) -> None:
    (served / "slow").touch()
    process = start_cli("fetch-sounds", "--packages", "xboard", "--out", "o", cwd=tmp_path)
    while not (served / "requests").exists():
        assert process.poll() is None
        time.sleep(0.05)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr) == (130, "audioprobe: interrupted.\n")
    assert time.monotonic() - start < 20, "apt-get was stopped, too"
    assert {path.name for path in (tmp_path / "o").iterdir()} == {".lock"}


def test_summary_needs_no_network(served: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fetch_sounds(packages="scratch", summary=True) == 0
    output = capsys.readouterr().out
    assert "CC-BY-SA-3.0" in output
    assert "laughter" in output
    assert not (served / "requests").exists()
