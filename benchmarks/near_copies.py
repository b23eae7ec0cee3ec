"""Share of changed copies of recordings that `near_copies` finds, for each change.

The recordings are those that ship with the library, or 300 of the packages of `fetch-sounds`:
python benchmarks/near_copies.py sounds/
"""

import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from audioprobe import DebianSounds
from audioprobe.audio.windowing import read_waveform
from audioprobe.datasets import Recordings, near_copies
from audioprobe.types import Clip, Waveform

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.changed_audio import Samples, encoded, resampled

Change = Callable[[Samples, int], tuple[Samples, int]]

N_CLIPS = 300


def coded(samples: Samples, rate: int, kind: str, subtype: str) -> tuple[Samples, int]:
    """Return samples with a peak of 0.5 after lossy coding."""
    loudest = max(float(np.abs(samples).max()), 1e-9)
    return encoded(0.5 / loudest * samples, rate, kind, subtype)


def noisy(samples: Samples, rate: int) -> tuple[Samples, int]:
    """Return samples with white noise 30 dB below them."""
    noise = np.random.default_rng(0).normal(size=samples.size).astype(np.float32)
    return samples + noise * np.sqrt(np.mean(samples**2)) * np.float32(10 ** (-30 / 20)), rate


def cut(samples: Samples, rate: int, start: float, end: float) -> tuple[Samples, int]:
    """Return samples without these shares of the start and the end."""
    return samples[round(start * samples.size) : round((1 - end) * samples.size)], rate


def faded(samples: Samples, rate: int) -> tuple[Samples, int]:
    """Return samples that are faded in for 10 % and out for 30 % of their length."""
    position = np.linspace(0, 1, samples.size)
    gain = np.minimum(1, np.minimum(position / 0.1, (1 - position) / 0.3))
    return samples * gain.astype(np.float32), rate


CHANGES: dict[str, Change] = {
    "level": lambda x, rate: (np.float32(0.1) * x, rate),
    "8 kHz": lambda x, rate: resampled(x, rate, 8000),
    "22.05 kHz": lambda x, rate: resampled(x, rate, 22_050),
    "48 kHz": lambda x, rate: resampled(x, rate, 48_000),
    "Ogg Vorbis": lambda x, rate: coded(x, rate, "OGG", "VORBIS"),
    "MP3 at 22.05 kHz": lambda x, rate: coded(*resampled(x, rate, 22_050), "MP3", "MPEG_LAYER_III"),
    "0.3 s of silence before": lambda x, rate: (np.pad(x, (round(0.3 * rate), 0)), rate),
    "noise at 30 dB": noisy,
    "30 % of the end cut": lambda x, rate: cut(x, rate, 0, 0.3),
    "10 % of both ends cut": lambda x, rate: cut(x, rate, 0.1, 0.1),
    "fade": faded,
}


def recordings(folder: str | None) -> Sequence[Clip]:
    """Return the shipped recordings, or some of the recordings in a folder of `fetch-sounds`."""
    if folder is None:
        return Recordings().clips()
    sounds = DebianSounds(Path(folder), doubtful=True)
    clips = [c for split in sounds.splits for c in sounds.clips(split) if ".rendered/" not in c.id]
    return random.Random(0).sample(clips, min(N_CLIPS, len(clips)))


def main() -> None:
    """Print the share of copies that were found for each change."""
    originals = recordings(sys.argv[1] if len(sys.argv) > 1 else None)
    for name, change in CHANGES.items():
        copies = []
        for clip in originals:
            waveform = read_waveform(clip)
            samples, rate = change(np.array(waveform.samples), waveform.sample_rate)
            copies.append(Clip(id=f"copy of {clip.id}", waveform=Waveform(samples, rate)))
        parts = {c.id: "original" for c in originals} | {c.id: "copy" for c in copies}
        start = time.process_time()
        result = near_copies([*originals, *copies], parts=parts)
        seconds = time.process_time() - start
        pairs = {frozenset((pair.first, pair.second)) for pair in result.pairs}
        expected = {frozenset((c.id, f"copy of {c.id}")) for c in originals}
        n_pairs = len(pairs & expected)
        print(
            f"{name}: {n_pairs} of {len(expected)} copies ({n_pairs / len(expected):.1%}), "
            f"{len(pairs - expected)} other pairs, {seconds:.0f} s"
        )


if __name__ == "__main__":
    main()
