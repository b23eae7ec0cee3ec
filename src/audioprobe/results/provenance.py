"""Where a result comes from."""

import hashlib
import platform
from collections.abc import Iterable, Mapping
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
        training_clips: ids of the clips that a model was trained on, by the model; only of models
            whose training data are known.
    """

    components: Mapping[str, ComponentInfo]
    options: Mapping[str, Option]
    seed: int
    data: str
    versions: Mapping[str, str]
    created: str = field(compare=False)
    training_clips: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def digest_of_sounds(digests: Iterable[tuple[str, str]]) -> str:
    """SHA-256 over ids of sounds and the digest of each, in order (64 hexadecimal digits)."""
    content = hashlib.sha256()
    for name, digest in digests:
        content.update(f"{name}\t{digest}\n".encode("utf-8", "surrogatepass"))
    return content.hexdigest()


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
