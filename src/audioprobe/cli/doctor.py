"""Check the environment, with advice for each problem."""

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
from audioprobe.models.ltu.shipped import MINI
from audioprobe.registry import available
from audioprobe.training_data import TRAINING_DATA, TrainingData, training_notes
from audioprobe.weights import (
    AST_AUDIOSET,
    CLAP_UNFUSED,
    MINI_BASE,
    WEIGHTS_PACKAGES,
    YAMNET,
    find,
)

_LIBRARIES = ("numpy", "torch", "transformers", "sentence-transformers", "soundfile", "openai")
_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class EnvironmentCheck:
    """Result of one check: a line of the report.

    Attributes:
        subject: what was checked.
        state: "ok", "note" (information) or "problem" (the demo cannot run).
        status: details to print, such as a version or a path.
        advice: what the user can do; "" if nothing.
    """

    subject: str
    state: Literal["ok", "note", "problem"]
    status: str
    advice: str = ""


def check_environment(
    *, use_network: bool = True, paths: Sequence[str] = ()
) -> tuple[EnvironmentCheck, ...]:
    """Check machine, versions, weights, backends, network and keys.

    Args:
        use_network: whether to try to connect to the model hub (3 s at most).
        paths: files and folders to compare with the recordings that `mini` was trained on.

    Raises:
        InvalidInputError: if a path does not exist.
    """
    weights = list(_weights())
    checks = [_machine(), _accelerator(), _memory(), *_versions(), *_mini(weights, paths)]
    checks += [*_backends(), *weights, _large_models()]
    checks += [
        _hub() if use_network else EnvironmentCheck("model hub", "note", "not checked (--offline)")
    ]
    return (*checks, _key())


def _machine() -> EnvironmentCheck:
    text = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return EnvironmentCheck("machine", "ok", f"{text}, Python {platform.python_version()}")


def _accelerator() -> EnvironmentCheck:
    try:
        import torch
    except (ImportError, OSError) as error:
        advice = "pip install --force-reinstall torch"
        return EnvironmentCheck(
            "accelerator", "problem", f"torch does not import ({error!s:.80})", advice
        )
    if torch.cuda.is_available():
        return EnvironmentCheck("accelerator", "ok", torch.cuda.get_device_name(0))
    return EnvironmentCheck(
        "accelerator", "note", "none that torch can use", "Everything runs on the CPU, slower."
    )


def _memory() -> EnvironmentCheck:
    total = _gibibytes()
    if total is None:
        return EnvironmentCheck("memory", "note", "unknown on this system")
    small = total < 4
    advice = "Close other programs before you load a large model." if small else ""
    return EnvironmentCheck("memory", "note" if small else "ok", f"{total:.0f} GiB", advice)


def _gibibytes() -> float | None:
    """Return the memory of the machine in GiB; None if unknown."""
    if not hasattr(os, "sysconf") or sys.platform == "darwin":
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _mini(weights: Sequence[EnvironmentCheck], paths: Sequence[str]) -> Iterator[EnvironmentCheck]:
    """Yield the checks of the default model, `mini`.

    The first check is whether its language model and its audio encoder are in `weights`. If `paths`
    are passed, the second check is whether `mini` was trained on recordings in them.
    """
    data = TrainingData.from_csv(MINI / TRAINING_DATA, MINI.name)
    status = f"{MINI}; {len(data.recordings)} recordings that it was trained on are known"
    required = (f"weights {MINI_BASE}", f"weights {YAMNET}")
    lacking = [c.subject for c in weights if c.subject in required and c.state != "ok"]
    if lacking:
        advice = f"See {' and '.join(lacking)}."
        yield EnvironmentCheck("model mini", "problem", f"not usable, in {status}", advice)
    else:
        yield EnvironmentCheck("model mini", "ok", f"ready, the default model, in {status}")
    if not paths:
        return
    clips = clips_of(paths)
    known = clips_among(clips, data)
    state: Literal["ok", "note"] = "note" if known else "ok"
    notes = training_notes({MINI.name: known}, len(clips))
    advice = "Results on these clips do not generalise: exclude these clips." if known else ""
    none = f"none of {len(clips)} clips was used to train mini"
    yield EnvironmentCheck("sounds", state, notes[0] if notes else none, advice)


def _large_models() -> EnvironmentCheck:
    """Return a note that states, for each published LTU, whether it fits into memory."""
    place, available_gib = _room()
    entries = []
    for ltu in PUBLISHED:
        fitting = [p for p in PRECISIONS if ltu.gibibytes(p) + SPARE_GIB <= available_gib]
        entries.append(f"{ltu.name} {f'as {fitting[0]}' if fitting else 'does not fit'}")
    advice = 'Optional: --model "ltu:LTU-7B" shows which files its authors publish, and where.'
    return EnvironmentCheck(
        "published LTUs", "note", f"in the {place}: {', '.join(entries)}", advice
    )


def _room() -> tuple[str, float]:
    """Return where a model would be loaded, "accelerator" or "memory", and its size in GiB.

    The size is 0.0 if it is unknown.
    """
    try:
        import torch
    except (ImportError, OSError):  # reported by _accelerator
        return "memory", 0.0
    if torch.cuda.is_available():
        return "accelerator", torch.cuda.get_device_properties(0).total_memory / 2**30
    return "memory", _gibibytes() or 0.0


def _versions() -> Iterator[EnvironmentCheck]:
    for library in _LIBRARIES:
        try:
            yield EnvironmentCheck(library, "ok", version(library))
        except PackageNotFoundError:
            advice = "pip install --force-reinstall audioprobe"
            yield EnvironmentCheck(library, "problem", "not installed", advice)


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
            advice = f"{carrier.install}, or connect to the hub."
            yield EnvironmentCheck(f"weights {name}", "problem", "not on this machine", advice)
        elif any(weights.folder.glob("*.gguf")) and find_spec("gguf") is None:
            status = f"{weights.folder} ({weights.origin}), but the package gguf is not installed"
            yield EnvironmentCheck(
                f"weights {name}", "problem", status, "pip install 'audioprobe[gguf]'"
            )
        else:
            status = f"{weights.folder} ({weights.origin}); licence {carrier.licence}"
            yield EnvironmentCheck(f"weights {name}", "ok", status)
    for name, user in ((AST_AUDIOSET, "AST()"), (CLAP_UNFUSED, "CLAP()")):
        weights = find(name)
        if weights is None:
            advice = f"Only needed for {user}: connect to the hub once, or name a folder."
            yield EnvironmentCheck(f"weights {name}", "note", "not on this machine", advice)
        else:
            yield EnvironmentCheck(f"weights {name}", "ok", f"{weights.folder} ({weights.origin})")
    n_cached = sum(1 for _ in Path(constants.HF_HUB_CACHE).glob("models--*"))
    yield EnvironmentCheck(
        "Hugging Face cache", "ok", f"{n_cached} models in {constants.HF_HUB_CACHE}"
    )


def _hub() -> EnvironmentCheck:
    host = urlsplit(constants.ENDPOINT).hostname or ""
    needless = "Not needed for weights in a folder, in the cache or in packages."
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
    advice = "Only needed for text-embedding-ada-002 and other remote embedders."
    return EnvironmentCheck("OPENAI_API_KEY", "note", "not set", advice)
