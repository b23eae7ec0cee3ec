"""Rendering of MIDI files with the program fluidsynth."""

import re
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import soundfile

from audioprobe.errors import RenderingError
from audioprobe.types import FloatArray

RATE_HZ = 32_000

_TIMEOUT_S = 120  # a phrase takes less than a second
_SILENCE = 1e-4  # peak below which a rendering has no sound
_SETTINGS = {
    "audio.file.type": "wav",
    "audio.file.format": "float",
    "synth.sample-rate": RATE_HZ,
    "synth.gain": 0.5,
    "synth.dynamic-sample-loading": 1,  # reads only the samples of one program
    "synth.chorus.active": 0,
    "synth.reverb.active": 1,  # a small room; the defaults differ between versions
    "synth.reverb.room-size": 0.2,
    "synth.reverb.damp": 0.4,
    "synth.reverb.level": 0.3,
    "synth.reverb.width": 0.5,
}


def missing_tools() -> tuple[str, ...]:
    """Return advice for each program or package that rendering needs and that is not installed."""
    missing = []
    if shutil.which("fluidsynth") is None:
        missing.append("the program fluidsynth (apt install fluidsynth)")
    if find_spec("mido") is None:
        missing.append("the package mido (pip install 'audioprobe[soundfonts]')")
    return tuple(missing)


def fluidsynth_version() -> str:
    """Return the version of the installed program, such as "2.3.1".

    Raises:
        RenderingError: if the program fails or states no version.
    """
    output = _run("--version")
    version = re.search(r"(\d+(?:\.\d+)+)", output)
    if version is None:
        raise RenderingError(
            f"Expected a version of fluidsynth, got {output[:100]!r}. Install it again: apt "
            "install --reinstall fluidsynth"
        )
    return version[1]


def render_midi(soundfont: Path, midi: bytes) -> FloatArray:
    """Return the audio of a MIDI file, played with a soundfont.

    Args:
        soundfont: file in the format SF2.
        midi: content of a standard MIDI file.

    Returns:
        Samples at 32 kHz, shape (n,), scaled to a peak of 0.5.

    Raises:
        RenderingError: if fluidsynth fails, or writes no audio or silence.
    """
    with tempfile.TemporaryDirectory() as folder:
        piece, out, empty = (
            Path(folder, "piece.mid"),
            Path(folder, "out.wav"),
            Path(folder, "empty"),
        )
        piece.write_bytes(midi)
        empty.touch()  # instead of the user's configuration
        settings = [f"--option={name}={value}" for name, value in _SETTINGS.items()]
        message = _run(
            *("-n", "-i", "-q", f"--load-config={empty}", f"--fast-render={out}"),
            *(*settings, str(soundfont.absolute()), str(piece)),
        )
        try:
            samples, rate = soundfile.read(out, dtype="float32", always_2d=True)
        except (OSError, soundfile.LibsndfileError) as error:
            raise RenderingError(
                f"fluidsynth wrote no audio: {_last_line(message)}. Install version 2.3 or later."
            ) from error
    mono = samples.mean(axis=1)
    peak = float(np.abs(mono).max(initial=0.0))
    if rate != RATE_HZ or not peak > _SILENCE:  # NaN is not greater
        raise RenderingError(
            f"Expected sound at {RATE_HZ} Hz from fluidsynth, got a peak of {peak:.2g} at {rate} "
            f"Hz: {_last_line(message)}. Install version 2.3 or later."
        )
    scaled: FloatArray = mono * np.float32(0.5 / peak)
    return scaled


def _run(*arguments: str) -> str:
    """Return the output of fluidsynth, with errors."""
    program = shutil.which("fluidsynth")
    if program is None:
        raise RenderingError("fluidsynth was not found. Install it with: apt install fluidsynth")
    try:
        process = subprocess.run(  # noqa: S603 - the caller has checked the hash of the soundfont
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            timeout=_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RenderingError(
            f"fluidsynth failed: {error}. Install version 2.3 or later."
        ) from error
    if process.returncode:
        raise RenderingError(
            f"fluidsynth failed with exit status {process.returncode}: "
            f"{_last_line(process.stdout)}. Install version 2.3 or later."
        )
    return process.stdout


def _last_line(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return (lines or ["no message"])[-1].rstrip(".")
