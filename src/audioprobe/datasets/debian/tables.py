"""Tables of packages (`packages.csv`) and of the labelled recordings in them (`labels.csv`).

`README.md` in this folder describes the columns, and how the recordings were labelled.
"""

import hashlib
import os
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from audioprobe.concepts import Concepts
from audioprobe.errors import InvalidInputError
from audioprobe.io.tables import read_rows
from audioprobe.io.text_table import Table, columns
from audioprobe.training_data import TrainingData

TABLES = (Path(__file__).parent / "packages.csv", Path(__file__).parent / "labels.csv")
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class DebianPackage:
    """A package with recordings, of Debian or of PyPI.

    Attributes:
        name: name of the package.
        source: where the package comes from: "debian" or "pypi".
        version: version whose recordings were labelled.
        size: download size in bytes.
        folder: path of the folder with recordings inside the package.
        credits: paths in the package of the files that name authors and licences.
        licence: licence of the recordings.
        split: one of `SPLITS`; all recordings of a package are in the same split.
        reason: why the package is in this split.
    """

    name: str
    source: str
    version: str
    size: int
    folder: str
    credits: tuple[str, ...]
    licence: str
    split: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DebianRecording:
    """A labelled recording in a package.

    Attributes:
        package: name of the package.
        file: path relative to `DebianPackage.folder`.
        concepts: ids of its labels, most of which are shipped concepts (`Concepts.shipped`).
        doubtful: True if the label remained uncertain after a check of file name and spectrogram.
        start: time in the file in seconds where the sound begins.
        seconds: length of the sound in seconds, without silence before and after it.
        sha256: first 16 hexadecimal digits of the file's SHA-256 hash, to detect other versions.
        note: details beyond the labels, or why the label is doubtful.
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
        """Package and file, joined by "/"."""
        return f"{self.package}/{self.file}"

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the concepts, such as "snare drum"."""
        return tuple(concept_name(concept) for concept in self.concepts)


@cache
def packages() -> dict[str, DebianPackage]:
    """Return all packages by name, in the order of `packages.csv`."""
    return {
        row["package"]: DebianPackage(
            name=row.pop("package"),
            size=int(row.pop("size")),
            credits=tuple(row.pop("credits").split()),
            **row,
        )
        for row in read_rows(TABLES[0])
    }


@cache
def recordings() -> tuple[DebianRecording, ...]:
    """Return all recordings, in the order of `labels.csv`."""
    return tuple(
        DebianRecording(
            **row
            | {
                "concepts": tuple(row["concepts"].split()),
                "doubtful": row["doubtful"] == "yes",
                "start": float(row["start"]),
                "seconds": float(row["seconds"]),
            }
        )
        for row in read_rows(TABLES[1])
    )


def training_counts(data: TrainingData) -> dict[str, int]:
    """Return how many recordings of each concept a model was trained on, by concept id.

    All shipped concepts are included; those without a training recording have 0.

    Args:
        data: training data of a model that was trained on these recordings, such as mini.

    Raises:
        InvalidInputError: if a training recording is not in the table, so that its labels are
            unknown.
    """
    by_id = {recording.id: recording for recording in recordings()}
    unknown = [each.recording for each in data.recordings if each.recording not in by_id]
    if unknown:
        raise InvalidInputError(
            f"The labels of {len(unknown)} of {len(data.recordings)} training recordings of "
            f"{data.model} are unknown; the first is {unknown[0]!r}. Count the concepts yourself."
        )
    counts = dict.fromkeys((concept.id for concept in Concepts.shipped()), 0)
    for each in data.recordings:
        for concept in by_id[each.recording].concepts:
            counts[concept] = counts.get(concept, 0) + 1
    return counts


@cache
def revision() -> str:
    """Return the version of `packages.csv` and `labels.csv`, which is stored in results.

    It is the first 16 hexadecimal digits of the SHA-256 hash of these files.
    """
    content = b"".join(table.read_bytes() for table in TABLES)
    return hashlib.sha256(content).hexdigest()[:16]


def concept_name(concept: str) -> str:
    """Return the name of a shipped concept; for other ids, the id with spaces, not hyphens."""
    shipped = Concepts.shipped()
    return shipped[concept].name if concept in shipped else concept.replace("-", " ")


def select_packages(names: Iterable[str] | None) -> tuple[DebianPackage, ...]:
    """Return the packages with these names, in the order of `packages.csv`; None selects all.

    Raises:
        InvalidInputError: for an unknown name, or if `names` is empty.
    """
    known = packages()
    if names is None:
        return tuple(known.values())
    selected = set(names)
    unknown = sorted(selected - known.keys())
    if unknown or not selected:
        raise InvalidInputError(
            f"Expected packages among {', '.join(known)}, got {', '.join(unknown) or 'none'}."
        )
    return tuple(package for package in known.values() if package.name in selected)


def default_folder() -> Path:
    """Return the default folder for downloads, inside $XDG_CACHE_HOME or ~/.cache."""
    cache_home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache_home).expanduser() / "audioprobe" / "debian-sounds"


def fetch_command(folder: Path, names: Iterable[str]) -> str:
    """Return the shell command that fetches packages into a folder."""
    selected = set(names)
    option = "" if selected >= set(packages()) else f" --packages {','.join(sorted(selected))}"
    return f"audioprobe fetch-sounds --out {shlex.quote(str(folder))}{option}"


def summary_text(names: Iterable[str] | None = None, *, width: int = 100) -> str:
    """Return tables of packages, and of the recordings of each concept, as text.

    Recordings with a doubtful label are counted in a separate table.
    `names` selects packages; None selects all. Lines have at most `width` characters.

    Raises:
        InvalidInputError: for an unknown package, or if `names` is empty.
    """
    selected = select_packages(names)
    known = {package.name for package in selected}
    parts = [packages_table(selected).to_text(width)]
    for doubtful, title in ((False, "Recordings"), (True, "Recordings with a doubtful label")):
        listed = [r for r in recordings() if r.package in known and r.doubtful == doubtful]
        minutes = sum(recording.seconds for recording in listed) / 60
        parts.append(f"{title}: {len(listed)}, {minutes:.0f} minutes")
        parts.append(concepts_table(listed).to_text(width))
    return "\n\n".join(parts)


def packages_table(packages: Iterable[DebianPackage]) -> Table:
    """Return a table with source, split, download size in MB and licence of each package."""
    rows = tuple((p.name, p.source, p.split, f"{p.size / 1e6:.1f}", p.licence) for p in packages)
    return Table(("package", "source", "split", "MB", "licence"), rows, numeric=(3,))


def concepts_table(recordings: Iterable[DebianRecording]) -> Table:
    """Return a table with recordings per split, packages and total seconds of each concept."""
    by_concept: dict[str, list[DebianRecording]] = {}
    for recording in recordings:
        for label in recording.labels:
            by_concept.setdefault(label, []).append(recording)
    header = ("concept", *SPLITS, "packages", "seconds")
    rows = tuple((label, *_counts(items)) for label, items in sorted(by_concept.items()))
    return Table(header, rows, numeric=columns(header[1:], 1))


def _counts(recordings: Sequence[DebianRecording]) -> tuple[str, ...]:
    """Return the numbers of recordings in each split, of packages and of seconds, as texts."""
    splits = [packages()[recording.package].split for recording in recordings]
    n_packages = len({recording.package for recording in recordings})
    seconds = sum(recording.seconds for recording in recordings)
    return (*(str(splits.count(s)) for s in SPLITS), str(n_packages), f"{seconds:.1f}")
