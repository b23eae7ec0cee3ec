"""One folder holds one run: others are refused, and say what differs."""

import json
from pathlib import Path

import pytest

from audioprobe.errors import InvalidInputError
from audioprobe.io.atomic import atomic_open, atomic_write
from audioprobe.io.run_folder import open_run

MANIFEST = {"model": {"name": "x"}, "data": "123"}


def test_a_run_is_gone_on_with(tmp_path: Path) -> None:
    with open_run(tmp_path / "run", "a = 1\n", MANIFEST) as run:
        run.journal.write({b"k": b"1"})
        run.write("scores.csv", "a,b\n")
    with open_run(tmp_path / "run", "a = 1\n", MANIFEST, {"time": "now"}) as run:
        assert len(run.journal) == 1
    manifest = json.loads((tmp_path / "run/manifest.json").read_text())
    assert manifest == {"pinned": MANIFEST, "starts": [{}, {"time": "now"}], "sounds": {}}
    assert (tmp_path / "run/scores.csv").read_text() == "a,b\n"


def test_other_runs_are_refused(tmp_path: Path) -> None:
    with open_run(tmp_path, "a = 1\n", MANIFEST):
        pass
    with (
        pytest.raises(InvalidInputError, match="another configuration"),
        open_run(tmp_path, "", {}),
    ):
        pass
    other = MANIFEST | {"data": "456", "more": 1}
    with (
        pytest.raises(InvalidInputError, match="data was '123' and is '456'; more is new"),
        open_run(tmp_path, "a = 1\n", other),
    ):
        pass


def test_another_configuration_goes_on_where_nothing_keeps_it(tmp_path: Path) -> None:
    with open_run(tmp_path, "a = 1\n", MANIFEST):
        pass
    asked: list[str] = []

    def refused(older: str) -> str | None:
        asked.append(older)
        return None if older == "a = 1\n" else "it shrinks"

    with open_run(tmp_path, "a = 2\n", MANIFEST, refused=refused):
        assert (tmp_path / "config.toml").read_text() == "a = 2\n"
    with (
        pytest.raises(InvalidInputError, match=r"another configuration \(it shrinks\)"),
        open_run(tmp_path, "a = 1\n", MANIFEST, refused=refused),
    ):
        pass
    assert (tmp_path / "config.toml").read_text() == "a = 2\n"
    with (
        pytest.raises(InvalidInputError, match="over something else: data"),
        open_run(tmp_path, "a = 2\n", MANIFEST | {"data": "456"}, refused=refused),
    ):
        pass
    assert asked == ["a = 1\n", "a = 2\n"], "the same is never asked about"


SOUNDS = {"field": {"a.wav": "1", "b.wav": "2"}}


def test_sounds_that_changed_are_named_once(tmp_path: Path) -> None:
    changed = []
    replaced = {"field": {"a.wav": "1", "b.wav": "3"}}
    for sounds in (SOUNDS, SOUNDS, replaced, replaced):
        with open_run(tmp_path, "a = 1\n", MANIFEST, sounds=sounds) as run:
            changed.append(dict(run.changed))
    assert changed == [{}, {}, {"field": ("b.wav",)}, {}]
    starts = json.loads((tmp_path / "manifest.json").read_text())["starts"]
    assert [start.get("changed sounds") for start in starts] == [
        None,
        None,
        {"field": ["b.wav"]},
        None,
    ]


@pytest.mark.parametrize(
    ("sounds", "told"),
    [
        ({"field": {"a.wav": "1", "b.wav": "3"}}, "field: b.wav was '2' and is '3'"),
        ({"field": {"a.wav": "1"}}, "field: b.wav is gone"),
        ({"field": {**SOUNDS["field"], "c.wav": "3"}}, "field: c.wav is new"),
    ],
)
def test_sounds_that_must_stay_are_named(
    tmp_path: Path, sounds: dict[str, dict[str, str]], told: str
) -> None:
    with open_run(tmp_path, "", {}, sounds=SOUNDS, sounds_may_change=False):
        pass
    for _ in range(2):  # a refused start leaves the manifest as it is
        with (
            pytest.raises(InvalidInputError, match=told),
            open_run(tmp_path, "", {}, sounds=sounds, sounds_may_change=False),
        ):
            pass


def test_clips_that_are_gone_or_new_are_named(tmp_path: Path) -> None:
    with open_run(tmp_path, "", {"clips": {"field": {"a.wav": "1", "b.wav": "2"}}}):
        pass
    with (
        pytest.raises(
            InvalidInputError, match=r"field: b\.wav is gone; clips: field: c\.wav is new"
        ),
        open_run(tmp_path, "", {"clips": {"field": {"a.wav": "1", "c.wav": "2"}}}),
    ):
        pass


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    with (
        open_run(tmp_path, "", {}),
        pytest.raises(InvalidInputError, match="another process works in this folder"),
        open_run(tmp_path, "", {}),
    ):
        pass


def test_what_is_no_run_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "responses.jsonl").write_text("mine")
    with (
        pytest.raises(InvalidInputError, match="no run of this library"),
        open_run(tmp_path, "", {}),
    ):
        pass
    assert (tmp_path / "responses.jsonl").read_text() == "mine"
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InvalidInputError, match="cannot be a folder"),
        open_run(tmp_path / "file", "", {}),
    ):
        pass


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = atomic_write(tmp_path / "a.txt", "old")
    with pytest.raises(TypeError), atomic_open(path) as stream:
        stream.write("not bytes")  # type: ignore[call-overload]
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
