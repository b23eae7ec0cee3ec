"""Sounds that the questions of a probe refer to: clips, windows, silence, noise, spoken words."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from audioprobe.audio.windowing import Windowing, read_waveform
from audioprobe.errors import AudioReadError
from audioprobe.types import Clip, Waveform

SILENCE, NOISE = "(silence)", "(noise)"
_RATE = 16_000
_NOISE_RMS = 0.05  # of full scale: about as loud as a quiet recording


def sounds_by_key(
    clips: Sequence[Clip],
    spoken: Mapping[str, Waveform],
    windowing: Windowing,
    seed: int,
    n_windows: int = 0,
) -> dict[str, Callable[[], Waveform]]:
    """Return a function that loads each sound of a probe, keyed by `ProbeQuestion.audio`.

    Args:
        clips: clips.
        spoken: recordings of spoken words, keyed by `ProbeQuestion.audio`.
        windowing: how clips are read; its length is not "windows".
        seed: seed of the noise.
        n_windows: number of windows of each clip; 0 means none.
    """
    sounds: dict[str, Callable[[], Waveform]] = {SILENCE: _silence, NOISE: partial(_noise, seed)}
    sounds |= {key: partial(_same, waveform) for key, waveform in spoken.items()}
    sounds |= {
        window_key(clip.id, number, n_windows): partial(_window, clip, windowing, number, n_windows)
        for clip in clips
        for number in range(n_windows)
    }
    return sounds | {clip.id: partial(read_waveform, clip, windowing) for clip in clips}


def window_key(clip: str, number: int, n_windows: int) -> str:
    """Return `ProbeQuestion.audio` of a window of a clip; windows are numbered from 0."""
    return f"(window {number + 1} of {n_windows}) {clip}"


def _window(clip: Clip, windowing: Windowing, number: int, n_windows: int) -> Waveform:
    """Read a clip, divide its audio into `n_windows` equal parts, and return one of them."""
    waveform = read_waveform(clip, windowing)
    size = waveform.samples.size
    if size < n_windows:
        raise AudioReadError(
            f"{clip.id}: expected at least {n_windows} samples, one per window, got {size}."
        )
    begin, end = size * number // n_windows, size * (number + 1) // n_windows
    return Waveform(waveform.samples[begin:end], waveform.sample_rate)


def _silence() -> Waveform:
    return Waveform(np.zeros(10 * _RATE, np.float32), _RATE)


def _noise(seed: int) -> Waveform:
    samples = np.random.default_rng(seed).normal(0, _NOISE_RMS, 10 * _RATE)
    return Waveform(samples.astype(np.float32), _RATE)


def _same(waveform: Waveform) -> Waveform:
    return waveform
