"""Fetch Debian packages and keep their labelled recordings: no root, nothing is installed.

`apt-get download` takes a package from the user's own Debian mirror and compares its SHA-256 with
the signed package index; `dpkg-deb` unpacks it. What is kept moves into its place in one step, so
that a package is there whole or not at all.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from audioprobe.datasets.debian import resources, table
from audioprobe.datasets.debian.table import DebianPackage
from audioprobe.errors import InvalidInputError, MissingDependencyError, RemoteError
from audioprobe.io.atomic import exclusive_lock
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress

TOOLS = ("apt-get", "dpkg-deb")

_POLL_S = 0.3  # how often the growing file is looked at
_PARTIAL = ".partial-"  # what an interrupted fetch leaves behind begins with this
_FULL = "No space left on device"
_UNKNOWN = ("Unable to locate package", "No candidate version found", "Can't find a source")


@dataclass(frozen=True, slots=True)
class Fetched:
    """What became of a package.

    Attributes:
        package: its name.
        state: "fetched" now, "kept" because it was there, or "unknown" to the package index.
    """

    package: str
    state: Literal["fetched", "kept", "unknown"]


def fetch(
    folder: str | Path,
    packages: Iterable[str] | None = None,
    *,
    progress: ProgressCallback = ignore_progress,
) -> tuple[Fetched, ...]:
    """Fetch packages into a folder, one after the other; those that are there are kept.

    Args:
        folder: made if need be; each package gets a folder of its own name in it.
        packages: names; None fetches all of the table.
        progress: called as bytes arrive; the unit is bytes.

    Returns:
        What became of each package, in the order of the table.

    Raises:
        InvalidInputError: for an unknown name, or a folder that cannot be written to or that
            another process is filling.
        MissingDependencyError: where apt-get or dpkg-deb is missing.
        RemoteError: where a package could not be fetched; those before it are there.
        OSError: where the disk is full.
    """
    wanted = table.chosen(packages)
    for tool in TOOLS:
        _tool(tool)
    folder = Path(folder).expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        refusal = InvalidInputError(f"{folder}: another process is fetching into it.")
        with exclusive_lock(folder / ".lock", refusal):
            return _fetch_all(wanted, folder, progress)
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise InvalidInputError(f"{folder}: cannot be written to ({error.strerror}).") from error


def _fetch_all(
    wanted: Sequence[DebianPackage], folder: Path, progress: ProgressCallback
) -> tuple[Fetched, ...]:
    for left in folder.glob(f"{_PARTIAL}*"):
        shutil.rmtree(left)
    total = sum(package.size for package in wanted)
    outcomes = []
    done = 0

    def grown(size: int) -> None:
        progress(ProgressEvent(stage="fetched", done=done + size, total=total, unit="bytes"))

    for package in wanted:
        outcomes.append(_fetch_one(package, folder, grown))
        done += package.size
        grown(0)
    return tuple(outcomes)


def _fetch_one(package: DebianPackage, folder: Path, grown: Callable[[int], None]) -> Fetched:
    target = folder / package.name
    if target.is_dir():
        return Fetched(package.name, "kept")
    # An interrupted dpkg-deb may still write for a moment: what stays is removed by the next fetch.
    with tempfile.TemporaryDirectory(
        prefix=_PARTIAL, dir=folder, ignore_cleanup_errors=True
    ) as work:
        archive = _download(package, Path(work), grown)
        if archive is None:
            return Fetched(package.name, "unknown")
        unpacked = Path(work, "unpacked")
        _unpack(archive, unpacked)
        kept = Path(work, "kept")
        _keep_labelled(package, unpacked, kept)
        kept.rename(target)
    return Fetched(package.name, "fetched")


def _download(package: DebianPackage, work: Path, grown: Callable[[int], None]) -> Path | None:
    """The package's file; None where the package index does not know it."""
    command = [_tool("apt-get"), "download", "--quiet", "--option=Acquire::Retries=2", package.name]
    log = work / "apt.log"
    with (
        log.open("wb") as stream,
        subprocess.Popen(  # noqa: S603 - the names are those of the table
            command, cwd=work, stdout=stream, stderr=stream, env=_environment()
        ) as process,
    ):
        try:
            while _still_runs(process):
                grown(sum(file.stat().st_size for file in work.glob("*.deb*")))
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
        f"{package.name}: apt-get could not fetch it: {_last_line(message)} What is there is kept: "
        "run the same command again to go on. `apt-get update` renews an old package index.",
        retryable=True,
    )


def _still_runs(process: "subprocess.Popen[bytes]") -> bool:
    try:
        process.wait(timeout=_POLL_S)
    except subprocess.TimeoutExpired:
        return True
    return False


def _unpack(archive: Path, target: Path) -> None:
    command = [_tool("dpkg-deb"), "--extract", str(archive), str(target)]
    process = subprocess.run(  # noqa: S603 - the file was made by apt-get just now
        command, capture_output=True, text=True, errors="replace", check=False, env=_environment()
    )
    if process.returncode:
        _refuse_full_disk(process.stderr)
        raise RemoteError(
            f"{archive.name}: dpkg-deb could not unpack it: {_last_line(process.stderr)}"
        )


def _keep_labelled(package: DebianPackage, unpacked: Path, kept: Path) -> None:
    """Move the labelled recordings and the copyright file; pictures and music stay behind."""
    notice = f"usr/share/doc/{package.name}/copyright"
    files = [
        f"{package.folder}/{sound.file}"
        for sound in table.sounds()
        if sound.package == package.name
    ]
    kept.mkdir()
    _open_resources(files, unpacked)
    for file in (notice, *files):
        source = unpacked / file
        # A link that leads out of the package would bring in a file of this machine.
        if source.is_file() and source.resolve().is_relative_to(unpacked.resolve()):
            place = kept / file
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, place)


def _open_resources(files: Sequence[str], unpacked: Path) -> None:
    """Put a folder of its labelled files in the place of each resource file."""
    inside: dict[str, set[str]] = {}
    for file in files:
        archive, mark, rest = file.partition(f"{resources.SUFFIX}/")
        if mark:
            inside.setdefault(f"{archive}{resources.SUFFIX}", set()).add(rest)
    for archive, wanted in inside.items():
        path = unpacked / archive
        if not path.is_file():
            continue  # what it should hold is then missing, and listed as such
        try:
            found = {
                name: data for name, data in resources.files(path.read_bytes()) if name in wanted
            }
        except ValueError as error:
            raise RemoteError(f"{archive}: not a readable resource file ({error}).") from error
        path.unlink()
        for name, data in found.items():
            place = path / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise MissingDependencyError(
            f"{name} was not found: these recordings come as Debian packages. Fetch them on Debian "
            "12 (a container will do) and copy the folder here."
        )
    return found


def _environment() -> dict[str, str]:
    """English messages: their words tell an unknown package from an unreachable mirror."""
    return os.environ | {"LC_ALL": "C"}


def _refuse_full_disk(message: str) -> None:
    if _FULL in message:
        raise OSError(f"{_FULL}. What was fetched before is kept: make room, and run it again.")


def _last_line(message: str) -> str:
    """What apt-get and dpkg-deb say last, errors before warnings."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("E:", "dpkg-deb: error"))]
    return f"{(errors or lines or ['it said nothing'])[-1].rstrip('.')}."
