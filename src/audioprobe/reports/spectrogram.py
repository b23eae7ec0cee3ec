"""A sound as a small picture."""

import base64
import io

import numpy as np
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

from audioprobe.errors import needs_extra
from audioprobe.types import Float64Array, Waveform

with needs_extra("report"):
    from matplotlib import image

_HEIGHT, _WIDTH = 64, 240  # pixels
_RANGE_DB = 70.0  # below the loudest point everything is black
_WINDOW_SECONDS = 0.032


def spectrogram(waveform: Waveform) -> Float64Array:
    """Power in decibels below its loudest point, in [-70, 0]; silence is -70 throughout.

    Returns:
        Shape (n_frequencies, n_times), low frequencies first, linear up to half the sample rate.
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
    """The spectrogram as a PNG in a data URI, time to the right, high frequencies on top."""
    values = _resized(spectrogram(waveform))
    stream = io.BytesIO()
    image.imsave(
        stream, values, cmap="magma", vmin=-_RANGE_DB, vmax=0, origin="lower", format="png"
    )
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _resized(values: Float64Array) -> Float64Array:
    """The loudest point of each pixel: short calls stay visible."""
    rows, columns = (
        np.linspace(0, n, min(n, most) + 1).astype(np.int64)[:-1]
        for n, most in zip(values.shape, (_HEIGHT, _WIDTH), strict=True)
    )
    return np.maximum.reduceat(np.maximum.reduceat(values, rows, axis=0), columns, axis=1)
