"""Which recordings of which packages there are, and what is heard in them.

Two tables ship with the library; `README.md` beside them says what their columns mean and how the
labels were made.
"""

import csv
import hashlib
import os
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from audioprobe.concepts import Concepts
from audioprobe.errors import InvalidInputError

HERE = Path(__file__).parent
TABLES = (HERE / "packages.csv", HERE / "labels.csv")
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class DebianPackage:
    """A Debian package with recordings.

    Attributes:
        name: as apt knows it.
        version: the one that was labelled.
        size: bytes to fetch.
        folder: where in the package the recordings are.
        licence: of the recordings.
        split: one of `SPLITS`; a package is never divided.
        reason: why it is in that split.
    """

    name: str
    version: str
    size: int
    folder: str
    licence: str
    split: str
    reason: str


@dataclass(frozen=True, slots=True)
class DebianRecording:
    """A recording in a package.

    Attributes:
        package: its name.
        file: path below the package's folder.
        concepts: ids of what is heard.
        doubtful: True where name and spectrogram leave a doubt.
        start: where the sound begins in the file, in seconds.
        seconds: how long it lasts; silence around it is left out.
        sha256: of the file, its first 16 digits.
        note: what the concepts do not say, or what the doubt is.
    """

    package: str
    file: str
    concepts: tuple[str, ...]
    doubtful: bool
    start: float
    seconds: float
    sha256: str
    note: str

    @property
    def id(self) -> str:
        """Package and file."""
        return f"{self.package}/{self.file}"

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the concepts: "snare drum"."""
        return tuple(concept_name(concept) for concept in self.concepts)


def fetching(folder: Path, names: Iterable[str]) -> str:
    """The command that fetches packages to a folder; all packages need no list."""
    wanted = set(names)
    chosen = "" if wanted >= set(packages()) else f" --packages {','.join(sorted(wanted))}"
    return f"audioprobe fetch-sounds --out {shlex.quote(str(folder))}{chosen}"


@cache
def packages() -> dict[str, DebianPackage]:
    """All packages by name, in the order of the table."""
    return {
        row["package"]: DebianPackage(
            row["package"],
            row["version"],
            int(row["size"]),
            row["folder"],
            row["licence"],
            row["split"],
            row["reason"],
        )
        for row in _rows(TABLES[0])
    }


@cache
def sounds() -> tuple[DebianRecording, ...]:
    """All recordings, in the order of the table."""
    return tuple(
        DebianRecording(
            row["package"],
            row["file"],
            tuple(row["concepts"].split()),
            row["doubtful"] == "yes",
            float(row["start"]),
            float(row["seconds"]),
            row["sha256"],
            row["note"],
        )
        for row in _rows(TABLES[1])
    )


@cache
def revision() -> str:
    """What pins both tables: the first 16 digits of their SHA-256."""
    content = b"".join(table.read_bytes() for table in TABLES)
    return hashlib.sha256(content).hexdigest()[:16]


def concept_name(concept: str) -> str:
    """The name of a concept that ships with the library; of any other id, its words."""
    shipped = Concepts.shipped()
    return shipped[concept].name if concept in shipped else concept.replace("-", " ")


def chosen(names: Iterable[str] | None) -> tuple[DebianPackage, ...]:
    """Packages by name, in the order of the table; None is all of them.

    Raises:
        InvalidInputError: for a name that the table does not have, or no name at all.
    """
    known = packages()
    if names is None:
        return tuple(known.values())
    wanted = set(names)
    unknown = sorted(wanted - known.keys())
    if unknown or not wanted:
        raise InvalidInputError(
            f"Unknown packages: {', '.join(unknown) or 'none given'}. There are {', '.join(known)}."
        )
    return tuple(package for package in known.values() if package.name in wanted)


def default_folder() -> Path:
    """`audioprobe/debian-sounds` in the user's cache directory (XDG_CACHE_HOME, or ~/.cache)."""
    cache_home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache_home).expanduser() / "audioprobe" / "debian-sounds"


def _rows(table: Path) -> Iterator[dict[str, str]]:
    with table.open(encoding="utf-8", newline="") as stream:
        yield from csv.DictReader(stream)
