"""Splits without leaks: laws, shares, the table that is written, and the command."""

import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.processes import run_cli

from audioprobe.datasets import Manifest
from audioprobe.datasets.recordings import FOLDER
from audioprobe.datasets.splitting import split_by_group, write_split_table
from audioprobe.errors import InvalidInputError
from audioprobe.types import Clip

SHARES = {"train": 0.7, "validation": 0.15, "test": 0.15}
LABELS = ("crow", "rain", "bell")


def clip(number: int, label: str, group: str | None = None) -> Clip:
    return Clip(id=f"{number:03}.wav", path=Path(f"{number:03}.wav"), labels=(label,), group=group)


@st.composite
def grouped_clips(draw: st.DrawFn) -> list[Clip]:
    groups = draw(st.lists(st.integers(0, 12), min_size=20, max_size=60))
    labels = [draw(st.sampled_from(LABELS)) for _ in groups]
    return [
        clip(n, label, f"site {group}" if group else None)
        for n, (group, label) in enumerate(zip(groups, labels, strict=True))
    ]


@given(grouped_clips(), st.integers(0, 5), st.randoms())
def test_groups_and_copies_are_never_divided(clips: list[Clip], seed: int, random: object) -> None:
    together = [(clips[0].id, clips[7].id), (clips[7].id, clips[11].id)]
    shares = {"train": 3.0, "test": 1.0}
    try:
        splits = split_by_group(clips, shares, together=together, seed=seed)
    except InvalidInputError:
        return  # all clips are connected
    assert splits.keys() == {c.id for c in clips}
    by_group: dict[str, set[str]] = {}
    for c in clips:
        if c.group is not None:
            by_group.setdefault(c.group, set()).add(splits[c.id])
    assert all(len(of_group) == 1 for of_group in by_group.values())
    assert all(splits[a] == splits[b] for a, b in together)
    shuffled = list(clips)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert split_by_group(shuffled, shares, together=together, seed=seed) == splits


def test_clips_and_every_label_have_the_shares_if_groups_are_small() -> None:
    clips = [clip(n, LABELS[n % 3], f"site {n // 2}") for n in range(120)]
    splits = split_by_group(clips, SHARES)
    counts = Counter(splits.values())
    assert counts == {"train": 84, "validation": 18, "test": 18}
    for label in LABELS:
        of_label = Counter(splits[c.id] for c in clips if c.labels == (label,))
        assert abs(of_label["train"] - 28) <= 2
        assert abs(of_label["test"] - 6) <= 2


def test_a_rare_label_is_in_every_split() -> None:
    clips = [clip(n, "owl" if n % 20 == 0 else "rain") for n in range(100)]
    splits = split_by_group(clips, SHARES)
    assert {splits[c.id] for c in clips if c.labels == ("owl",)} == SHARES.keys()


def test_seed_changes_the_splits() -> None:
    clips = [clip(n, "rain") for n in range(40)]
    assert split_by_group(clips, SHARES, seed=0) != split_by_group(clips, SHARES, seed=1)


@pytest.mark.parametrize(
    ("clips", "shares", "message"),
    [
        ([clip(0, "crow", "a"), clip(1, "crow", "a")], {"train": 1, "test": 1}, "got 1"),
        ([clip(0, "crow")], {"train": 1.0, "test": 0.0}, "above 0"),
        ([clip(0, "crow"), clip(0, "rain")], {"train": 1.0}, "unique"),
        ([], {"train": 1.0}, "got 0"),
    ],
)
def test_impossible_splits_are_an_error(
    clips: list[Clip], shares: dict[str, float], message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        split_by_group(clips, shares)


def test_table_keeps_clips_labels_groups_and_splits(tmp_path: Path) -> None:
    clips = [
        Clip(
            id="a", path=tmp_path / "a b.wav", labels=("crow", "rain"), start=0.25, duration=1 / 3
        ),
        Clip(id="b", path=tmp_path / "x" / "b.wav", labels=(), group="north, pond"),
        Clip(id="c", path=tmp_path / "c.wav", labels=None),
    ]
    splits = {"a": "train", "b": "test", "c": "test"}
    data = Manifest(write_split_table(clips, splits, tmp_path / "splits.csv"))
    read = {c.id: (split, c) for split in data.splits for c in data.listed(split)}
    for c in clips:
        split, again = read[c.id]
        assert split == splits[c.id]
        assert (again.labels, again.group) == (c.labels, c.group)
        assert again.start == pytest.approx(c.start)


def test_label_with_the_separator_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="';'"):
        write_split_table([clip(0, "a;b")], {"000.wav": "x"}, tmp_path / "t.csv")


def test_command_keeps_copies_and_sites_together(tmp_path: Path) -> None:
    names = ["crow.flac", "snare-drum.flac", "piano.flac", "door.flac"]
    for name in names:
        shutil.copy(FOLDER / name, tmp_path / name)
    shutil.copy(FOLDER / "crow.flac", tmp_path / "copy.flac")
    sites = ["north", "north", "south", "east", "west"]
    rows = [f"{name},x,{site}" for name, site in zip([*names, "copy.flac"], sites, strict=True)]
    table, out = tmp_path / "annotations.csv", tmp_path / "splits.csv"
    table.write_text("\n".join(["filename,species,site", *rows]))
    columns = ("--columns", "path=filename,labels=species", "--by", "site")
    shares = ("--shares", "train=0.5,test=0.5")
    process = run_cli("split", str(table), *columns, *shares, "--out", str(out))
    assert process.returncode == 0, process.stderr
    data = Manifest(out)
    split_of = {c.id: split for split in data.splits for c in data.clips(split)}
    assert len(split_of) == 5
    assert split_of["crow.flac"] == split_of["copy.flac"] == split_of["snare-drum.flac"]
    assert set(split_of.values()) == {"train", "test"}


@pytest.mark.parametrize("n_groups", [3, 4, 7])
def test_no_split_is_empty(n_groups: int) -> None:
    clips = [clip(n, "crow", f"site {n % n_groups}") for n in range(5 * n_groups)]
    splits = split_by_group(clips, {"train": 0.9, "validation": 0.05, "test": 0.05})
    assert set(splits.values()) == {"train", "validation", "test"}
    assert len({(c.group, splits[c.id]) for c in clips}) == n_groups
