"""Files inside containers: resource files of Qt, groups of OpenClonk, sounds of OpenTTD."""

import gzip
from pathlib import Path

import pytest
from tests.datasets.debian_packages import group_of, write_cat, write_group, write_resources

from audioprobe.datasets.debian.containers import (
    MAX_ENTRIES,
    cat_files,
    clonk_files,
    extract_containers,
    qt_files,
)
from audioprobe.errors import RemoteError

CONTENTS = {"dog.ogg": b"a bark" * 50, "büffel.ogg": b"", "cat.ogg": b"a meow"}


@pytest.mark.parametrize("packed", [False, True])
def test_files_are_returned_with_their_paths(tmp_path: Path, packed: bool) -> None:
    write_resources(tmp_path / "a.rcc", CONTENTS, packed=packed)
    contents = dict(qt_files((tmp_path / "a.rcc").read_bytes()))
    assert contents == {f"sounds/{name}": content for name, content in CONTENTS.items()}


def test_truncation_is_detected_everywhere(tmp_path: Path) -> None:
    write_resources(tmp_path / "a.rcc", CONTENTS)
    content = (tmp_path / "a.rcc").read_bytes()
    for length in range(0, len(content), 7):
        with pytest.raises(ValueError, match=r"damaged|begins with"):
            dict(qt_files(content[:length]))


def test_other_files_and_loops_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"got b'RIFF'"):
        dict(qt_files(b"RIFF" + bytes(100)))
    write_resources(tmp_path / "a.rcc", CONTENTS)
    looped = bytearray((tmp_path / "a.rcc").read_bytes())
    looped[24 + 22 + 13] = 1  # the first child of "sounds" becomes "sounds" itself
    with pytest.raises(ValueError, match="contains itself"):
        dict(qt_files(bytes(looped)))


def test_zstd_compressed_files_are_skipped(tmp_path: Path) -> None:
    write_resources(tmp_path / "a.rcc", CONTENTS)
    content = bytearray((tmp_path / "a.rcc").read_bytes())
    content[24 + 2 * 22 + 5] = 4  # the flags of the first file: packed with zstd
    assert "sounds/dog.ogg" not in dict(qt_files(bytes(content)))


def test_group_contains_files_and_groups(tmp_path: Path) -> None:
    write_group(tmp_path / "a.ocg", {"rain.ogg": b"drops", "Birds.ocg": {"owl.wav": b"a hoot"}})
    contents = dict(clonk_files((tmp_path / "a.ocg").read_bytes()))
    assert contents == {"rain.ogg": b"drops", "Birds.ocg/owl.wav": b"a hoot"}


def test_damaged_groups_are_refused(tmp_path: Path) -> None:
    group = group_of({"rain.ogg": b"drops" * 99, "Birds.ocg": {"owl.wav": b"a hoot"}})

    def packed(content: bytes) -> bytes:
        return b"\x1e\x8c" + gzip.compress(content)[2:]

    assert len(dict(clonk_files(packed(group)))) == 2
    for length in range(0, len(group), 7):
        with pytest.raises(ValueError, match=r"damaged|expected a group"):
            dict(clonk_files(packed(group[:length])))
    for length in range(2, len(packed(group)), 7):
        with pytest.raises(ValueError, match="damaged"):
            dict(clonk_files(packed(group)[:length]))
    with pytest.raises(ValueError, match=r"got b'\\x1f\\x8b'"):
        dict(clonk_files(gzip.compress(group)))


def test_group_that_contains_itself_is_refused(tmp_path: Path) -> None:
    group = bytearray(group_of({"Birds.ocg": {"owl.wav": b"a hoot"}}))
    group[204 + 276 : 204 + 280] = (-520).to_bytes(4, "little", signed=True)  # its offset
    with pytest.raises(ValueError, match="negative offset"):
        dict(clonk_files(b"\x1e\x8c" + gzip.compress(bytes(group))[2:]))


def test_overlapping_groups_end(tmp_path: Path) -> None:
    """Ten levels of ten groups that share their data would be 10 billion files."""
    group = group_of({"owl.wav": b"a hoot"})
    for _ in range(10):
        level = bytearray(group_of({f"{n}.ocg": b"" for n in range(10)}))
        for n in range(10):
            entry = 204 + 316 * n
            level[entry + 264 : entry + 268] = (1).to_bytes(4, "little")
            level[entry + 268 : entry + 272] = len(group).to_bytes(4, "little")
        group = bytes(level) + group
    with pytest.raises(ValueError, match=f"more than {MAX_ENTRIES} files"):
        dict(clonk_files(b"\x1e\x8c" + gzip.compress(group)[2:]))


def test_set_of_sounds_is_read(tmp_path: Path) -> None:
    contents = {"src/wav/osfx_00.wav": b"a horn" * 9, "src/wav/osfx_01.wav": b""}
    write_cat(tmp_path / "a.cat", contents)
    assert dict(cat_files((tmp_path / "a.cat").read_bytes())) == contents


def test_damaged_sets_of_sounds_are_refused(tmp_path: Path) -> None:
    write_cat(tmp_path / "a.cat", {"osfx_00.wav": b"a horn" * 9, "osfx_01.wav": b"a bell" * 9})
    content = (tmp_path / "a.cat").read_bytes()
    for length in range(len(content)):
        with pytest.raises(ValueError, match="damaged"):
            dict(cat_files(content[:length]))
    with pytest.raises(ValueError, match="expected a table of sounds"):
        dict(cat_files(b"RIFF" + bytes(100)))


def test_only_requested_files_are_extracted(tmp_path: Path) -> None:
    write_group(tmp_path / "games/a.ocg", {"b.ocg": {"owl.wav": b"a hoot", "../x.wav": b"no"}})
    (tmp_path / "games/music.ocg").mkdir()
    (tmp_path / "games/music.ocg/tune.ogg").write_bytes(b"a tune")
    files = ["games/a.ocg/b.ocg/owl.wav", "games/music.ocg/tune.ogg", "games/c.ocg/none.wav"]
    extract_containers(files, tmp_path)
    extracted = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert extracted == set(files[:2])
    assert (tmp_path / files[0]).read_bytes() == b"a hoot"


@pytest.mark.parametrize("container", ["a.cat", "a.ocd", "a.ocf", "a.ocg", "a.rcc"])
def test_damaged_container_is_named(tmp_path: Path, container: str) -> None:
    (tmp_path / container).write_bytes(b"RIFF" + bytes(100))
    with pytest.raises(RemoteError, match=f"{container}: cannot be read as a container of sounds"):
        extract_containers([f"{container}/owl.wav"], tmp_path)


def test_container_outside_the_package_is_not_read(tmp_path: Path) -> None:
    write_group(tmp_path / "secret.ocg", {"owl.wav": b"a hoot"})
    (tmp_path / "package").mkdir()
    (tmp_path / "package/a.ocg").symlink_to(tmp_path / "secret.ocg")
    extract_containers(["a.ocg/owl.wav"], tmp_path / "package")
    assert (tmp_path / "package/a.ocg").is_symlink()
