"""What a user's machine has, what it lacks, and what to do about it."""

import os
import platform
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from huggingface_hub import constants

from audioprobe.audio.sources import clips_of
from audioprobe.audio.training_clips import clips_among
from audioprobe.errors import AudioProbeError
from audioprobe.models.ltu.published import PRECISIONS, PUBLISHED, SPARE_GIB
from audioprobe.registry import available
from audioprobe.training_data import TRAINING_DATA, TrainingData, training_notes
from audioprobe.weights import AST_AUDIOSET, CLAP_UNFUSED, MINI_BASE, WEIGHTS_PACKAGES, find

MINI = Path(__file__).parents[1] / "mini"
_LIBRARIES = ("numpy", "torch", "transformers", "sentence-transformers", "soundfile", "openai")
_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class EnvironmentCheck:
    """One line of the report.

    Attributes:
        subject: what was looked at.
        state: "ok"; "note" is worth knowing; "problem" keeps the demo from running.
        found: what there is.
        mend: what to do, "" where nothing.
    """

    subject: str
    state: Literal["ok", "note", "problem"]
    found: str
    mend: str = ""


def examine(
    *, ask_network: bool = True, sounds: Sequence[str] = ()
) -> tuple[EnvironmentCheck, ...]:
    """Look at everything.

    Args:
        ask_network: whether to try to connect to the model hub (3 s at most).
        sounds: files and folders to compare with the recordings that `mini` was trained on.

    Raises:
        InvalidInputError: if a sound that is named is not there.
    """
    weights = list(_weights())
    findings = [_machine(), _accelerator(), _memory(), *_versions(), *_mini(weights, sounds)]
    findings += [*_backends(), *weights, _large_models()]
    findings += [
        _hub() if ask_network else EnvironmentCheck("model hub", "note", "not asked (--offline)")
    ]
    return (*findings, _key())


def _machine() -> EnvironmentCheck:
    found = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return EnvironmentCheck("machine", "ok", f"{found}, Python {platform.python_version()}")


def _accelerator() -> EnvironmentCheck:
    try:
        import torch
    except (ImportError, OSError) as error:
        mend = "pip install --force-reinstall torch"
        return EnvironmentCheck(
            "accelerator", "problem", f"torch does not import ({error!s:.80})", mend
        )
    if torch.cuda.is_available():
        return EnvironmentCheck("accelerator", "ok", torch.cuda.get_device_name(0))
    return EnvironmentCheck(
        "accelerator", "note", "none that torch can use", "Everything runs on the CPU, slower."
    )


def _memory() -> EnvironmentCheck:
    total = _gibibytes()
    if total is None:
        return EnvironmentCheck("memory", "note", "not known on this system")
    small = total < 4
    mend = "Close other programs before you load a large model." if small else ""
    return EnvironmentCheck("memory", "note" if small else "ok", f"{total:.0f} GiB", mend)


def _gibibytes() -> float | None:
    """Memory of the machine, None where it cannot be asked for."""
    if not hasattr(os, "sysconf") or sys.platform == "darwin":
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _mini(weights: Sequence[EnvironmentCheck], sounds: Sequence[str]) -> Iterator[EnvironmentCheck]:
    """The default model, which ships but for its language model, and what it was trained on."""
    data = TrainingData.from_csv(MINI / TRAINING_DATA, MINI.name)
    found = f"{MINI}; {len(data.recordings)} recordings that it was trained on are known"
    base = next(finding for finding in weights if finding.subject == f"weights {MINI_BASE}")
    if base.state == "ok":
        yield EnvironmentCheck("model mini", "ok", f"ready, the default model, in {found}")
    else:
        yield EnvironmentCheck(
            "model mini", "problem", f"not usable, in {found}", f"See {base.subject}."
        )
    if not sounds:
        return
    clips = clips_of(sounds)
    known = clips_among(clips, data)
    state: Literal["ok", "note"] = "note" if known else "ok"
    told = training_notes({MINI.name: known}, len(clips))
    mend = "Numbers on these clips say nothing about new sounds: leave them out." if known else ""
    none = f"none of {len(clips)} clips was used to train mini"
    yield EnvironmentCheck("sounds", state, told[0] if told else none, mend)


def _large_models() -> EnvironmentCheck:
    """Which published LTUs would fit here; their weights are on no hub to look for."""
    where, there = _room()
    told = []
    for ltu in PUBLISHED:
        fitting = [p for p in PRECISIONS if ltu.gibibytes(p) + SPARE_GIB <= there]
        told.append(f"{ltu.name} {f'as {fitting[0]}' if fitting else 'does not fit'}")
    mend = 'Optional: --model "ltu:LTU-7B" says which files its authors publish, and where.'
    return EnvironmentCheck("published LTUs", "note", f"in the {where}: {', '.join(told)}", mend)


def _room() -> tuple[str, float]:
    """Where a model would be, and how much memory there is, in GiB; 0 where it is not known."""
    try:
        import torch
    except (ImportError, OSError):  # told by _accelerator
        return "memory", 0.0
    if torch.cuda.is_available():
        return "accelerator", torch.cuda.get_device_properties(0).total_memory / 2**30
    return "memory", _gibibytes() or 0.0


def _versions() -> Iterator[EnvironmentCheck]:
    for library in _LIBRARIES:
        try:
            yield EnvironmentCheck(library, "ok", version(library))
        except PackageNotFoundError:
            mend = "pip install --force-reinstall audioprobe"
            yield EnvironmentCheck(library, "problem", "not installed", mend)


def _backends() -> Iterator[EnvironmentCheck]:
    for backend in available():
        if backend.missing:
            lacking = f"not usable: {', '.join(backend.missing)} missing"
            yield EnvironmentCheck(
                f"{backend.kind} {backend.name}", "note", lacking, backend.install
            )


def _weights() -> Iterator[EnvironmentCheck]:
    for name, carrier in WEIGHTS_PACKAGES.items():
        try:
            weights = find(name)
        except AudioProbeError as error:
            yield EnvironmentCheck(f"weights {name}", "problem", str(error))
            continue
        if weights is None:
            mend = f"{carrier.install}, or connect to the hub."
            yield EnvironmentCheck(f"weights {name}", "problem", "not on this machine", mend)
        elif any(weights.folder.glob("*.gguf")) and find_spec("gguf") is None:
            found = f"{weights.folder} ({weights.origin}), but the package gguf is not installed"
            yield EnvironmentCheck(
                f"weights {name}", "problem", found, "pip install 'audioprobe[gguf]'"
            )
        else:
            found = f"{weights.folder} ({weights.origin}); licence {carrier.licence}"
            yield EnvironmentCheck(f"weights {name}", "ok", found)
    for name, user in ((AST_AUDIOSET, "AST()"), (CLAP_UNFUSED, "CLAP()")):
        weights = find(name)
        if weights is None:
            mend = f"Only needed for {user}: connect to the hub once, or name a folder."
            yield EnvironmentCheck(f"weights {name}", "note", "not on this machine", mend)
        else:
            yield EnvironmentCheck(f"weights {name}", "ok", f"{weights.folder} ({weights.origin})")
    n_cached = sum(1 for _ in Path(constants.HF_HUB_CACHE).glob("models--*"))
    yield EnvironmentCheck(
        "Hugging Face cache", "ok", f"{n_cached} models in {constants.HF_HUB_CACHE}"
    )


def _hub() -> EnvironmentCheck:
    host = urlsplit(constants.ENDPOINT).hostname or ""
    needless = "Weights in a folder, in the cache or in packages work without it."
    if constants.HF_HUB_OFFLINE:
        return EnvironmentCheck("model hub", "note", "switched off by HF_HUB_OFFLINE", needless)
    try:
        socket.create_connection((host, 443), timeout=_TIMEOUT_S).close()
    except OSError as error:
        return EnvironmentCheck(
            "model hub", "note", f"not reached ({type(error).__name__})", needless
        )
    return EnvironmentCheck("model hub", "ok", "reached")


def _key() -> EnvironmentCheck:
    if os.environ.get("OPENAI_API_KEY"):
        return EnvironmentCheck("OPENAI_API_KEY", "ok", "set (its value is never shown)")
    mend = "Only needed for text-embedding-ada-002 and other remote embedders."
    return EnvironmentCheck("OPENAI_API_KEY", "note", "not set", mend)
