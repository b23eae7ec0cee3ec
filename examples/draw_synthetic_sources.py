"""Draw what each synthetic source sounds like, beside real recordings.

Run: python examples/draw_synthetic_sources.py PICTURE.png

Recordings that ship with the library stand at the end, framed, to compare with.
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
    """The filter bank that LTU hears by: time to the right, pitch upwards."""
    n_frames = round(100 * min(SECONDS, waveform.duration))
    axes.imshow(LTU.of(waveform)[:n_frames].T, origin="lower", aspect="auto", cmap="magma")
    axes.set_title(name, fontsize=8)
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set(color="#1f77b4" if real else "none", linewidth=2)


def main(picture: str) -> None:
    """Write the picture."""
    sounds = []
    for name, make in SOURCES.items():
        made = make(np.random.default_rng(3), SECONDS * SAMPLE_RATE)
        peak = 0.5 * made / np.abs(made).max()
        sounds.append((name, Waveform(peak.astype(np.float32), SAMPLE_RATE), False))
    sounds += [(clip.id, read_waveform(clip), True) for clip in Recordings().clips()]
    rows = -(-len(sounds) // COLUMNS)
    figure = Figure(figsize=(2 * COLUMNS, 1.6 * rows), layout="constrained")
    axes = figure.subplots(rows, COLUMNS)
    for place in axes.flat:
        place.set_axis_off()
    for place, (name, waveform, real) in zip(axes.flat, sounds, strict=False):
        place.set_axis_on()
        draw(place, name, waveform, real=real)
    figure.savefig(picture, dpi=60)


if __name__ == "__main__":
    main(sys.argv[1])
