"""Fetched recordings as a data set."""

from pathlib import Path

import pytest
from tests.datasets.debian_packages import PACKAGES, lay_out, small_tables, tone

from audioprobe import DebianSounds
from audioprobe.audio.windowing import read_waveform
from audioprobe.errors import InvalidInputError
from audioprobe.testing import check_dataset

__all__ = ["small_tables"]
pytestmark = pytest.mark.usefixtures("small_tables")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in PACKAGES:
        lay_out(tmp_path / "fetched" / name, name)
    return tmp_path / "fetched"


def test_dataset_contract(folder: Path) -> None:
    check_dataset(DebianSounds(folder))
    check_dataset(DebianSounds(folder, doubtful=True))


def test_clips_have_labels_groups_and_no_silence(folder: Path) -> None:
    dog, sea_lion = DebianSounds(folder).clips("test")
    assert (dog.id, dog.labels, dog.group) == ("forest/dog.wav", ("dog",), "forest")
    assert sea_lion.labels == ("sea lion",)
    assert read_waveform(dog).duration == pytest.approx(1.0)
    assert abs(read_waveform(dog).samples[100:200]).max() > 0.4, "the silence before is left out"


def test_doubtful_labels_are_optional(folder: Path) -> None:
    certain, all_recordings = DebianSounds(folder), DebianSounds(folder, doubtful=True)
    assert certain.labels == ("chicken", "dog", "sea lion")
    assert all_recordings.labels == ("chicken", "cow", "dog", "sea lion")
    assert len(all_recordings.clips("train")) == len(certain.clips("train")) + 1
    assert certain.info != all_recordings.info


def test_missing_recordings_are_listed_with_their_cause(folder: Path) -> None:
    (folder / "farm/usr/share/farm/more/dog.wav").unlink()
    tone(folder / "forest/usr/share/forest/dog.wav", 123)
    (folder / "street").rename(folder / "elsewhere")
    sounds = DebianSounds(folder)
    assert sounds.missing.keys() == {"farm/more/dog.wav", "forest/dog.wav", "street/dog.wav"}
    assert sounds.missing["farm/more/dog.wav"] == "the package has no such file"
    assert sounds.missing["street/dog.wav"] == "its package was not fetched"
    assert "differs from the file that was labelled" in sounds.missing["forest/dog.wav"]
    assert [len(sounds.clips(split)) for split in sounds.splits] == [1, 0, 1]
    assert sounds.info.options["missing"] == 3


def test_unreadable_file_is_missing(folder: Path) -> None:
    path = folder / "street/usr/share/street/dog.wav"
    path.unlink()
    path.mkdir()
    assert "cannot be read" in DebianSounds(folder).missing["street/dog.wav"]


def test_packages_can_be_selected(folder: Path) -> None:
    sounds = DebianSounds(folder, packages=["street"])
    assert [len(sounds.clips(split)) for split in sounds.splits] == [0, 1, 0]
    assert sounds.labels == ("dog",)


def test_folder_without_packages_is_refused_with_the_command(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="audioprobe fetch-sounds --out"):
        DebianSounds(tmp_path)
    with pytest.raises(InvalidInputError) as refused:
        DebianSounds(tmp_path, packages=["farm"])
    command = f"audioprobe fetch-sounds --out {tmp_path} --packages farm"
    assert str(refused.value).endswith(command)
    with pytest.raises(InvalidInputError, match="got wood"):
        DebianSounds(tmp_path, packages=["wood"])
