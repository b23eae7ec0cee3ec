"""A folder holds one run: any other run is refused with the differences."""

import json
from pathlib import Path

import pytest

from audioprobe.errors import InvalidInputError
from audioprobe.io.atomic import atomic_open, atomic_write
from audioprobe.io.run_folder import open_run

PINNED = {"model": {"name": "x"}, "data": "123"}
DIGESTS = {"field": {"a.wav": "1", "b.wav": "2"}}


def test_run_is_resumed(tmp_path: Path) -> None:
    with open_run(tmp_path / "run", "a = 1\n", PINNED) as run:
        run.response_log.write({b"k": b"1"})
        run.write("scores.csv", "a,b\n")
    with open_run(tmp_path / "run", "a = 1\n", PINNED, {"time": "now"}) as run:
        assert len(run.response_log) == 1
    manifest = json.loads((tmp_path / "run/manifest.json").read_text())
    assert manifest == {"pinned": PINNED, "starts": [{}, {"time": "now"}], "sounds": {}}
    assert (tmp_path / "run/scores.csv").read_text() == "a,b\n"


def test_other_configuration_or_pinned_data_is_refused(tmp_path: Path) -> None:
    with open_run(tmp_path, "a = 1\n", PINNED):
        pass
    with (
        pytest.raises(InvalidInputError, match="another configuration"),
        open_run(tmp_path, "", {}),
    ):
        pass
    other = PINNED | {"data": "456", "more": 1}
    with (
        pytest.raises(InvalidInputError, match="data was '123' and is '456'; more is new"),
        open_run(tmp_path, "a = 1\n", other),
    ):
        pass


def test_compatible_configuration_replaces_the_previous_one(tmp_path: Path) -> None:
    with open_run(tmp_path, "a = 1\n", PINNED):
        pass
    compared: list[str] = []

    def incompatibility(previous: str) -> str | None:
        compared.append(previous)
        return None if previous == "a = 1\n" else "it shrinks"

    with open_run(tmp_path, "a = 2\n", PINNED, incompatibility=incompatibility):
        assert (tmp_path / "config.toml").read_text() == "a = 2\n"
    with (
        pytest.raises(InvalidInputError, match=r"another configuration \(it shrinks\)"),
        open_run(tmp_path, "a = 1\n", PINNED, incompatibility=incompatibility),
    ):
        pass
    assert (tmp_path / "config.toml").read_text() == "a = 2\n"
    with (
        pytest.raises(InvalidInputError, match="different inputs: data"),
        open_run(tmp_path, "a = 2\n", PINNED | {"data": "456"}, incompatibility=incompatibility),
    ):
        pass
    assert compared == ["a = 1\n", "a = 2\n"], "an equal configuration is not compared"


def test_changed_sounds_are_listed_once(tmp_path: Path) -> None:
    changed = []
    replaced = {"field": {"a.wav": "1", "b.wav": "3"}}
    for digests in (DIGESTS, DIGESTS, replaced, replaced):
        with open_run(tmp_path, "a = 1\n", PINNED, audio_digests=digests) as run:
            changed.append(dict(run.changed_audio))
    assert changed == [{}, {}, {"field": ("b.wav",)}, {}]
    starts = json.loads((tmp_path / "manifest.json").read_text())["starts"]
    expected = [None, None, {"field": ["b.wav"]}, None]
    assert [start.get("changed sounds") for start in starts] == expected


@pytest.mark.parametrize(
    ("digests", "message"),
    [
        ({"field": {"a.wav": "1", "b.wav": "3"}}, "field: b.wav was '2' and is '3'"),
        ({"field": {"a.wav": "1"}}, "field: b.wav is missing"),
        ({"field": {**DIGESTS["field"], "c.wav": "3"}}, "field: c.wav is new"),
    ],
)
def test_changed_sounds_are_refused_if_not_allowed(
    tmp_path: Path, digests: dict[str, dict[str, str]], message: str
) -> None:
    with open_run(tmp_path, "", {}, audio_digests=DIGESTS, allow_changed_audio=False):
        pass
    for _ in range(2):  # a refused start does not change the manifest
        with (
            pytest.raises(InvalidInputError, match=message),
            open_run(tmp_path, "", {}, audio_digests=digests, allow_changed_audio=False),
        ):
            pass


def test_missing_and_new_clips_are_named(tmp_path: Path) -> None:
    with open_run(tmp_path, "", {"clips": {"field": {"a.wav": "1", "b.wav": "2"}}}):
        pass
    with (
        pytest.raises(
            InvalidInputError, match=r"field: b\.wav is missing; clips: field: c\.wav is new"
        ),
        open_run(tmp_path, "", {"clips": {"field": {"a.wav": "1", "c.wav": "2"}}}),
    ):
        pass


def test_second_process_is_refused(tmp_path: Path) -> None:
    with (
        open_run(tmp_path, "", {}),
        pytest.raises(InvalidInputError, match="another process is using this folder"),
        open_run(tmp_path, "", {}),
    ):
        pass


def test_folder_without_a_run_is_refused_and_unchanged(tmp_path: Path) -> None:
    (tmp_path / "responses.jsonl").write_text("mine")
    with pytest.raises(InvalidInputError, match="not a run"), open_run(tmp_path, "", {}):
        pass
    assert (tmp_path / "responses.jsonl").read_text() == "mine"
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InvalidInputError, match="cannot be created"),
        open_run(tmp_path / "file", "", {}),
    ):
        pass


def test_failed_write_keeps_the_previous_file(tmp_path: Path) -> None:
    path = atomic_write(tmp_path / "a.txt", "old")
    with pytest.raises(TypeError), atomic_open(path) as stream:
        stream.write("not bytes")  # type: ignore[call-overload]
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
