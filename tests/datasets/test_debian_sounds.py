"""Recordings of fetched packages as a data set."""

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


def test_it_keeps_the_contract_of_data_sets(folder: Path) -> None:
    check_dataset(DebianSounds(folder))
    check_dataset(DebianSounds(folder, doubtful=True))


def test_clips_have_labels_their_package_as_group_and_no_silence(folder: Path) -> None:
    dog, sea_lion = DebianSounds(folder).clips("test")
    assert (dog.id, dog.labels, dog.group) == ("forest/dog.wav", ("dog",), "forest")
    assert sea_lion.labels == ("sea lion",)
    assert read_waveform(dog).duration == pytest.approx(1.0)
    assert abs(read_waveform(dog).samples[100:200]).max() > 0.4, "the silence before is left out"


def test_doubtful_labels_are_taken_on_request_alone(folder: Path) -> None:
    sure, all_of_them = DebianSounds(folder), DebianSounds(folder, doubtful=True)
    assert sure.labels == ("chicken", "dog", "sea lion")
    assert all_of_them.labels == ("chicken", "cow", "dog", "sea lion")
    assert len(all_of_them.clips("train")) == len(sure.clips("train")) + 1
    assert sure.info != all_of_them.info


def test_what_is_missing_is_listed_with_its_cause(folder: Path) -> None:
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


def test_an_unreadable_file_is_missing_too(folder: Path) -> None:
    path = folder / "street/usr/share/street/dog.wav"
    path.unlink()
    path.mkdir()
    assert "cannot be read" in DebianSounds(folder).missing["street/dog.wav"]


def test_chosen_packages_alone_are_taken(folder: Path) -> None:
    sounds = DebianSounds(folder, packages=["street"])
    assert [len(sounds.clips(split)) for split in sounds.splits] == [0, 1, 0]
    assert sounds.labels == ("dog",)


def test_a_folder_without_packages_says_how_to_fetch_them(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="audioprobe fetch-sounds --out"):
        DebianSounds(tmp_path)
    with pytest.raises(InvalidInputError) as refused:
        DebianSounds(tmp_path, packages=["farm"])
    command = f"audioprobe fetch-sounds --out {tmp_path} --packages farm"
    assert str(refused.value).endswith(command)
    with pytest.raises(InvalidInputError, match="Unknown packages: wood"):
        DebianSounds(tmp_path, packages=["wood"])
