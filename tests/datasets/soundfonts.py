"""A small soundfont, a small patch, and replacements of the program fluidsynth."""

import shutil
import struct
from pathlib import Path

import numpy as np
import pytest

RATE = 16_000
needs_fluidsynth = pytest.mark.skipif(
    shutil.which("fluidsynth") is None, reason="fluidsynth is not here"
)

# Like fluidsynth: copies a file to the path of --fast-render=PATH, or fails.
FLUIDSYNTH = """#!/bin/sh
if [ "$1" = --version ]; then echo "FluidSynth runtime version 9.8.7"; exit 0; fi
if [ -e "{folder}/trouble" ]; then echo "fluidsynth: error: no such preset"; exit 3; fi
for argument; do
    case "$argument" in --fast-render=*) out="${{argument#*=}}";; esac
done
[ ! -e "{folder}/audio.wav" ] || cp "{folder}/audio.wav" "$out"
"""


def tone(hertz: float, seconds: float, rate: int = RATE) -> np.ndarray:
    """Return a tone with a peak of 0.8 as 16-bit integers."""
    wave = 0.8 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    return np.round(wave * 32767).astype("<i2")


def patch(*samples: tuple[float, np.ndarray], modes: int = 1, rate: int = RATE) -> bytes:
    """Return a Gravis patch of samples, each with its root frequency in hertz."""
    header = b"GF1PATCH110\0ID#000002\0".ljust(82, b"\0") + struct.pack("<B46x", 1)
    instrument = struct.pack("<22xB40x", 1)
    layer = struct.pack("<6xB40x", len(samples))
    content = header + instrument + layer
    for root, values in samples:
        data = values.tobytes()
        content += struct.pack("<8xI8xH8xI", len(data), rate, round(root * 1000))
        content += struct.pack("<21xB40x", modes) + data
    return content


def soundfont(hertz: float, key: int) -> bytes:
    """Return a soundfont in the format SF2 whose only preset, 0, plays a tone at a key."""
    values = tone(hertz, 2.0)

    def chunk(name: bytes, content: bytes) -> bytes:
        return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)

    def rows(form: str, *values: tuple[object, ...]) -> bytes:
        return b"".join(struct.pack(f"<{form}", *row) for row in values)

    parts = {
        b"phdr": rows("20sHHHIII", (b"tone", 0, 0, 0, 0, 0, 0), (b"EOP", 0, 0, 1, 0, 0, 0)),
        b"pbag": rows("HH", (0, 0), (1, 0)),
        b"pmod": bytes(10),
        b"pgen": rows("HH", (41, 0), (0, 0)),  # 41: its instrument
        b"inst": rows("20sH", (b"tone", 0), (b"EOI", 1)),
        b"ibag": rows("HH", (0, 0), (1, 0)),
        b"imod": bytes(10),
        b"igen": rows("HH", (53, 0), (0, 0)),  # 53: its sample
        b"shdr": rows(
            "20sIIIIIBbHH",
            (b"tone", 0, len(values), 8, len(values) - 8, RATE, key, 0, 0, 1),
            (b"EOS", 0, 0, 0, 0, 0, 0, 0, 0, 0),
        ),
    }
    info = chunk(b"ifil", struct.pack("<HH", 2, 1)) + chunk(b"isng", b"EMU8000\0")
    body = b"sfbk" + chunk(b"LIST", b"INFO" + info + chunk(b"INAM", b"tone\0\0"))
    body += chunk(b"LIST", b"sdta" + chunk(b"smpl", values.tobytes() + bytes(92)))
    body += chunk(
        b"LIST", b"pdta" + b"".join(chunk(name, content) for name, content in parts.items())
    )
    return chunk(b"RIFF", body)


def install_fluidsynth(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a replacement of fluidsynth first on the search path; `folder` controls it."""
    folder.mkdir(exist_ok=True)
    script = folder / "fluidsynth"
    script.write_text(FLUIDSYNTH.format(folder=folder))
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
