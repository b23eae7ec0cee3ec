"""Spectrograms and audio for the clips of a report, as links or embedded data."""

import base64
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

from audioprobe.audio.transforms import wav_bytes
from audioprobe.audio.windowing import read_waveform
from audioprobe.errors import AudioReadError
from audioprobe.types import Clip, Float64Array, Waveform

SOUNDS = "sounds"
"""Name of the folder next to the page for clips that have no file."""

_HEIGHT, _WIDTH = 80, 280  # maximum size of a spectrogram in pixels; the width is even
RANGE_DB = 70.0
"""Range of a spectrogram in decibels below its maximum."""

_WINDOW_SECONDS = 0.032


@dataclass(frozen=True, slots=True)
class ClipMedia:
    """Spectrogram and audio of a clip.

    Attributes:
        picture: data URI of the spectrogram; "" if the clip cannot be read.
        sound: URI of the audio; "" if the clip cannot be read.
        seconds: duration of the clip.
        kilohertz: highest frequency of the spectrogram.
    """

    picture: str = ""
    sound: str = ""
    seconds: float = 0.0
    kilohertz: float = 0.0

    def as_json(self) -> dict[str, object]:
        """Return the attributes for the JSON data of a page."""
        return {
            "picture": self.picture,
            "sound": self.sound,
            "seconds": round(self.seconds, 3),
            "kilohertz": round(self.kilohertz, 3),
        }


class AudioClips:
    """Source of the spectrogram and the audio of clips; each clip is read once.

    Args:
        folder: folder of the page; links are relative to this folder.
        embed: whether the page contains the audio itself instead of links to files.
    """

    def __init__(self, folder: Path, *, embed: bool = False) -> None:
        self._folder = folder.resolve()
        self._embed = embed
        self._media: dict[Clip, ClipMedia] = {}

    def __call__(self, clip: Clip) -> ClipMedia:
        """Return spectrogram and audio of a clip; both are empty if it cannot be read."""
        if clip not in self._media:
            self._media[clip] = self._read(clip)
        return self._media[clip]

    def _read(self, clip: Clip) -> ClipMedia:
        try:
            waveform = read_waveform(clip)
        except AudioReadError:  # the file was removed after the model had processed it
            return ClipMedia()
        sound = self._embedded(waveform) if self._embed else self._link(clip)
        rate = waveform.sample_rate
        return ClipMedia(
            to_data_uri(waveform), sound, len(waveform.samples) / rate, rate / 2 / 1000
        )

    def _embedded(self, waveform: Waveform) -> str:
        return f"data:audio/wav;base64,{base64.b64encode(wav_bytes(waveform)[0]).decode()}"

    def _link(self, clip: Clip) -> str:
        """Return a relative link to the clip's file; a clip in memory is written first."""
        if clip.waveform is not None:
            name = f"{SOUNDS}/{clip.waveform.digest()[:16]}.wav"
            (self._folder / SOUNDS).mkdir(exist_ok=True)
            (self._folder / name).write_bytes(wav_bytes(clip.waveform)[0])
            return name
        assert clip.path is not None  # noqa: S101 - a clip has a waveform or a path
        path = quote(Path(os.path.relpath(clip.path.resolve(), self._folder)).as_posix())
        end = "" if clip.duration is None else f",{clip.start + clip.duration:g}"
        return f"{path}#t={clip.start:g}{end}" if clip.start or end else path


def spectrogram(waveform: Waveform) -> Float64Array:
    """Compute a power spectrogram in decibels relative to its maximum, from -70 to 0.

    Returns:
        Array of shape (n_frequencies, n_times): low frequencies first, on a linear scale up to half
        the sample rate. Silence is -70 everywhere.
    """
    size = max(16, round(_WINDOW_SECONDS * waveform.sample_rate))
    samples = waveform.samples.astype(np.float64)
    padded = np.pad(samples, (0, max(0, size - len(samples))))
    transform = ShortTimeFFT(hann(size), hop=size // 2, fs=waveform.sample_rate)
    power = transform.spectrogram(padded)
    loudest = float(power.max())
    if loudest <= 0:
        return np.full(power.shape, -RANGE_DB)
    decibels: Float64Array = 10 * np.log10(np.maximum(power / loudest, 10 ** (-RANGE_DB / 10)))
    return decibels


def to_data_uri(waveform: Waveform) -> str:
    """Return the spectrogram as a greyscale PNG image in a data URI, high frequencies on top.

    White is 70 dB below the maximum, black the maximum, in 16 steps.
    """
    values = _downsampled(spectrogram(waveform))[::-1]
    levels = np.round(-values / RANGE_DB * 15).astype(np.uint8)
    return f"data:image/png;base64,{base64.b64encode(_png(levels)).decode()}"


def _png(levels: npt.NDArray[np.uint8]) -> bytes:
    """Return a greyscale PNG image with 4 bits per pixel from levels in [0, 15], 0 for black."""
    height, width = levels.shape
    even = np.pad(levels, ((0, 0), (0, width % 2)))
    packed = (even[:, ::2] << 4) | even[:, 1::2]
    rows = np.pad(packed, ((0, 0), (1, 0))).tobytes()  # each row begins with 0: no filter

    def chunk(name: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 4, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows, 9)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _downsampled(values: Float64Array) -> Float64Array:
    """Return the spectrogram reduced to at most 80 x 280 pixels.

    Each pixel is the maximum of its values, so that short sounds stay visible.
    """
    rows, columns = (
        np.linspace(0, n, min(n, most) + 1).astype(np.int64)[:-1]
        for n, most in zip(values.shape, (_HEIGHT, _WIDTH), strict=True)
    )
    return np.maximum.reduceat(np.maximum.reduceat(values, rows, axis=0), columns, axis=1)
