"""One search finds the audio files of a folder for all callers."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.datasets.layouts import sound

from audioprobe import CaptionClassifier, Scripted
from audioprobe.audio.files import OTHER_SUFFIXES, READABLE_SUFFIXES, find_sounds, is_sound
from audioprobe.audio.sources import clips_of
from audioprobe.audio.windowing import read_waveform
from audioprobe.datasets.in_memory import Folder
from audioprobe.errors import AudioReadError
from audioprobe.types import Clip

HIDDEN = ("._one.wav", ".Trash/x.wav", "__MACOSX/._one.wav", "__MACOSX/y.wav", "@eaDir/z.wav")


def found_by_search(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in find_sounds(folder)]


def found_by_clips_of(folder: Path) -> list[str]:
    return [Path(clip.id).relative_to(folder).as_posix() for clip in clips_of(folder)]


def found_by_dataset(folder: Path) -> list[str]:
    return [clip.id for clip in Folder(folder).listed("all")]


@pytest.mark.parametrize("search", [found_by_search, found_by_clips_of, found_by_dataset])
def test_hidden_files_are_skipped_and_links_are_followed(
    tmp_path: Path, search: Callable[[Path], list[str]]
) -> None:
    folder = tmp_path / "sounds"
    for name in ("crow/one.wav", "crow/deep/two.caf", *(f"crow/{name}" for name in HIDDEN)):
        sound(folder / name)
    for name in HIDDEN:
        sound(folder / name)
    sound(tmp_path / "elsewhere" / "far.w64")
    (folder / "crow" / "more").symlink_to(tmp_path / "elsewhere")
    (folder / "crow" / "again").symlink_to(folder / "crow" / "deep")
    (folder / "crow" / "up").symlink_to(folder)
    (tmp_path / "elsewhere" / "back").symlink_to(folder / "crow")
    (folder / "crow" / "gone.wav").symlink_to(tmp_path / "nowhere.wav")
    assert search(folder) == [
        "crow/deep/two.caf", "crow/gone.wav", "crow/more/far.w64", "crow/one.wav",
    ]  # fmt: skip


def test_link_to_a_parent_folder_adds_no_clips_to_a_label(
    tmp_path: Path,
) -> None:
    sound(tmp_path / "crow" / "one.wav")
    sound(tmp_path / "rain" / "two.wav")
    (tmp_path / "crow" / "up").symlink_to("..")
    assert [clip.labels for clip in Folder(tmp_path).clips("all")] == [("crow",), ("rain",)]


@pytest.mark.parametrize("suffix", sorted(READABLE_SUFFIXES | OTHER_SUFFIXES))
def test_suffixes_are_case_insensitive(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a{suffix}").touch()
    (tmp_path / f"B{suffix.upper()}").touch()
    (tmp_path / "notes.txt").touch()
    assert len(find_sounds(tmp_path)) == 2
    assert not is_sound(tmp_path / "notes.txt")


def test_unsupported_formats_are_failures_with_a_conversion_command(tmp_path: Path) -> None:
    sound(tmp_path / "crow" / "one.wav")
    (tmp_path / "crow" / "my crow.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(500))
    (tmp_path / "crow" / "gone.wav").symlink_to(tmp_path / "nowhere.wav")
    result = CaptionClassifier(Scripted("a crow"), "keyword")(tmp_path, ["crow"])
    assert result.counts["scored"] == 1
    messages = {Path(f.clip_id).name: f.message for f in result.failures}
    assert set(messages) == {"my crow.m4a", "gone.wav"}
    assert "ffmpeg -i 'my crow.m4a' 'my crow.wav'" in messages["my crow.m4a"]
    assert "nowhere.wav" in messages["gone.wav"]
    assert "Did you mean" not in messages["gone.wav"]

    data = Folder(tmp_path)
    assert [clip.id for clip in data.clips("all")] == ["crow/one.wav"]
    assert set(data.missing) == {"crow/my crow.m4a", "crow/gone.wav"}
    assert "ffmpeg" in data.missing["crow/my crow.m4a"]
    assert data.info.options["missing"] == 2


def test_wrong_suffix_of_a_readable_file_is_accepted(tmp_path: Path) -> None:
    sound(tmp_path / "crow" / "truly-wav.m4a")
    data = Folder(tmp_path)
    assert not data.missing
    assert read_waveform(data.clips("all")[0]).samples.size == 800


def test_files_outside_label_folders_are_skipped_and_counted(tmp_path: Path) -> None:
    for name in ("train/crow/one.wav", "train/two.wav", "three.wav", "docs/four.wav"):
        sound(tmp_path / name)
    data = Folder(tmp_path, splits=True)
    assert data.splits == ("train",)
    assert set(data.left_out) == {"train/two.wav", "three.wav", "docs/four.wav"}
    assert data.info.options["left_out"] == 3


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_file_name_that_is_not_utf8_is_read(tmp_path: Path) -> None:
    sound(tmp_path / "ok.wav")
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/gr\xfcn.wav"))
    path.write_bytes((tmp_path / "ok.wav").read_bytes())
    result = CaptionClassifier(Scripted("a crow"), "keyword")(tmp_path, ["crow"])
    assert result.counts == {"clips": 2, "scored": 2, "failed": 0, "unrecognised": 0}
    path.write_bytes(b"no sound")
    with pytest.raises(AudioReadError, match="not readable"):
        read_waveform(Clip(id="c", path=path))


def test_macos_resource_fork_is_ignored(tmp_path: Path) -> None:
    path = sound(tmp_path / "one.wav")
    before = read_waveform(Clip(id="c", path=path)).digest()
    (tmp_path / "._one.wav").write_bytes(bytes.fromhex("00051607") + bytes(4092))
    assert read_waveform(Clip(id="c", path=path)).digest() == before
