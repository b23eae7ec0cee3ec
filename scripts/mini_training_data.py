"""Write the table of the recordings that "mini" was trained on into its folder.

`audioprobe train-ltu` now writes this table itself. The recordings are those of the training
packages with one certain label that is a concept.

Usage: audioprobe fetch-sounds --out SOUNDS; python scripts/mini_training_data.py SOUNDS
"""

import sys
from pathlib import Path

from audioprobe.audio.training_clips import recording_of
from audioprobe.datasets.debian import DebianSounds
from audioprobe.datasets.synthetic import RecordedPalette
from audioprobe.models.ltu.shipped import MINI
from audioprobe.small_ltu.curriculum import TRAIN
from audioprobe.training_data import TRAINING_DATA, TrainingData


def write(folder: Path) -> Path:
    """Write the table and return its path.

    Args:
        folder: of `audioprobe fetch-sounds`, with all training packages.
    """
    dataset = DebianSounds(folder)
    missing = dataset.missing_from(TRAIN)
    if missing:
        raise SystemExit(f"{len(missing)} recordings are missing, such as {next(iter(missing))}.")
    clips = sorted(RecordedPalette(dataset, TRAIN).clips, key=lambda clip: clip.id)
    recordings = [recording for clip in clips if (recording := recording_of(clip)) is not None]
    TrainingData(MINI.name, tuple(recordings)).to_csv(MINI / TRAINING_DATA)
    return MINI / TRAINING_DATA


if __name__ == "__main__":
    sys.stdout.write(f"wrote {write(Path(sys.argv[1]))}\n")
