"""All kinds of audio input become clips with unique ids, or a clear error."""

from pathlib import Path

import numpy as np
import pytest

from audioprobe.audio.sources import clips_of
from audioprobe.errors import InvalidInputError
from audioprobe.types import Clip, Waveform

SOUND = Waveform(np.zeros(10, np.float32), 100)


def test_folder_is_searched_recursively_and_sorted(tmp_path: Path) -> None:
    for name in ("b/two.WAV", "a/one.flac", "a/note.txt", ".hidden/x.wav", "a/._one.flac"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    ids = [Path(clip.id).relative_to(tmp_path).as_posix() for clip in clips_of(tmp_path)]
    assert ids == ["a/one.flac", "b/two.WAV"]


def test_cyclic_links_are_searched_once(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x.wav").touch()
    (tmp_path / "tree" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "tree")
    assert [Path(clip.id).name for clip in clips_of(tmp_path / "tree")] == ["x.wav"]


def test_impossible_file_name_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="not a usable path"):
        clips_of("x" * 5000 + ".wav")


def test_folder_without_audio_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="expected audio files in this folder"):
        clips_of(tmp_path)


def test_equal_file_names_in_different_folders_have_different_ids(tmp_path: Path) -> None:
    for name in ("a/x.wav", "b/x.wav"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    assert len({clip.id for clip in clips_of([tmp_path / "a", tmp_path / "b"])}) == 2


def test_duplicate_file_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"id 'a\.wav'"):
        clips_of(["a.wav", "a.wav"])


def test_clips_waveforms_and_arrays_are_accepted_alone_and_in_lists() -> None:
    array = (np.zeros(5, np.float32), 100)
    clip = Clip(id="mine", waveform=SOUND)
    assert [c.id for c in clips_of([clip, SOUND, array])] == ["mine", "waveform-2", "waveform-3"]
    assert [c.id for c in clips_of((clip, SOUND))] == ["mine", "waveform-2"]
    assert clips_of(array)[0].waveform is not None
    assert clips_of(clip) == (clip,)


def test_array_without_sample_rate_is_refused_with_advice() -> None:
    with pytest.raises(InvalidInputError, match=r"Waveform\(samples, 16000\)"):
        clips_of(np.zeros(5, np.float32))


def test_empty_input_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="Expected audio, got an empty list"):
        clips_of([])


def test_missing_folder_is_refused_but_a_missing_file_becomes_a_failure() -> None:
    with pytest.raises(InvalidInputError, match="no such file or folder"):
        clips_of("recrodings/")
    assert clips_of("missing.wav")[0].id == "missing.wav"


def test_clip_needs_one_audio_source_and_a_valid_span() -> None:
    with pytest.raises(InvalidInputError, match="either a path or a waveform"):
        Clip(id="x")
    for wrong in ({"duration": 0.0}, {"duration": float("nan")}, {"start": float("nan")}):
        with pytest.raises(InvalidInputError, match="duration > 0"):
            Clip(id="x", waveform=SOUND, **wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="tuple of texts"):
        Clip(id="x", waveform=SOUND, labels="crow")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="an id"):
        Clip(id="", waveform=SOUND)
