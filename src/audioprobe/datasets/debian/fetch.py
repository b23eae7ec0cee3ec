"""Download Debian packages with recordings; root permissions and installation are not needed.

`apt-get download` gets a package from the Debian mirror of the system and compares its SHA-256
with the signed package index. `dpkg-deb` unpacks the package. Only the labelled recordings are
stored. A package folder is created in one step, so it is either complete or absent.
"""

import os
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from audioprobe.datasets.debian.containers import extract_containers
from audioprobe.datasets.debian.dataset import DebianSounds
from audioprobe.datasets.debian.renderings import NOT_RENDERED, rendered_from
from audioprobe.datasets.debian.tables import DebianPackage, recordings, select_packages
from audioprobe.datasets.leakage import duplicates
from audioprobe.errors import InvalidInputError, MissingDependencyError, RemoteError
from audioprobe.io.atomic import exclusive_lock
from audioprobe.io.text_table import printable
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress

_POLL_S = 0.3  # seconds between two checks of the size of the download
_PARTIAL = ".partial-"  # prefix of temporary folders
_DISK_FULL = "No space left on device"
_UNKNOWN = ("Unable to locate package", "No candidate version found", "Can't find a source")


FetchState = Literal["fetched", "present", "unknown"]
"""State of a package after a fetch.

"fetched": downloaded by this call. "present": already in the folder before this call. "unknown":
not in the package index of the system.
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
        State by package name: "fetched", "present" (skipped), "unknown" (not in the index of apt).

    Raises:
        InvalidInputError: for an unknown package name, or if the folder is not writable or another
            process uses it.
        MissingDependencyError: if apt-get or dpkg-deb is not installed.
        RemoteError: if a download fails. Packages that are complete remain in the folder.
        OSError: if the disk is full.
    """
    selected = select_packages(packages)
    for tool in ("apt-get", "dpkg-deb"):
        _tool(tool)
    folder = Path(folder).expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        refusal = InvalidInputError(
            f"{folder}: another process is fetching into this folder. Wait until it ends, or "
            "choose another folder."
        )
        with exclusive_lock(folder / ".lock", refusal):
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
    if not complete:
        lines.append(
            "unknown: not in this system's package index. Run `apt-get update`; use Debian 12."
        )
    if available:
        sounds = DebianSounds(folder, packages=available, doubtful=True)
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
        archive = _download(package, Path(work), report_bytes)
        if archive is None:
            return "unknown"
        unpacked, selection = Path(work, "unpacked"), Path(work, "selection")
        _unpack(archive, unpacked)
        _copy_labelled(package, unpacked, selection)
        selection.rename(target)
    return "fetched"


def _download(
    package: DebianPackage, work: Path, report_bytes: Callable[[int], None]
) -> Path | None:
    """Download a package and return its path; None if the package index does not contain it."""
    command = [_tool("apt-get"), "download", "--quiet", "--option=Acquire::Retries=2", package.name]
    log = work / "apt.log"
    with (
        log.open("wb") as stream,
        subprocess.Popen(  # noqa: S603 - the names come from the table
            command, cwd=work, stdout=stream, stderr=stream, env=_english()
        ) as process,
    ):
        try:
            while True:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=_POLL_S)
                    break
                report_bytes(sum(file.stat().st_size for file in work.glob("*.deb*")))
        except BaseException:
            process.terminate()
            raise
    message = log.read_text("utf-8", errors="replace")
    archives = list(work.glob("*.deb"))
    if process.returncode == 0 and len(archives) == 1:
        return archives[0]
    if any(words in message for words in _UNKNOWN):
        return None
    raise _failure(
        f"{package.name}: apt-get could not fetch it",
        message,
        "To continue, run the same command again. If the package index is old, run `apt-get "
        "update` first.",
    )


def _unpack(archive: Path, target: Path) -> None:
    command = [_tool("dpkg-deb"), "--extract", str(archive), str(target)]
    process = subprocess.run(  # noqa: S603 - the archive was downloaded by apt-get
        command, capture_output=True, text=True, errors="replace", check=False, env=_english()
    )
    if process.returncode:
        raise _failure(f"{archive.name}: dpkg-deb could not unpack it", process.stderr)


def _copy_labelled(package: DebianPackage, unpacked: Path, target: Path) -> None:
    """Copy labelled recordings, soundfonts, patches and the copyright file to `target`."""
    names = [rendered_from(r.file) or r.file for r in recordings() if r.package == package.name]
    files = [f"{package.folder}/{name}" for name in dict.fromkeys(names)]
    target.mkdir()
    extract_containers(files, unpacked)
    for file in (f"usr/share/doc/{package.name}/copyright", *files):
        source = unpacked / file
        # A link to a path outside the package would copy a file of this computer.
        if source.is_file() and source.resolve().is_relative_to(unpacked.resolve()):
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target / file)


def _tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise MissingDependencyError(
            f"{name} was not found; it is needed to fetch Debian packages. Fetch them on Debian 12 "
            "(for example in a container), and copy the folder to this computer."
        )
    return path


def _english() -> dict[str, str]:
    """Return the environment variables, changed so that programs print English messages."""
    return os.environ | {"LC_ALL": "C"}


def _failure(problem: str, output: str, advice: str = "") -> OSError | RemoteError:
    """Return the exception for a failed program: OSError for a full disk, else RemoteError."""
    if _DISK_FULL in output:
        return OSError(
            f"{_DISK_FULL}. Free space and run the same command again; complete packages are not "
            "fetched again."
        )
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("E:", "dpkg-deb: error"))]
    last = (errors or lines or ["no message"])[-1].rstrip(".")
    return RemoteError(f"{problem}: {last}. {advice}".rstrip(), retryable=bool(advice))
