"""What a run's folder records of its start and its sounds."""

import hashlib
import subprocess
from collections.abc import Iterable

from audioprobe.results.provenance import now, versions
from audioprobe.types import Clip


def started() -> dict[str, object]:
    """What is recorded of every start of a run."""
    return {"time": now(), "versions": versions(), "commit": commit()}


def commit() -> str:
    """The commit of the working directory, with "+" where files differ; "" where there is none."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=40", "--exclude=*"],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""


def digest_of(clips: Iterable[Clip]) -> str:
    """Names, starts and labels of clips, in order (16 hexadecimal digits)."""
    content = hashlib.sha256()
    for clip in clips:
        content.update(f"{clip.id}\t{clip.start}\t{clip.labels}\n".encode("utf-8", "surrogatepass"))
    return content.hexdigest()[:16]
