"""Provenance of results: components, options, versions of libraries and a digest of the data."""

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
    "scikit-learn",
    "scipy",
    "sentence-transformers",
    "soundfile",
    "soxr",
    "torch",
    "transformers",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Origin of a result: components, settings, data and versions.

    Attributes:
        components: models, scorers and other components, by role ("model", "scorer").
        options: settings of the study (prompt, windowing, decoding).
        seed: seed of all random numbers.
        data: SHA-256 of the audio that was read, in the order of the clips.
        versions: versions of Python and of the libraries that can change results.
        created: time of creation in UTC, ISO 8601.
        training_clips: ids of the evaluated clips that a model was trained on, by model, for
            models whose training data are known.
    """

    components: Mapping[str, ComponentInfo]
    options: Mapping[str, Option]
    seed: int
    data: str
    versions: Mapping[str, str]
    created: str = field(compare=False)
    training_clips: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def record(
        cls,
        components: Mapping[str, ComponentInfo],
        options: Mapping[str, Option],
        *,
        seed: int,
        data: str,
        training_clips: Mapping[str, tuple[str, ...]],
    ) -> "Provenance":
        """Return the provenance of a new result, with the current time and library versions."""
        return cls(
            components=components,
            options=options,
            seed=seed,
            data=data,
            versions=versions(),
            created=now(),
            training_clips=training_clips,
        )


def combined_digest(digests: Iterable[tuple[str, str]]) -> str:
    """Return one SHA-256 digest for several files or clips, as 64 hexadecimal digits.

    Args:
        digests: pairs of the id and the digest of each file or clip.
    """
    content = hashlib.sha256()
    for name, digest in digests:
        content.update(f"{name}\t{digest}\n".encode("utf-8", "surrogatepass"))
    return content.hexdigest()


def now() -> str:
    """Return the current UTC time in ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """Return the versions of Python and of libraries that can change results, keyed by name."""
    installed = {"python": platform.python_version()}
    for library in _LIBRARIES:
        try:
            installed[library] = version(library)
        except PackageNotFoundError:
            continue
    return installed
