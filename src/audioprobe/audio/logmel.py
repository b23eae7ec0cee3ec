"""Whisper's log-mel spectrogram, as used by LTU-AS.

Source: Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", 2022, and its
published code. The mel filters come from the package transformers.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor
from transformers.audio_utils import mel_filter_bank

from audioprobe.audio.filterbank import fit_length
from audioprobe.audio.resample import resample
from audioprobe.errors import UnsupportedInputError
from audioprobe.types import Waveform

SAMPLE_RATE = 16_000
WINDOW = 400  # samples, 25 ms
HOP = 160  # samples, 10 ms
N_MELS = 80
_FLOOR = 1e-10
_RANGE = 8.0  # range of power below the maximum that is kept, in decades


def log_mel(waveform: Waveform, n_frames: int) -> Tensor:
    """Return the log-mel spectrogram of a waveform of any rate, shape (N_MELS, n_frames).

    Small values are raised to a floor, which depends on the maximum of the whole waveform.
    Afterwards the spectrogram is cropped or padded with zeros to `n_frames`, as in LTU-AS.

    Raises:
        UnsupportedInputError: if the waveform is shorter than half a window.
    """
    samples = resample(waveform, SAMPLE_RATE).samples
    if samples.size <= WINDOW // 2:
        raise UnsupportedInputError(
            f"Expected more than {WINDOW / SAMPLE_RATE * 500} ms of audio (half a window), got "
            f"{samples.size / SAMPLE_RATE * 1000:.1f} ms."
        )
    window = torch.hann_window(WINDOW)
    audio = torch.from_numpy(samples.copy())
    spectrum = torch.stft(audio, WINDOW, HOP, window=window, return_complex=True)
    power = spectrum[:, :-1].abs() ** 2
    log = (_filters() @ power).clamp(min=_FLOOR).log10()
    log = torch.maximum(log, log.max() - _RANGE)
    return fit_length(((log + 4.0) / 4.0).T, n_frames).T


@cache
def _filters() -> Tensor:
    """Return Slaney's mel filters, shape (N_MELS, WINDOW / 2 + 1)."""
    n_bins, high = WINDOW // 2 + 1, SAMPLE_RATE / 2
    bank = mel_filter_bank(
        n_bins, N_MELS, 0.0, high, SAMPLE_RATE, norm="slaney", mel_scale="slaney"
    )
    return torch.from_numpy(bank.T.astype(np.float32))
