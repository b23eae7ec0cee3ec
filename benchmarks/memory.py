"""Peak memory over 10,000 clips against 500: sound streams, so it must hardly grow."""

import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import soundfile

from side_by_side import finish, report

FEW, MANY = 500, 10_000
SECONDS, RATE = 10, 16_000


def classify(path: Path, n_clips: int) -> None:
    """Caption and score one file under many names, by its loudness; print the peak in MiB."""
    from audioprobe import CaptionClassifier, KeywordScorer, TagCaptioner
    from audioprobe.types import Clip, ComponentInfo, FloatArray, Waveform

    class Loudness:
        info = ComponentInfo("encoder", "loudness")
        labels = phrases = ("a loud sound", "a soft sound")

        def tag(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
            for waveform in waveforms:
                level = float(np.sqrt(np.mean(waveform.samples**2)))
                yield np.array([min(1.0, level), 1 - min(1.0, level)])

    clips = [Clip(id=str(n), path=path) for n in range(n_clips)]
    CaptionClassifier(TagCaptioner(Loudness()), KeywordScorer())(clips, ["loud", "soft"])
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def peak(path: Path, n_clips: int) -> float:
    command = [sys.executable, __file__, str(path), str(n_clips)]
    return float(subprocess.run(command, check=True, capture_output=True).stdout)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.wav"
        noise = np.random.default_rng(0).uniform(-0.3, 0.3, SECONDS * RATE)
        soundfile.write(path, noise, RATE)
        few, many = peak(path, FEW), peak(path, MANY)
    sound = (MANY - FEW) * SECONDS * RATE * 4 / 2**20
    print(f"peak {few:.0f} MiB with {FEW} clips, {many:.0f} MiB with {MANY}")
    growth = max(many - few, 0.1)
    finish(report("sound that was heard against memory that was added", sound / growth, 100.0))


if __name__ == "__main__":
    if len(sys.argv) == 3:
        classify(Path(sys.argv[1]), int(sys.argv[2]))
    else:
        main()
