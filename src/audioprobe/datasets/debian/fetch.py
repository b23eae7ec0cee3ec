"""Fetch packages with recordings; root permissions and installation are not needed.

Only the labelled recordings, soundfonts, and the files that name authors and licences are stored.
A package folder is created in one step, so it is either complete or absent.
"""

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from audioprobe.datasets.debian.containers import extract_containers
from audioprobe.datasets.debian.dataset import DebianSounds
from audioprobe.datasets.debian.download import INDEXES, download, fetch_lock, require_tool
from audioprobe.datasets.debian.renderings import NOT_RENDERED, rendered_from
from audioprobe.datasets.debian.tables import DebianPackage, recordings, select_packages
from audioprobe.datasets.leakage import duplicates
from audioprobe.errors import InvalidInputError
from audioprobe.io.text_table import printable
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress

_PARTIAL = ".partial-"  # prefix of temporary folders


FetchState = Literal["fetched", "present", "unknown"]
"""State of a package after a fetch.

"fetched": downloaded by this call. "present": already in the folder before this call. "unknown":
not in the package index that apt-get or pip uses.
"""


def fetch_packages(
    folder: str | Path,
    packages: Iterable[str] | None = None,
    *,
    progress: ProgressCallback = ignore_progress,
) -> dict[str, FetchState]:
    """Download packages into a folder, and skip packages that the folder already contains.

    Args:
        folder: target folder, created if necessary; each package gets a subfolder with its name.
        packages: names of packages; None fetches all packages in `packages.csv`.
        progress: called with the number of downloaded bytes.

    Returns:
        State by package name: "fetched", "present" (skipped), "unknown" (not in the package index).

    Raises:
        InvalidInputError: for an unknown package name, or if the folder is not writable or another
            process uses it.
        MissingDependencyError: if a program that is needed is not installed: apt-get and dpkg-deb
            for packages of Debian, pip for packages of PyPI.
        RemoteError: if a download fails. Packages that are complete remain in the folder.
        OSError: if the disk is full.
    """
    selected = select_packages(packages)
    for index in dict.fromkeys(package.source for package in selected):
        for tool in INDEXES[index].tools:
            require_tool(tool)
    folder = Path(folder).expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with fetch_lock(folder):
            return _fetch_all(selected, folder, progress)
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise InvalidInputError(
            f"{folder}: cannot be written to ({error.strerror}). Choose another folder."
        ) from error


def fetch_report(folder: Path, states: Mapping[str, FetchState]) -> tuple[str, bool]:
    """Return a report on fetched packages, and whether all their recordings are available.

    The report is a text that lists the state of each package, missing recordings, and recordings
    with identical audio. `states` is the result of `fetch_packages`.
    """
    lines = [f"{state:9}{package}" for package, state in states.items()]
    available = [package for package, state in states.items() if state != "unknown"]
    complete = len(available) == len(states)
    unknown = [p.source for p in select_packages(states) if p.name not in available]
    lines += [f"unknown: {INDEXES[source].unknown_advice}" for source in dict.fromkeys(unknown)]
    if available:
        sounds = DebianSounds(folder, packages=available, doubtful=True)
        lines += _missing_credits(folder, available)
        lines += _missing(sounds)
        lines += [f"identical recordings: {', '.join(ids)}" for ids in duplicates(sounds)]
        n_recordings = len(sounds.recordings)
        lines.append(
            f"{n_recordings - len(sounds.missing)} of {n_recordings} recordings are in {folder}"
        )
        complete = complete and not sounds.missing
    return "\n".join(printable(line) for line in lines), complete


def _missing(sounds: DebianSounds) -> list[str]:
    """Return one line for each missing recording, but one per package for those not rendered."""
    lines, counts = [], Counter[str]()
    for recording in sounds.recordings:
        cause = sounds.missing.get(recording.id)
        if cause == NOT_RENDERED:
            counts[recording.package] += 1
        elif cause is not None:
            lines.append(f"missing  {recording.id}: {cause}")
    return [
        *lines,
        *(f"missing  {package}: each of {n} {NOT_RENDERED}" for package, n in counts.items()),
    ]


def _missing_credits(folder: Path, packages: Iterable[str]) -> list[str]:
    """Return a line for each file with authors and licences that a fetched package lacks."""
    return [
        f"missing  {package.name}/{file}: names authors and licences"
        for package in select_packages(packages)
        for file in package.credits
        if not (folder / package.name / file).is_file()
    ]


def _fetch_all(
    selected: Sequence[DebianPackage], folder: Path, progress: ProgressCallback
) -> dict[str, FetchState]:
    for partial in folder.glob(f"{_PARTIAL}*"):
        shutil.rmtree(partial)
    total = sum(package.size for package in selected)
    states: dict[str, FetchState] = {}
    done = 0

    def report_bytes(size: int) -> None:
        progress(ProgressEvent(stage="fetched", done=done + size, total=total, unit="bytes"))

    for package in selected:
        states[package.name] = _fetch_one(package, folder, report_bytes)
        done += package.size
        report_bytes(0)
    return states


def _fetch_one(
    package: DebianPackage, folder: Path, report_bytes: Callable[[int], None]
) -> FetchState:
    target = folder / package.name
    if target.is_dir():
        return "present"
    # After an interruption, dpkg-deb may still write files; the next fetch removes them.
    with tempfile.TemporaryDirectory(
        prefix=_PARTIAL, dir=folder, ignore_cleanup_errors=True
    ) as work:
        archive = download(package, Path(work), report_bytes)
        if archive is None:
            return "unknown"
        unpacked, selection = Path(work, "unpacked"), Path(work, "selection")
        files = _needed_files(package)
        INDEXES[package.source].unpack(archive, unpacked, files)
        _copy(files, unpacked, selection)
        selection.rename(target)
    return "fetched"


def _needed_files(package: DebianPackage) -> tuple[str, ...]:
    """Return paths of labelled recordings, soundfonts, patches and credits in a package."""
    names = [rendered_from(r.file) or r.file for r in recordings() if r.package == package.name]
    return (*(f"{package.folder}/{name}" for name in dict.fromkeys(names)), *package.credits)


def _copy(files: Sequence[str], unpacked: Path, target: Path) -> None:
    """Copy files from an unpacked package to the new folder `target`; skip missing files."""
    target.mkdir()
    extract_containers(files, unpacked)
    for file in files:
        source = unpacked / file
        # A link to a path outside the package would copy a file of this computer.
        if source.is_file() and source.resolve().is_relative_to(unpacked.resolve()):
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target / file)
