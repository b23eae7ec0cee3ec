"""Download of Debian packages without root permissions and without installing them.

`apt-get download` takes a package from the Debian mirror of the system and compares its SHA-256
with the signed package index; `dpkg-deb` unpacks it. Only labelled recordings are
kept. They are moved to the target folder in one step, so that a package is either complete or
absent.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from audioprobe.datasets.debian.dataset import DebianSounds
from audioprobe.datasets.debian.qt_resources import SUFFIX, resource_files
from audioprobe.datasets.debian.tables import DebianPackage, recordings, select_packages
from audioprobe.datasets.leakage import duplicates
from audioprobe.errors import InvalidInputError, MissingDependencyError, RemoteError
from audioprobe.io.atomic import exclusive_lock
from audioprobe.io.text_table import printable
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress

_POLL_S = 0.3  # interval at which the size of the download is checked
_PARTIAL = ".partial-"  # prefix of the temporary folders
_DISK_FULL = "No space left on device"
_UNKNOWN = ("Unable to locate package", "No candidate version found", "Can't find a source")


@dataclass(frozen=True, slots=True)
class FetchResult:
    """Result for one package.

    Attributes:
        package: name of the package.
        state: "fetched" by this call, "present" before the call, or "unknown" if the package index
            does not contain the package.
    """

    package: str
    state: Literal["fetched", "present", "unknown"]


def fetch_packages(
    folder: str | Path,
    packages: Iterable[str] | None = None,
    *,
    progress: ProgressCallback = ignore_progress,
) -> tuple[FetchResult, ...]:
    """Fetch packages into a folder, one after the other; skip packages that are present.

    Args:
        folder: target folder, created if necessary; each package gets a subfolder with its name.
        packages: names of packages; None fetches all packages in the table.
        progress: called during the download with the number of bytes.

    Returns:
        The result for each package, in the order of the table.

    Raises:
        InvalidInputError: for an unknown name, or a folder that is not writable or in use by
            another process.
        MissingDependencyError: if apt-get or dpkg-deb is not installed.
        RemoteError: if a package could not be fetched. Packages fetched before are kept.
        OSError: if the disk is full.
    """
    selected = select_packages(packages)
    for tool in ("apt-get", "dpkg-deb"):
        _tool(tool)
    folder = Path(folder).expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        refusal = InvalidInputError(f"{folder}: another process is using this folder. Wait.")
        with exclusive_lock(folder / ".lock", refusal):
            return _fetch_all(selected, folder, progress)
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise InvalidInputError(f"{folder}: cannot be written to ({error.strerror}).") from error


def fetch_report(folder: Path, results: Sequence[FetchResult]) -> tuple[str, bool]:
    """Return a report of fetched packages, missing recordings and duplicates.

    Returns:
        The text, and True if every recording of these packages is available.
    """
    lines = [f"{result.state:9}{result.package}" for result in results]
    available = [result.package for result in results if result.state != "unknown"]
    complete = len(available) == len(results)
    if not complete:
        lines.append(
            "unknown: not in this system's package index. Run `apt-get update`; use Debian 12."
        )
    if available:
        sounds = DebianSounds(folder, packages=available, doubtful=True)
        lines += [f"missing  {name}: {cause}" for name, cause in sounds.missing.items()]
        lines += [f"identical recordings: {', '.join(ids)}" for ids in duplicates(sounds)]
        n_recordings = len(sounds.recordings)
        lines.append(
            f"{n_recordings - len(sounds.missing)} of {n_recordings} recordings are in {folder}"
        )
        complete = complete and not sounds.missing
    return "\n".join(printable(line) for line in lines), complete


def _fetch_all(
    selected: Sequence[DebianPackage], folder: Path, progress: ProgressCallback
) -> tuple[FetchResult, ...]:
    for partial in folder.glob(f"{_PARTIAL}*"):
        shutil.rmtree(partial)
    total = sum(package.size for package in selected)
    results = []
    done = 0

    def report_bytes(size: int) -> None:
        progress(ProgressEvent(stage="fetched", done=done + size, total=total, unit="bytes"))

    for package in selected:
        results.append(FetchResult(package.name, _fetch_one(package, folder, report_bytes)))
        done += package.size
        report_bytes(0)
    return tuple(results)


def _fetch_one(
    package: DebianPackage, folder: Path, report_bytes: Callable[[int], None]
) -> Literal["fetched", "present", "unknown"]:
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
    """Download a package and return its path, or None if the package index does not have it."""
    command = [_tool("apt-get"), "download", "--quiet", "--option=Acquire::Retries=2", package.name]
    log = work / "apt.log"
    with (
        log.open("wb") as stream,
        subprocess.Popen(  # noqa: S603 - the names come from the table
            command, cwd=work, stdout=stream, stderr=stream, env=_environment()
        ) as process,
    ):
        try:
            while True:
                try:
                    process.wait(timeout=_POLL_S)
                    break
                except subprocess.TimeoutExpired:
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
    _refuse_full_disk(message)
    raise RemoteError(
        f"{package.name}: apt-get could not fetch it: {_last_line(message)} Complete packages are "
        "kept: run the same command again to continue. If the package "
        "index is old, run `apt-get update` first.",
        retryable=True,
    )


def _unpack(archive: Path, target: Path) -> None:
    command = [_tool("dpkg-deb"), "--extract", str(archive), str(target)]
    process = subprocess.run(  # noqa: S603 - the archive was downloaded by apt-get
        command, capture_output=True, text=True, errors="replace", check=False, env=_environment()
    )
    if process.returncode:
        _refuse_full_disk(process.stderr)
        raise RemoteError(
            f"{archive.name}: dpkg-deb could not unpack it: {_last_line(process.stderr)}"
        )


def _copy_labelled(package: DebianPackage, unpacked: Path, target: Path) -> None:
    """Copy only the labelled recordings and the copyright file of a package."""
    files = [f"{package.folder}/{r.file}" for r in recordings() if r.package == package.name]
    target.mkdir()
    _extract_resources(files, unpacked)
    for file in (f"usr/share/doc/{package.name}/copyright", *files):
        source = unpacked / file
        # A link to a path outside the package would copy a file of this computer.
        if source.is_file() and source.resolve().is_relative_to(unpacked.resolve()):
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target / file)


def _extract_resources(files: Sequence[str], unpacked: Path) -> None:
    """Replace each Qt resource file by a folder that contains its labelled files."""
    members: dict[str, set[str]] = {}
    for file in files:
        archive, mark, member = file.partition(f"{SUFFIX}/")
        if mark:
            members.setdefault(f"{archive}{SUFFIX}", set()).add(member)
    for archive, names in members.items():
        path = unpacked / archive
        if not path.is_file():
            continue  # the data set then lists its recordings as missing
        try:
            contents = {n: data for n, data in resource_files(path.read_bytes()) if n in names}
        except ValueError as error:
            raise RemoteError(f"{archive}: cannot be read as a resource file ({error}).") from error
        path.unlink()
        for name, data in contents.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)


def _tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise MissingDependencyError(
            f"{name} was not found, but these recordings are in Debian packages. Fetch them on "
            "Debian 12 (for example in a container) and copy the folder here."
        )
    return path


def _environment() -> dict[str, str]:
    """Return an environment with English messages, which `_download` searches for known errors."""
    return os.environ | {"LC_ALL": "C"}


def _refuse_full_disk(message: str) -> None:
    if _DISK_FULL in message:
        raise OSError(f"{_DISK_FULL}. Complete packages are kept. Free space and run again.")


def _last_line(message: str) -> str:
    """Return the last error of apt-get or dpkg-deb, or the last line if there is no error."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("E:", "dpkg-deb: error"))]
    return f"{(errors or lines or ['no message'])[-1].rstrip('.')}."
