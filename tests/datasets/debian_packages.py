"""Small packages, and replacements of apt-get and pip that serve them from a folder."""

import csv
import gzip
import hashlib
import shutil
import struct
import subprocess
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audioprobe.datasets.debian import tables
from audioprobe.datasets.recordings import FOLDER

RATE = 8000
COLUMNS: tuple[str, ...] = (
    "package",
    "source",
    "version",
    "size",
    "folder",
    "credits",
    "licence",
    "split",
    "reason",
)
needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not here")

# Like apt-get download: copies a package to the current folder, or prints an error.
APT_GET = """#!/bin/sh
for name; do :; done
echo "$@" >> "{served}/requests"
if [ -e "{served}/slow" ]; then
    echo half > "$name.deb"
    exec sleep 60
fi
if [ -e "{served}/trouble" ]; then
    echo half > "$name.deb.partial"
    cat "{served}/trouble" >&2
    exit 100
fi
if [ ! -e "{served}/$name.deb" ]; then
    echo "E: Unable to locate package $name" >&2
    exit 100
fi
cp "{served}/$name.deb" "./${{name}}_1.0_all.deb"
"""

# Like pip download: copies a wheel to the current folder, or prints an error.
PIP = """#!/bin/sh
for name; do :; done
echo "$@" >> "{served}/requests"
if [ -e "{served}/offline" ]; then
    echo "WARNING: Retrying (Retry(total=0)) after connection broken by 'no network'" >&2
    echo "ERROR: No matching distribution found for $name" >&2
    exit 1
fi
wheel="${{name%%==*}}-${{name##*==}}-py3-none-any.whl"
if [ ! -e "{served}/$wheel" ]; then
    echo "ERROR: No matching distribution found for $name" >&2
    exit 1
fi
cp "{served}/$wheel" .
"""

# package: split and files, each with a concept and the pitch of its tone in hertz
PACKAGES: dict[str, tuple[str, dict[str, tuple[str, int]]]] = {
    "farm": (
        "train",
        {
            "cow.wav": ("cow", 200),
            "more/dog.wav": ("dog", 300),
            "all.rcc/sounds/hen.wav": ("chicken", 600),
        },
    ),
    "street": ("validation", {"dog.wav": ("dog", 400)}),
    "forest": ("test", {"dog.wav": ("dog", 300), "sea lion.wav": ("sea-lion", 500)}),
}


def tone(path: Path, hertz: int) -> None:
    """Write one second of a tone between half seconds of silence."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sounding = 0.5 * np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE)
    soundfile.write(path, np.pad(sounding, RATE // 2), RATE, subtype="PCM_16")


def lay_out_sonic_pi(folder: Path) -> None:
    """Create the fetched `sonic-pi-samples` with the unchanged recordings that ship here."""
    package = tables.packages()["sonic-pi-samples"]
    place = folder / package.name / package.folder
    place.mkdir(parents=True)
    with (FOLDER / "recordings.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            if not row["changes"]:
                shutil.copy(FOLDER / row["file"], place / f"{row['sonic_pi_sample']}.flac")


def write_resources(path: Path, contents: dict[str, bytes], *, packed: bool = False) -> None:
    """Write a Qt resource file of version 3 with these files in the folder "sounds"."""
    names, data, nodes = b"", b"", []
    for name, content in (("", b""), ("sounds", b""), *contents.items()):
        payload = struct.pack(">I", len(content)) + zlib.compress(content) if packed else content
        folder = name in ("", "sounds")
        second = {"": 1, "sounds": 2}.get(name, len(data))
        n_children = len(contents) if name == "sounds" else int(name == "")
        flags = 2 if folder else int(packed)
        nodes.append(struct.pack(">IHII8x", len(names), flags, n_children, second))
        names += struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")
        data += b"" if folder else struct.pack(">I", len(payload)) + payload
    tree = b"".join(nodes)
    offsets = (24, 24 + len(tree), 24 + len(tree) + len(data))
    header = struct.pack(">4sIIIII", b"qres", 3, *offsets, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + tree + data + names)


def write_group(path: Path, contents: dict[str, bytes | dict[str, bytes]]) -> None:
    """Write a group of OpenClonk; a dict of contents is a group inside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    compressed = gzip.compress(group_of(contents))
    path.write_bytes(b"\x1e\x8c" + compressed[2:])


def group_of(contents: Mapping[str, bytes | dict[str, bytes]]) -> bytes:
    """Return a group of OpenClonk before compression."""
    header = bytearray(
        struct.pack("<24s4xiii164x", b"RedWolf Design GrpFolder", 1, 2, len(contents))
    )
    for n in range(0, len(header) - 2, 3):
        header[n], header[n + 2] = header[n + 2], header[n]
    entries, data = b"", b""
    for name, content in contents.items():
        piece = group_of(content) if isinstance(content, dict) else content
        numbers = (1, int(isinstance(content, dict)), len(piece), 0, len(data))
        entries += struct.pack("<260s5i36x", name.encode(), *numbers)
        data += piece
    return bytes(byte ^ 237 for byte in header) + entries + data


def write_cat(path: Path, contents: dict[str, bytes]) -> None:
    """Write a set of sounds of OpenTTD."""
    table, data = b"", b""
    for name, content in contents.items():
        offset = (8 * len(contents) + len(data)) | 1 << 31
        table += struct.pack("<II", offset, len(content))
        title, file = f'"{name}". By nobody.'.encode() + b"\0", name.encode() + b"\0"
        data += bytes([len(title)]) + title + content + b"\0" + bytes([len(file)]) + file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(table + data)


def lay_out(root: Path, name: str, *, fetched: bool = True) -> None:
    """Create the files of a package as fetched, or as unpacked before.

    It has an unlabelled file. In a fetched package, the resource file is a folder.
    """
    for file, (_, hertz) in PACKAGES[name][1].items():
        tone(root / "usr/share" / name / file, hertz)
    for folder in () if fetched else list((root / "usr/share" / name).glob("*.rcc")):
        contents = {path.name: path.read_bytes() for path in folder.rglob("*.wav")}
        shutil.rmtree(folder)
        write_resources(folder, contents)
    tone(root / "usr/share" / name / "jingle.wav", 700)
    notice = root / "usr/share/doc" / name / "copyright"
    notice.parent.mkdir(parents=True)
    notice.write_text("License: CC0-1.0\n")


def build(root: Path, name: str, target: Path) -> None:
    """Build a Debian package from the files in `root`."""
    control = root / "DEBIAN" / "control"
    control.parent.mkdir()
    control.write_text(
        f"Package: {name}\nVersion: 1.0\nArchitecture: all\nMaintainer: A Tester <a@b.invalid>\n"
        "Description: sounds\n"
    )
    command = ["dpkg-deb", "--root-owner-group", "--build", str(root), str(target)]
    subprocess.run(command, check=True, capture_output=True)


def write_tables(
    folder: Path,
    contents: Mapping[str, tuple[str, dict[str, tuple[str, int]]]] = PACKAGES,
    source: str = "debian",
) -> tuple[Path, Path]:
    """Write the tables of packages, with the hashes of the files of `lay_out`."""
    packages, labels = folder / "packages.csv", folder / "labels.csv"
    with packages.open("w", newline="") as stream:
        rows = csv.DictWriter(stream, COLUMNS)
        rows.writeheader()
        for name, (split, _) in contents.items():
            debian = source == "debian"
            row = {"package": name, "source": source, "version": "1.0", "size": 1000}
            row |= {"licence": "CC0-1.0", "split": split, "reason": "a test"}
            row["folder"] = f"usr/share/{name}" if debian else f"{name}/sounds"
            row["credits"] = f"usr/share/doc/{name}/copyright" if debian else f"{name}/CREDITS.md"
            rows.writerow(row)
    with labels.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(
            ["package", "file", "concepts", "doubtful", "start", "seconds", "sha256", "note"]
        )
        for name, (_, files) in contents.items():
            for file, (concept, hertz) in files.items():
                tone(folder / "tone.wav", hertz)
                digest = hashlib.sha256((folder / "tone.wav").read_bytes()).hexdigest()[:16]
                doubt = ("yes", "barks or moos") if file == "cow.wav" else ("", "")
                writer.writerow([name, file, concept, doubt[0], 0.5, 1.0, digest, doubt[1]])
    return packages, labels


def clear() -> None:
    """Clear the caches of the tables."""
    for read in (tables.packages, tables.recordings, tables.revision):
        read.cache_clear()


@pytest.fixture
def small_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tables of three packages instead of those that ship with the library."""
    folder = tmp_path / "tables"
    folder.mkdir()
    monkeypatch.setattr(tables, "TABLES", write_tables(folder))
    clear()
    yield
    clear()


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder from which the replacements of apt-get and pip serve packages."""
    folder = tmp_path / "served"
    programs = tmp_path / "programs"
    folder.mkdir()
    programs.mkdir()
    for name, text in (("apt-get", APT_GET), ("pip", PIP)):
        (programs / name).write_text(text.format(served=folder))
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    return folder
