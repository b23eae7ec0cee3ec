"""Draw the spectrogram of each synthetic source, and of real recordings for comparison.

Run: python examples/draw_synthetic_sources.py PICTURE.png

The recordings that ship with the library are the last ones, with a frame.
"""

import sys

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from audioprobe.audio.filterbank import LTU
from audioprobe.audio.windowing import read_waveform
from audioprobe.datasets.recordings import Recordings
from audioprobe.datasets.synthetic import SAMPLE_RATE, SOURCES
from audioprobe.types import Waveform

COLUMNS, SECONDS = 10, 5


def draw(axes: Axes, name: str, waveform: Waveform, *, real: bool) -> None:
    """Draw the filter bank features of LTU: time to the right, frequency upwards."""
    n_frames = round(100 * min(SECONDS, waveform.duration))
    axes.imshow(LTU.of(waveform)[:n_frames].T, origin="lower", aspect="auto", cmap="magma")
    axes.set_title(name, fontsize=8)
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set(color="#1f77b4" if real else "none", linewidth=2)


def main(picture: str) -> None:
    """Draw all sources and recordings into one picture file."""
    panels = []
    for name, render in SOURCES.items():
        samples = render(np.random.default_rng(3), SECONDS * SAMPLE_RATE)
        scaled = 0.5 * samples / np.abs(samples).max()
        panels.append((name, Waveform(scaled.astype(np.float32), SAMPLE_RATE), False))
    panels += [(clip.id, read_waveform(clip), True) for clip in Recordings().clips()]
    rows = -(-len(panels) // COLUMNS)
    figure = Figure(figsize=(2 * COLUMNS, 1.6 * rows), layout="constrained")
    axes = figure.subplots(rows, COLUMNS)
    for panel in axes.flat:
        panel.set_axis_off()
    for panel, (name, waveform, real) in zip(axes.flat, panels, strict=False):
        panel.set_axis_on()
        draw(panel, name, waveform, real=real)
    figure.savefig(picture, dpi=60)


if __name__ == "__main__":
    main(sys.argv[1])
