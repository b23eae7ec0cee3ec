"""Spectrograms and audio for the clips of a report, as links or embedded data."""

import base64
import io
import os
from pathlib import Path
from urllib.parse import quote

import numpy as np
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

from audioprobe.audio.transforms import wav_bytes
from audioprobe.audio.windowing import read_waveform
from audioprobe.errors import AudioReadError, needs_extra
from audioprobe.types import Clip, Float64Array, Waveform

with needs_extra("report"):
    from matplotlib import image

SOUNDS = "sounds"
"""Name of the folder next to the page for clips that have no file."""

_HEIGHT, _WIDTH = 64, 240  # size of a spectrogram in pixels
_RANGE_DB = 70.0
_WINDOW_SECONDS = 0.032


class AudioClips:
    """Source of the spectrogram and the audio of clips, as URIs; each clip is read once.

    Args:
        folder: folder of the page; links are relative to this folder.
        embed: whether the page contains the audio itself instead of links to files.
    """

    def __init__(self, folder: Path, *, embed: bool = False) -> None:
        self._folder = folder.resolve()
        self._embed = embed
        self._uris: dict[Clip, tuple[str, str]] = {}

    def __call__(self, clip: Clip) -> tuple[str, str]:
        """Return the URIs of spectrogram and audio; ("", "") if the clip cannot be read."""
        if clip not in self._uris:
            self._uris[clip] = self._read(clip)
        return self._uris[clip]

    def _read(self, clip: Clip) -> tuple[str, str]:
        try:
            waveform = read_waveform(clip)
        except AudioReadError:  # the file was removed after the model had processed it
            return "", ""
        if not self._embed:
            return to_data_uri(waveform), self._link(clip)
        audio = base64.b64encode(wav_bytes(waveform)[0]).decode()
        return to_data_uri(waveform), f"data:audio/wav;base64,{audio}"

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
        return np.full(power.shape, -_RANGE_DB)
    decibels: Float64Array = 10 * np.log10(np.maximum(power / loudest, 10 ** (-_RANGE_DB / 10)))
    return decibels


def to_data_uri(waveform: Waveform) -> str:
    """Return the spectrogram as a PNG image in a data URI, high frequencies on top."""
    values = _downsampled(spectrogram(waveform))
    stream = io.BytesIO()
    image.imsave(
        stream, values, cmap="magma", vmin=-_RANGE_DB, vmax=0, origin="lower", format="png"
    )
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _downsampled(values: Float64Array) -> Float64Array:
    """Return the spectrogram reduced to at most 64 x 240 pixels.

    Each pixel is the maximum of its values, so that short sounds stay visible.
    """
    rows, columns = (
        np.linspace(0, n, min(n, most) + 1).astype(np.int64)[:-1]
        for n, most in zip(values.shape, (_HEIGHT, _WIDTH), strict=True)
    )
    return np.maximum.reduceat(np.maximum.reduceat(values, rows, axis=0), columns, axis=1)
