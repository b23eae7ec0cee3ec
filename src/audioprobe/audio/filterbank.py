"""Kaldi's log-mel filter bank in PyTorch, with the settings of AST, CAV-MAE and LTU.

These models call `kaldi.fbank(htk_compat=True, use_energy=False, window_type="hanning",
num_mel_bins=128, dither=0.0, frame_shift=10)`; other parameters have Kaldi's default values.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from audioprobe.audio.transforms import resample
from audioprobe.errors import InvalidInputError, UnsupportedInputError
from audioprobe.types import Waveform

FRAME_LENGTH_MS = 25  # Kaldi's default
FRAME_SHIFT_MS = 10  # as in LTU and AST; also Kaldi's default
PREEMPHASIS = 0.97  # Kaldi's default
LOW_HZ = 20.0  # Kaldi's default; the upper limit is half the sample rate
LOG_FLOOR = float(np.finfo(np.float32).eps)  # its logarithm, -15.94, represents digital silence
BLOCK = 512  # frames per step; 1 MiB of float32 at 16 kHz, which fits into a CPU cache


@dataclass(frozen=True)
class FilterBank:
    """A mel filter bank that returns log-mel energies of 25 ms frames every 10 ms.

    Attributes:
        sample_rate: sample rate of the audio in Hz; 16 kHz for AST and LTU.
        n_mels: number of triangular filters, evenly spaced on the mel scale from 20 Hz to half the
            sample rate.

    Raises:
        InvalidInputError: if 10 ms are shorter than one sample, or if there is no filter.
    """

    sample_rate: int = 16_000
    n_mels: int = 128

    def __post_init__(self) -> None:
        if self.sample_rate < 1000 // FRAME_SHIFT_MS or self.n_mels < 1:
            raise InvalidInputError(
                f"A filter bank needs a sample rate of at least {1000 // FRAME_SHIFT_MS} Hz and at "
                f"least one filter, got {self.sample_rate} Hz and n_mels={self.n_mels}."
            )

    @property
    def frame_length(self) -> int:
        """Number of samples per frame; 400 at 16 kHz."""
        return self.sample_rate * FRAME_LENGTH_MS // 1000

    @property
    def frame_shift(self) -> int:
        """Number of samples between the starts of successive frames; 160 at 16 kHz."""
        return self.sample_rate * FRAME_SHIFT_MS // 1000

    @property
    def fft_length(self) -> int:
        """Smallest power of two that is at least the frame length; 512 at 16 kHz."""
        return 1 << (self.frame_length - 1).bit_length()

    def n_frames(self, n_samples: int) -> int:
        """Return the number of complete frames in `n_samples` samples (Kaldi's snip_edges)."""
        return max(0, 1 + (n_samples - self.frame_length) // self.frame_shift)

    def __call__(self, samples: npt.NDArray[np.float32] | Tensor) -> Tensor:
        """Return the natural logarithm of the mel energies of each frame.

        Args:
            samples: floats, usually in [-1, 1], shape (n_samples,) or (n_clips, n_samples).

        Returns:
            Tensor of float32, shape (n_frames, n_mels) or (n_clips, n_frames, n_mels); all values
            are at least ln(2**-23). The result for a clip does not depend on the other clips.

        Raises:
            UnsupportedInputError: if the audio is shorter than one frame.
            InvalidInputError: if the samples have another shape, or are integers.
        """
        waves = _as_waves(samples)
        n_samples = waves.shape[-1]
        if n_samples < self.frame_length:
            raise UnsupportedInputError(
                f"Audio of {n_samples} samples at {self.sample_rate} Hz is shorter than one frame "
                f"of {self.frame_length} samples ({FRAME_LENGTH_MS} ms)."
            )
        features = waves.new_empty(*waves.shape[:-1], self.n_frames(n_samples), self.n_mels)
        clips = zip(features.view(-1, *features.shape[-2:]), waves.view(-1, n_samples), strict=True)
        for rows, wave in clips:
            frames = wave.unfold(0, self.frame_length, self.frame_shift)
            for part, block in zip(rows.split(BLOCK), frames.split(BLOCK), strict=True):
                self._log_mel(block, out=part)
        return features

    def _log_mel(self, frames: Tensor, *, out: Tensor) -> None:
        """Write the log-mel energies of frames into `out`, shape (n_frames, n_mels)."""
        centred = frames - frames.mean(dim=1, keepdim=True)
        # Multiply, then subtract, as in the original: a fused operation would round differently
        # and change values near the floor. The first sample of a frame has no predecessor; this
        # does not matter, because the window is zero there.
        padded = frames.new_zeros(len(frames), self.fft_length)
        work = padded[:, : self.frame_length]
        torch.mul(centred[:, :-1], -PREEMPHASIS, out=work[:, 1:])
        work += centred
        work *= self._window
        squares = torch.view_as_real(torch.fft.rfft(padded)).flatten(1).square_()
        torch.mm(squares[:, ::2] + squares[:, 1::2], self._mel_matrix, out=out)
        out.clamp_(min=LOG_FLOOR).log_()

    @cached_property
    def _window(self) -> Tensor:
        """Symmetric Hann window, shape (frame_length,)."""
        return torch.hann_window(self.frame_length, periodic=False, dtype=torch.float32)

    @cached_property
    def _mel_matrix(self) -> Tensor:
        """Weights of the filters for a power spectrum, shape (fft_length / 2 + 1, n_mels)."""
        # All steps are in float32, as in Kaldi: low filters are narrower than a frequency bin, and
        # the weight of a bin at the edge of a filter is mostly rounding error.
        low, high = _mel(LOW_HZ), _mel(self.sample_rate / 2)
        edges = torch.arange(self.n_mels + 2, dtype=torch.float32) * (
            (high - low) / (self.n_mels + 1)
        )
        left, centre, right = (low + edges[n : n + self.n_mels, None] for n in range(3))
        bins = torch.arange(self.fft_length // 2, dtype=torch.float32)
        bins *= self.sample_rate / self.fft_length
        mels = 1127.0 * (1.0 + bins / 700.0).log()
        rising, falling = (mels - left) / (centre - left), (right - mels) / (right - centre)
        weights = torch.minimum(rising, falling).clamp_(min=0).T
        # In Kaldi, the bin at half the sample rate has weight 0.
        return torch.cat([weights, weights.new_zeros(1, self.n_mels)])


def _as_waves(samples: npt.NDArray[np.float32] | Tensor) -> Tensor:
    """Convert samples to a contiguous float32 tensor; raise for integers and other shapes."""
    if not isinstance(samples, Tensor):
        if samples.dtype.kind != "f":
            raise InvalidInputError(
                f"Expected samples as floats, usually in [-1, 1], got {samples.dtype}. Divide "
                "integers by their full scale (32768 for 16 bit) first."
            )
        # torch cannot share arrays that are read-only or have negative strides; these are copied.
        samples = torch.from_numpy(np.require(samples, np.float32, ["C", "W"]))
    if not samples.is_floating_point() or samples.ndim not in (1, 2):
        raise InvalidInputError(
            "Expected samples as floats of shape (n_samples,) or (n_clips, n_samples), got "
            f"{samples.dtype} of shape {tuple(samples.shape)}."
        )
    return samples.float().contiguous()


def _mel(hertz: float) -> float:
    """Convert a frequency in Hz to HTK's mel scale."""
    return 1127.0 * math.log1p(hertz / 700.0)


@dataclass(frozen=True)
class Spectrogram:
    """Function that computes the spectrogram that a model such as AST or LTU expects.

    Attributes:
        mean: value to subtract from the log-mel energies.
        scale: divisor, applied after the mean was subtracted.
        n_frames: number of frames of the model's input; frames are 10 ms apart.
        remove_mean: whether to subtract the mean of the waveform first, as in LTU's code. This only
            changes rounding, because the filter bank removes the mean of each frame.
        bank: the filter bank.
    """

    mean: float
    scale: float
    n_frames: int = 1024
    remove_mean: bool = False
    bank: FilterBank = FilterBank()

    def __call__(self, samples: npt.NDArray[np.float32] | Tensor) -> Tensor:
        """Return the spectrogram of samples at the sample rate of the filter bank.

        Longer audio is cropped. Shorter audio is padded with zeros before normalisation, as in the
        published code. After normalisation, padding has the value -mean / scale. For LTU, this is
        +1.133, while recorded silence (samples equal to 0) has the value -2.422.

        Args:
            samples: float32, shape (n_samples,) or (n_clips, n_samples).

        Returns:
            Tensor of float32, shape (n_frames, n_mels) or (n_clips, n_frames, n_mels).

        Raises:
            UnsupportedInputError: if the audio is shorter than one frame.
        """
        waves = _as_waves(samples)
        if self.remove_mean:
            # Unlike torch's sum, numpy's sum does not depend on the number of threads. The last
            # bits of the mean change values near the floor by up to 3e-3.
            waves = waves - torch.from_numpy(waves.numpy().mean(axis=-1, keepdims=True))
        last = (self.n_frames - 1) * self.bank.frame_shift + self.bank.frame_length
        features = fit_length(self.bank(waves[..., :last]), self.n_frames)
        return features.sub_(self.mean).div_(self.scale)

    def of(self, waveform: Waveform) -> Tensor:
        """Return the spectrogram of a waveform of any rate, shape (n_frames, n_mels).

        Raises:
            UnsupportedInputError: if the waveform is shorter than one frame.
        """
        seconds = self.n_frames * FRAME_SHIFT_MS / 1000 + 1
        head = waveform.samples[: int(seconds * waveform.sample_rate)]
        return self(resample(Waveform(head, waveform.sample_rate), self.bank.sample_rate).samples)


def fit_length(features: Tensor, n_frames: int) -> Tensor:
    """Crop a spectrogram at the end, or pad it with zeros.

    Args:
        features: shape (..., any number of frames, n_mels).
        n_frames: target number of frames.

    Returns:
        Tensor of shape (..., n_frames, n_mels); a view of `features` if it is not padded.
    """
    missing = n_frames - features.shape[-2]
    if missing <= 0:
        return features[..., :n_frames, :]
    return torch.nn.functional.pad(features, (0, 0, 0, missing))


# AST divides by twice the standard deviation (`norm_stats` and `target_length` in run.py and
# dataloader.py of YuanGongND/ast; ASTFeatureExtractor). CAV-MAE, whose encoder LTU uses, divides by
# the standard deviation (inference_batch.py, inference_gradio.py and the training collator of
# YuanGongND/ltu).
AST_AUDIOSET = Spectrogram(mean=-4.2677393, scale=2 * 4.5689974)
AST_ESC50 = Spectrogram(mean=-6.6268077, scale=2 * 5.358466, n_frames=512)
AST_SPEECH_COMMANDS = Spectrogram(mean=-6.845978, scale=2 * 5.5654526, n_frames=128)
LTU = Spectrogram(mean=-5.081, scale=4.4849, remove_mean=True)
