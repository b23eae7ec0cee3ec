"""Leaks between splits: identical recordings and shared groups."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audioprobe.datasets.leakage import duplicates, refuse_leaks
from audioprobe.errors import InvalidInputError
from audioprobe.types import Clip, ComponentInfo, Waveform


@dataclass
class Clips:
    """A data set of clips of one second."""

    clips_by_split: dict[str, list[Clip]]
    labels: tuple[str, ...] = ("tone",)

    @property
    def info(self) -> ComponentInfo:
        return ComponentInfo("dataset", "clips", "1")

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(self.clips_by_split)

    def clips(self, split: str) -> list[Clip]:
        return self.clips_by_split[split]


def clip(name: str, seed: int, group: str | None = None) -> Clip:
    samples = np.random.default_rng(seed).normal(size=8000).astype(np.float32)
    return Clip(id=name, waveform=Waveform(samples, 8000), labels=("tone",), group=group)


def test_disjoint_splits_pass() -> None:
    disjoint = Clips({"train": [clip("a", 1, "x"), clip("b", 1, "x")], "test": [clip("c", 2, "y")]})
    refuse_leaks(disjoint)
    assert duplicates(disjoint) == (("a", "b"),), "duplicates within a split are allowed"


def test_identical_recordings_in_two_splits_are_refused() -> None:
    leaking = Clips({"train": [clip("a", 1), clip("b", 2)], "test": [clip("c", 3), clip("d", 2)]})
    with pytest.raises(InvalidInputError, match=r"1 recordings .*: b \(train\), d \(test\)\. Move"):
        refuse_leaks(leaking)


def test_group_in_two_splits_is_refused() -> None:
    leaking = Clips({"train": [clip("a", 1, "site 4")], "test": [clip("b", 2, "site 4")]})
    with pytest.raises(InvalidInputError, match=r"1 groups .*: site 4 \(train, test\)"):
        refuse_leaks(leaking)


def test_unreadable_files_are_skipped(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(-(2**15), 2**15, 200_000, np.int16)
    for name in ("a.flac", "b.wav", "cut.flac"):
        soundfile.write(tmp_path / name, samples, 8000, subtype="PCM_16")
    content = bytearray((tmp_path / "a.flac").read_bytes())
    (tmp_path / "cut.flac").write_bytes(content[: len(content) // 2])
    content[21] &= 0xF0
    content[22:26] = bytes(4)  # of unknown length
    (tmp_path / "a.flac").write_bytes(content)
    (tmp_path / "gone.wav").symlink_to(tmp_path / "nowhere.wav")
    (tmp_path / "other.m4a").write_bytes(b"\0\0\0\x20ftypM4A ")
    names = ("a.flac", "b.wav", "cut.flac", "gone.wav", "other.m4a")
    clips = [Clip(id=name, path=tmp_path / name) for name in names]
    assert duplicates(Clips({"train": clips[:1], "test": clips[1:]})) == (("a.flac", "b.wav"),)
