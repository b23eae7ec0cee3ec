"""Download and unpack packages of Debian and PyPI; nothing is installed or executed.

`apt-get download` gets a package from the Debian mirror of the system and compares its SHA-256
with the signed package index; `dpkg-deb` unpacks it. `pip download` gets a wheel from the package
index that pip is configured for; a wheel is a zip file.
"""

import lzma
import os
import shutil
import subprocess
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

from audioprobe.datasets.debian.containers import MAX_BYTES
from audioprobe.datasets.debian.tables import DebianPackage
from audioprobe.errors import InvalidInputError, MissingDependencyError, RemoteError
from audioprobe.io.atomic import exclusive_lock

_POLL_S = 0.3  # seconds between two checks of the size of the download
_DISK_FULL = "No space left on device"
_APT_GET = ("apt-get", "download", "--quiet", "--option=Acquire::Retries=2")
# Without dependencies, and without source packages, which would be built.
_PIP = ("pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest=.")


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageIndex:
    """A package index, and how to get packages from it.

    Attributes:
        tools: programs that are needed.
        command: returns the command that downloads a package into the current folder.
        suffix: suffix of a downloaded package.
        unknown: messages of the command if the index does not contain the package.
        offline: messages of the command that mean that the index was not reached, so that
            `unknown` has no meaning.
        unpack: unpacks a downloaded package into a new folder; gets the archive, the folder, and
            the paths that are needed.
        advice: what to do if the download fails.
        unknown_advice: what to do if the index does not contain the package.
    """

    tools: tuple[str, ...]
    command: Callable[[DebianPackage], list[str]]
    suffix: str
    unknown: tuple[str, ...]
    offline: tuple[str, ...]
    unpack: Callable[[Path, Path, Sequence[str]], None]
    advice: str
    unknown_advice: str


def download(
    package: DebianPackage, work: Path, report_bytes: Callable[[int], None]
) -> Path | None:
    """Download a package into a folder and return its path; None if the index does not have it.

    Args:
        package: package to download.
        work: existing folder without other packages.
        report_bytes: called with the number of bytes that are downloaded so far.

    Raises:
        RemoteError: if the download fails.
        OSError: if the disk is full.
    """
    index = INDEXES[package.source]
    log = work / "download.log"
    with (
        log.open("wb") as stream,
        subprocess.Popen(  # noqa: S603 - the names come from the table
            index.command(package), cwd=work, stdout=stream, stderr=stream, env=_english()
        ) as process,
    ):
        try:
            while True:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=_POLL_S)
                    break
                files = work.glob(f"*{index.suffix}*")
                report_bytes(sum(file.stat().st_size for file in files))
        except BaseException:
            process.terminate()
            raise
    message = log.read_text("utf-8", errors="replace")
    archives = list(work.glob(f"*{index.suffix}"))
    if process.returncode == 0 and len(archives) == 1:
        return archives[0]
    reached = not any(words in message for words in index.offline)
    if reached and any(words in message for words in index.unknown):
        return None
    problem = f"{package.name}: {index.tools[0]} could not fetch it"
    raise _failure(problem, message, index.advice)


def fetch_lock(folder: Path) -> AbstractContextManager[None]:
    """Return a context manager that locks a folder of packages while one process changes it.

    It raises `InvalidInputError` if another process has locked the folder.
    """
    refusal = InvalidInputError(
        f"{folder}: another process is fetching into this folder. Wait until it ends, or choose "
        "another folder."
    )
    return exclusive_lock(folder / ".lock", refusal)


def require_tool(name: str) -> str:
    """Return the path of a program that is needed to fetch packages.

    Raises:
        MissingDependencyError: if it is not installed.
    """
    path = shutil.which(name)
    if path is None:
        raise MissingDependencyError(
            f"{name} was not found; it is needed to fetch packages. Fetch them on Debian 12 "
            "(for example in a container), and copy the folder to this computer."
        )
    return path


def unpack_deb(archive: Path, target: Path, files: Sequence[str]) -> None:  # noqa: ARG001
    """Unpack all files of a Debian package into a new folder.

    Raises:
        RemoteError: if the package is damaged.
        OSError: if the disk is full.
    """
    command = [require_tool("dpkg-deb"), "--extract", str(archive), str(target)]
    process = subprocess.run(  # noqa: S603 - the archive was downloaded by apt-get
        command, capture_output=True, text=True, errors="replace", check=False, env=_english()
    )
    if process.returncode:
        raise _failure(f"{archive.name}: dpkg-deb could not unpack it", process.stderr)


def unpack_wheel(archive: Path, target: Path, files: Sequence[str]) -> None:
    """Write those files of a wheel that are in `files` into a new folder.

    Files that the wheel does not contain are skipped; `DebianSounds.missing` lists recordings.

    Raises:
        RemoteError: if the wheel is damaged, or contains a file that is too large.
    """
    target.mkdir()
    try:
        with zipfile.ZipFile(archive) as wheel:
            members = {info.filename: info for info in wheel.infolist()}
            for name in dict.fromkeys(files):
                if name not in members:
                    continue
                content = _read_member(wheel, members[name])
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                (target / name).write_bytes(content)
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        EOFError,
        NotImplementedError,
        RuntimeError,
        ValueError,
    ) as error:
        raise RemoteError(
            f"{archive.name}: cannot be read as a wheel ({error}). Fetch the package again."
        ) from error


def _read_member(wheel: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.file_size > MAX_BYTES:
        raise ValueError(f"{member.filename} has more than {MAX_BYTES / 1e6:.0f} MB")
    try:
        return wheel.read(member)
    except OSError as error:  # of the decompressor; the caller reports a full disk as an OSError
        raise ValueError(f"{member.filename} is damaged ({error})") from error


def _apt_get_command(package: DebianPackage) -> list[str]:
    return [require_tool(_APT_GET[0]), *_APT_GET[1:], package.name]


def _pip_command(package: DebianPackage) -> list[str]:
    return [require_tool(_PIP[0]), *_PIP[1:], f"{package.name}=={package.version}"]


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
    errors = [line for line in lines if line.startswith(("E:", "ERROR:", "dpkg-deb: error"))]
    last = (errors or lines or ["no message"])[-1].rstrip(".")
    return RemoteError(f"{problem}: {last}. {advice}".rstrip(), retryable=bool(advice))


INDEXES: Mapping[str, PackageIndex] = {
    "debian": PackageIndex(
        tools=("apt-get", "dpkg-deb"),
        command=_apt_get_command,
        suffix=".deb",
        unknown=(
            "Unable to locate package",
            "No candidate version found",
            "Can't find a source",
        ),
        offline=(),
        unpack=unpack_deb,
        advice="To continue, run the same command again. If the package index is old, run "
        "`apt-get update` first.",
        unknown_advice="not in this system's package index. Run `apt-get update`; use Debian 12.",
    ),
    "pypi": PackageIndex(
        tools=("pip",),
        command=_pip_command,
        suffix=".whl",
        unknown=("No matching distribution found",),
        offline=("Retrying (",),
        unpack=unpack_wheel,
        advice="To continue, run the same command again.",
        unknown_advice="pip's package index does not have a wheel of the version in the table. "
        "Use PyPI or a mirror of it.",
    ),
}
"""Package indexes, keyed by the column `source` of `packages.csv`."""
