"""Fingerprints of sounds, and the search for parts of other sounds with a similar fingerprint.

A fingerprint has one row for every 16 ms: the differences between the log energies of neighbouring
frequency bands. It does not depend on the level. Bands end below 4 kHz, so that copies with a
sample rate of 8 kHz match, too. The loudest parts of each sound (queries of 0.16 s) are compared
with every part of every other sound, by the cosine of the rows. This costs one matrix product per
sound and has no index: it is meant for some thousands of short recordings, not for millions.

Fingerprints of music (Chromaprint, and landmarks of spectral peaks as in audfprint or Dejavu) need
several seconds of audio with many peaks. Most sound effects are shorter than a second.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.signal import butter, sosfilt

from audioprobe.audio.transforms import resample
from audioprobe.errors import UnsupportedInputError
from audioprobe.types import Waveform

Float32Array: TypeAlias = npt.NDArray[np.float32]
IntArray: TypeAlias = npt.NDArray[np.intp]

RATE_HZ = 8000
"""Sample rate of the compared sounds."""

HOP = 128
"""Samples between two rows of a fingerprint, 16 ms."""

PATCH = 10
"""Rows of a query, 0.16 s."""

MIN_SECONDS = 0.1
"""Minimum length of a sound in seconds."""

MAX_MATCHES = 50
"""Maximum number of sounds that match one query."""

_HIGH_PASS = butter(2, 80, "highpass", fs=RATE_HZ, output="sos")
_SILENCE = 1e-6  # 120 dB below full scale
_FRAME = 256  # samples, 32 ms
_BANDS_HZ = (120.0, 3900.0)
_N_BANDS = 20
_FLOOR = 1e-4  # energies 40 dB below the maximum of the sound, or less, count as silence
_N_QUERIES = 2  # per sound
_MIN_ENERGY = 1e-3  # of the energy of the sound, in a query
_MIN_COSINE = 0.6
_MAX_PATCHES = 4096  # per matrix product, to limit the memory
_MAX_QUERIES = 1024


@dataclass(frozen=True, slots=True, eq=False)
class ComparableSound:
    """A sound at 8 kHz, as the search and the comparison of waveforms need it.

    Attributes:
        samples: audio without frequencies below 80 Hz, where hum and offsets are; the maximum is 1.
            Stored as float16 to save memory, shape (n_samples,).
        powers: sum of the squared samples of each block of `HOP` samples; an incomplete last block
            is left out. Shape (n_samples // HOP,).
        fingerprint: see `fingerprint`.
        queries: first rows of the loudest parts of the fingerprint.
    """

    samples: npt.NDArray[np.float16]
    powers: Float32Array
    fingerprint: Float32Array
    queries: tuple[int, ...]

    @classmethod
    def from_waveform(cls, waveform: Waveform) -> "ComparableSound":
        """Convert a waveform.

        Raises:
            UnsupportedInputError: if the waveform is silent or shorter than `MIN_SECONDS`.
        """
        if waveform.duration < MIN_SECONDS:
            raise UnsupportedInputError(
                f"Expected at least {MIN_SECONDS} s of audio, got {waveform.duration:.4f} s."
            )
        samples = resample(waveform, RATE_HZ).samples.astype(np.float64)
        samples = sosfilt(_HIGH_PASS, samples - samples.mean())
        peak = float(np.abs(samples).max())
        if peak < _SILENCE:
            raise UnsupportedInputError("Expected sound, got silence.")
        stored = (samples / peak).astype(np.float16)
        restored = stored.astype(np.float32)
        n_blocks = stored.size // HOP
        powers = np.square(restored[: n_blocks * HOP]).reshape(n_blocks, HOP).sum(axis=1)
        return cls(stored, powers, fingerprint(restored), loudest_patches(restored))


@dataclass(frozen=True, slots=True)
class FingerprintMatch:
    """Two sounds with a similar part.

    Attributes:
        first: index of the first sound.
        second: index of the second sound, greater than `first`.
        offset: rows to add to a row of the first fingerprint to get the similar row of the second.
        cosine: similarity of the fingerprints, at most 1.
    """

    first: int
    second: int
    offset: int
    cosine: float


def fingerprint(samples: Float32Array) -> Float32Array:
    """Return the fingerprint of a sound; silence has a fingerprint of zeros.

    Args:
        samples: audio at 8 kHz, shape (n_samples,).

    Returns:
        Differences of log energies, shape (n_rows, n_bands - 1), with at least `PATCH` rows.
    """
    before = _FRAME // 2
    after = before + HOP + max(0, PATCH * HOP - samples.size)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(samples, (before, after)), _FRAME)
    window = np.hanning(_FRAME + 1)[:-1].astype(np.float32)
    spectra = np.fft.rfft(frames[::HOP] * window, axis=1)
    energies = np.square(np.abs(spectra)).astype(np.float32) @ _filters()
    loudest = float(energies.max())
    if loudest <= 0:
        return np.zeros((len(energies), _N_BANDS - 1), np.float32)
    return np.diff(np.log(np.maximum(energies, _FLOOR * loudest)), axis=1)


def _filters() -> Float32Array:
    """Return triangular filters, evenly spaced on the mel scale, shape (n_bins, n_bands)."""
    low, high = (2595 * np.log10(1 + hertz / 700) for hertz in _BANDS_HZ)
    centres = 700 * (10 ** (np.linspace(low, high, _N_BANDS + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(_FRAME, 1 / RATE_HZ)
    filters = [np.interp(bins, centres[k : k + 3], (0, 1, 0)) for k in range(_N_BANDS)]
    return np.stack(filters, axis=1).astype(np.float32)


def loudest_patches(samples: Float32Array) -> tuple[int, ...]:
    """Return the first rows of the loudest queries of a sound, which do not overlap.

    A quiet part (under 0.1 % of the energy of the sound) is not a query; silence has none.
    """
    energy = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    starts = np.arange(max(1, samples.size // HOP + 2 - PATCH)) * HOP
    ends = np.minimum(starts + PATCH * HOP, samples.size)
    patches = energy[ends] - energy[np.minimum(starts, samples.size)]
    rows: list[int] = []
    for _ in range(_N_QUERIES):
        row = int(patches.argmax())
        if patches[row] <= _MIN_ENERGY * energy[-1]:
            break
        rows.append(row)
        patches[max(0, row - PATCH + 1) : row + PATCH] = 0
    return tuple(rows)


def matches(
    sounds: Sequence[ComparableSound], parts: Sequence[int] | None = None
) -> list[FingerprintMatch]:
    """Return the matches between sounds, sorted by their indices and offsets.

    Each query matches at most `MAX_MATCHES` sounds, those with the highest cosine, each at the
    position with the highest cosine.

    Args:
        sounds: the sounds to compare.
        parts: part of each sound; sounds of the same part are not compared. None compares all.
    """
    fingerprints = [sound.fingerprint for sound in sounds]
    owners = np.repeat(np.arange(len(sounds)), [len(sound.queries) for sound in sounds])
    rows = np.array([row for sound in sounds for row in sound.queries], np.intp)
    labels = np.arange(len(sounds)) if parts is None else np.asarray(parts)
    cosines: dict[tuple[int, int, int], float] = {}
    for start in range(0, rows.size, _MAX_QUERIES):
        block = slice(start, start + _MAX_QUERIES)
        best, positions = _best_positions(fingerprints, owners[block], rows[block])
        best[labels[owners[block]][:, None] == labels[None, :]] = -1
        for query, sound in _highest(best):
            owner, offset = int(owners[block][query]), positions[query, sound] - rows[block][query]
            match = (owner, sound, offset) if owner < sound else (sound, owner, -offset)
            cosines[match] = max(float(best[query, sound]), cosines.get(match, -1))
    return [
        FingerprintMatch(first, second, int(offset), cosine)
        for (first, second, offset), cosine in sorted(cosines.items())
    ]


def _best_positions(
    fingerprints: Sequence[Float32Array], owners: IntArray, rows: IntArray
) -> tuple[Float32Array, IntArray]:
    """Return the highest cosine of each query in each sound, and its row in the sound.

    Both have the shape (n_queries, n_sounds).
    """
    patches = [
        fingerprints[n][row : row + PATCH].ravel() for n, row in zip(owners, rows, strict=True)
    ]
    queries = _normalised(np.stack(patches))
    best = np.full((len(rows), len(fingerprints)), -1, np.float32)
    positions = np.zeros(best.shape, np.intp)
    for n, sound in enumerate(fingerprints):
        views = np.lib.stride_tricks.sliding_window_view(sound, PATCH, axis=0).transpose(0, 2, 1)
        for start in range(0, len(views), _MAX_PATCHES):
            block = views[start : start + _MAX_PATCHES]
            cosines = queries @ _normalised(block.reshape(len(block), -1)).T
            row = cosines.argmax(axis=1)
            highest = np.take_along_axis(cosines, row[:, None], axis=1)[:, 0]
            is_better = highest > best[:, n]
            best[is_better, n] = highest[is_better]
            positions[is_better, n] = row[is_better] + start
    return best, positions


def _normalised(patches: Float32Array) -> Float32Array:
    """Return patches of shape (n_patches, n_values) divided by their norm; zeros stay zeros."""
    norms = np.linalg.norm(patches, axis=1, keepdims=True)
    normalised: Float32Array = patches / np.maximum(norms, np.float32(1e-6))
    return normalised


def _highest(cosines: Float32Array) -> list[tuple[int, int]]:
    """Return (query, sound) of the highest cosines of each row, if they are high enough."""
    n_sounds = cosines.shape[1]
    n = min(MAX_MATCHES, n_sounds)
    sounds = np.argpartition(-cosines, n - 1, axis=1)[:, :n]
    return [
        (query, int(sound))
        for query, row in enumerate(sounds)
        for sound in row
        if cosines[query, sound] >= _MIN_COSINE
    ]
