"""Synthetic signals by formula, bit for bit those that the golden data were made of."""

import numpy as np
import torch


def sweep(
    n_samples: int, rate: int, start: float, end: float, gain: float, *, offset: float = 0.0
) -> torch.Tensor:
    """A sine whose pitch rises evenly from `start` to `end` Hz."""
    time = np.arange(n_samples) / rate
    cycles = start * time + (end - start) / (2 * n_samples / rate) * time * time
    return torch.from_numpy((offset + gain * np.sin(2 * np.pi * cycles)).astype(np.float32))


def noise_5s() -> torch.Tensor:
    """White noise, five seconds at 16 kHz."""
    values = np.random.RandomState(0).standard_normal(80_000) * 0.1
    return torch.from_numpy(values.astype(np.float32))


def chirp_10s() -> torch.Tensor:
    """Ten seconds at 16 kHz, from 50 to 7,500 Hz."""
    return sweep(160_000, 16_000, 50, 7500, 0.5)
