"""Similarity of two sounds at an offset, by the correlation of their waveforms."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft, next_fast_len, rfft
from scipy.ndimage import uniform_filter1d

from audioprobe.audio.fingerprints import (
    HOP,
    RATE_HZ,
    ComparableSound,
    Float32Array,
)
from audioprobe.types import BoolArray

Complex64Array: TypeAlias = npt.NDArray[np.complex64]

_MAX_BLOCKS = round(0.6 * RATE_HZ / HOP)  # compared part, 0.6 s
_MIN_BLOCKS = 4  # 64 ms; clicks are shorter
_MARGIN = 2 * HOP  # maximum error of the offset in samples
_MIN_LEVEL = 0.001  # 30 dB below the loudest block
_WHITENING = 0.7  # 0: spectra as they are; 1: flat spectra
_MIN_SIMILARITY = 0.3  # for lower values, no other spectra are tried
_MIN_BETWEEN = 0.35  # lower values are not interpolated between samples
_TOLERANCE = 3  # samples between the peaks with partly and fully flat spectra
_SMOOTH_HZ = 60.0
_LOW_HZ = 80.0
_FLOOR = 1e-4  # 40 dB below the maximum of the spectrum


@dataclass(frozen=True, slots=True)
class Alignment:
    """Two sounds at the offset with the highest correlation.

    Attributes:
        similarity: from 0 to 1.
        offset: position in the second sound minus position in the first, in samples at 8 kHz.
        n_independent: number of independent values in the compared part: 2 * length in seconds *
            bandwidth in Hz. If it is low (400 for 0.6 s of a low tone with a bandwidth of 330 Hz),
            similar waveforms are frequent.
    """

    similarity: float
    offset: int
    n_independent: float


def aligned_similarity(
    first: ComparableSound, second: ComparableSound, offset: int
) -> Alignment | None:
    """Return the similarity of two sounds at about an offset.

    The loudest common part of up to 0.6 s is compared: the normalised cross-correlation of the
    waveforms after both were filtered so that their spectra are flatter. Without this filter, low
    tones dominate, and two strokes of one drum have a correlation of up to 0.9. A copy is similar
    with any filter, other sounds are not: if the spectra are flat, the correlation of two strokes
    is near 0, and that of a copy is lower by up to 30 %. So the similarity is the minimum of three
    values: the correlation with partly flat spectra, with the original spectra, and with flat
    spectra divided by 0.7. The sign is ignored, because the polarity of a copy may be inverted.

    Args:
        first: a sound.
        second: the other sound.
        offset: position in `second` minus position in `first`, in rows of the fingerprint; the
            true offset may differ by up to two rows (256 samples).

    Returns:
        The alignment; None if the common part is silent or shorter than 64 ms, such as a click.
    """
    part = _common_part(first.powers, second.powers, offset)
    if part is None:
        return None
    start, n = part
    template = first.samples[start : start + n].astype(np.float32)
    window = np.zeros(n + 2 * _MARGIN, np.float32)
    begin = start + offset * HOP - _MARGIN
    available = second.samples[max(0, begin) : begin + window.size]
    window[max(0, -begin) :][: available.size] = available
    spectra = _Spectra.of(template, window)
    similarity, best = _highest_correlation(*spectra.whitened(_WHITENING))
    if similarity >= _MIN_SIMILARITY:
        original = _correlation_near(template, window, best)
        flat = _correlation_near(*spectra.whitened(1.0), best)
        similarity = min(similarity, original, flat / _WHITENING)
    n_independent = 2 * n / RATE_HZ * spectra.bandwidth()
    return Alignment(min(1.0, similarity), offset * HOP + best - _MARGIN, n_independent)


def _highest_correlation(template: Float32Array, window: Float32Array) -> tuple[float, int]:
    """Return the highest normalised correlation without its sign, and its position in the window.

    Positions where the window is 30 dB below its loudest part have low values.
    """
    n = template.size
    size = next_fast_len(window.size, real=True)
    product = np.conj(rfft(template, size)) * rfft(window, size)
    correlation = np.abs(irfft(product, size)[: window.size - n + 1])
    energy = np.concatenate([[0.0], np.cumsum(np.square(window, dtype=np.float64))])
    energies = energy[n:] - energy[:-n]
    norms = np.sqrt(np.maximum(energies, energies.max() * 1e-3) * np.sum(template**2, dtype=float))
    if not norms.max() > 0:
        return 0.0, 0
    best = int((correlation / norms).argmax())
    highest = float(correlation[best] / norms[best])
    if highest >= _MIN_BETWEEN:
        highest = max(highest, _correlation_near(template, window, best, tolerance=1))
    return highest, best


def _correlation_near(
    template: Float32Array, window: Float32Array, position: int, tolerance: int = _TOLERANCE
) -> float:
    """Return the highest normalised correlation within some samples of a position in the window.

    Positions between two samples are included (steps of a quarter): the delay of a copy is rarely a
    whole number of samples.
    """
    n = template.size
    begin = max(0, position - tolerance)
    part = window[begin : position + n + tolerance]
    energy = float(np.sum(np.square(window[position : position + n], dtype=np.float64)))
    norm = np.sqrt(energy * np.sum(template**2, dtype=float))
    if not norm > 0:
        return 0.0
    size = next_fast_len(part.size, real=True)
    product = np.conj(rfft(template, size)) * rfft(part, size)
    center = position - begin
    delays = center + np.arange(-4 * tolerance, 4 * tolerance + 1) / 4
    turns = np.outer(delays, np.arange(product.size) / size)
    correlation = 2 * (np.exp(2j * np.pi * turns) @ product).real / size
    return float(np.abs(correlation).max() / norm)


def _common_part(first: Float32Array, second: Float32Array, offset: int) -> tuple[int, int] | None:
    """Return start (in the first sound) and length of the loudest part of both, in samples.

    Its first and last block are within 30 dB of its loudest block in both sounds. None if it is too
    short.

    Args:
        first: power of each block of the first sound.
        second: power of each block of the second sound.
        offset: block in the second sound minus block in the first sound.
    """
    begin, end = max(0, -offset), min(first.size, second.size - offset)
    if end - begin < _MIN_BLOCKS:
        return None
    powers = (first[begin:end], second[begin + offset : end + offset])
    if not min(power.max() for power in powers) > 0:
        return None
    level = np.minimum(powers[0] / powers[0].max(), powers[1] / powers[1].max())
    n = min(level.size, _MAX_BLOCKS)
    total = np.concatenate([[0.0], np.cumsum(level, dtype=np.float64)])
    start = int((total[n:] - total[:-n]).argmax())
    level = level[start : start + n]
    audible = np.flatnonzero(level > _MIN_LEVEL * level.max())
    if not audible.size:
        return None
    n = int(audible[-1] - audible[0] + 1)
    if n < _MIN_BLOCKS:
        return None
    return (begin + start + int(audible[0])) * HOP, n * HOP


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Spectra:
    """Spectra of two signals, and the power to which both are flattened.

    Attributes:
        sizes: length of each signal in samples.
        size: length of the Fourier transform.
        spectra: spectrum of each signal.
        power: product of both smoothed power spectra, whose maxima are 1.
        is_low: whether a frequency is below 80 Hz, where hum and offsets are.
        n_smooth: number of frequencies over which spectra are smoothed, 60 Hz.
    """

    sizes: tuple[int, int]
    size: int
    spectra: tuple[Complex64Array, Complex64Array]
    power: Float32Array
    is_low: BoolArray
    n_smooth: int

    @classmethod
    def of(cls, first: Float32Array, second: Float32Array) -> "_Spectra":
        size = next_fast_len(max(first.size, second.size), real=True)
        spectra = (
            np.asarray(rfft(first, size), np.complex64),
            np.asarray(rfft(second, size), np.complex64),
        )
        n_smooth = max(3, round(_SMOOTH_HZ * size / RATE_HZ))
        power = np.ones(spectra[0].size, np.float32)
        for spectrum in spectra:
            smooth = uniform_filter1d(np.square(np.abs(spectrum)), n_smooth)
            power *= np.maximum(smooth / max(float(smooth.max()), 1e-30), _FLOOR)
        is_low = np.fft.rfftfreq(size, 1 / RATE_HZ) < _LOW_HZ
        return cls(
            sizes=(first.size, second.size),
            size=size,
            spectra=spectra,
            power=power,
            is_low=is_low,
            n_smooth=n_smooth,
        )

    def whitened(self, exponent: float) -> tuple[Float32Array, Float32Array]:
        """Return both signals after the same filter; an exponent of 1 gives flat spectra."""
        gain = self._gain(exponent)
        signals = [np.asarray(irfft(s * gain, self.size), np.float32) for s in self.spectra]
        return signals[0][: self.sizes[0]], signals[1][: self.sizes[1]]

    def bandwidth(self) -> float:
        """Return the bandwidth in Hz of what both partly whitened signals have in common.

        A spectrum with the same power at all its frequencies has the bandwidth that it occupies.
        """
        common = np.abs(self.spectra[0]) * np.abs(self.spectra[1])
        common *= self._gain(_WHITENING) ** 2
        common = uniform_filter1d(common, self.n_smooth)
        total = float(np.sum(np.square(common, dtype=np.float64)))
        hertz_per_bin = RATE_HZ / self.size
        return (
            float(np.sum(common, dtype=np.float64)) ** 2 / total * hertz_per_bin if total else 0.0
        )

    def _gain(self, exponent: float) -> Float32Array:
        gain: Float32Array = self.power ** np.float32(-exponent / 4)
        gain[self.is_low] = 0
        return gain
