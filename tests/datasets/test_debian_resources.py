"""Files inside Qt resource files."""

from pathlib import Path

import pytest
from tests.datasets.debian_packages import write_resources

from audioprobe.datasets.debian.fetch import resource_files

CONTENTS = {"dog.ogg": b"a bark" * 50, "büffel.ogg": b"", "cat.ogg": b"a meow"}


@pytest.mark.parametrize("packed", [False, True])
def test_files_are_returned_with_their_paths(tmp_path: Path, packed: bool) -> None:
    write_resources(tmp_path / "a.rcc", CONTENTS, packed=packed)
    contents = dict(resource_files((tmp_path / "a.rcc").read_bytes()))
    assert contents == {f"sounds/{name}": content for name, content in CONTENTS.items()}


def test_truncation_is_detected_everywhere(tmp_path: Path) -> None:
    write_resources(tmp_path / "a.rcc", CONTENTS)
    content = (tmp_path / "a.rcc").read_bytes()
    for length in range(0, len(content), 7):
        with pytest.raises(ValueError, match=r"damaged|begins with"):
            dict(resource_files(content[:length]))


def test_other_files_and_loops_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"got b'RIFF'"):
        dict(resource_files(b"RIFF" + bytes(100)))
    write_resources(tmp_path / "a.rcc", CONTENTS)
    looped = bytearray((tmp_path / "a.rcc").read_bytes())
    looped[24 + 22 + 13] = 1  # the first child of "sounds" becomes "sounds" itself
    with pytest.raises(ValueError, match="contains itself"):
        dict(resource_files(bytes(looped)))


def test_zstd_compressed_files_are_skipped(tmp_path: Path) -> None:
    write_resources(tmp_path / "a.rcc", CONTENTS)
    content = bytearray((tmp_path / "a.rcc").read_bytes())
    content[24 + 2 * 22 + 5] = 4  # the flags of the first file: packed with zstd
    assert "sounds/dog.ogg" not in dict(resource_files(bytes(content)))
