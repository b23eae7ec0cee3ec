"""Where a result comes from."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from audioprobe.types import ComponentInfo, Option

_LIBRARIES = (
    "ai-edge-litert",
    "audioprobe",
    "numpy",
    "openai",
    "scipy",
    "sentence-transformers",
    "soundfile",
    "soxr",
    "torch",
    "transformers",
)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a result comes from.

    Attributes:
        components: what took part, by role.
        options: settings of the study itself (prompt, reading policy, decoding).
        seed: for whatever samples.
        data: SHA-256 over the sounds that were read, in order of the clips.
        versions: of Python and of the libraries that can move a number.
        created: UTC, ISO 8601.
    """

    components: Mapping[str, ComponentInfo]
    options: Mapping[str, Option]
    seed: int
    data: str
    versions: Mapping[str, str]
    created: str = field(compare=False)


def now() -> str:
    """UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """Of Python and of the installed libraries that can move a number."""
    found = {"python": platform.python_version()}
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found
