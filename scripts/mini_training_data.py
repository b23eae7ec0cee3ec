"""Write the table of the recordings that `mini` was trained on, into its folder.

A training of today writes it itself. Its recipe and the tables of `DebianSounds` say which these
are: those of the training packages with one sure label that is a concept.

Usage: audioprobe fetch-sounds --out SOUNDS; python scripts/mini_training_data.py SOUNDS
"""

import sys
from pathlib import Path

from audioprobe.audio.training_clips import recording_of
from audioprobe.datasets.debian import DebianSounds
from audioprobe.datasets.synthetic import RecordedPalette
from audioprobe.models.ltu.checkpoint import MINI
from audioprobe.small_ltu.curriculum import TRAIN
from audioprobe.training_data import TRAINING_DATA, TrainingData


def write(folder: Path) -> Path:
    """Write the table.

    Args:
        folder: of `audioprobe fetch-sounds`, with all training packages.
    """
    sounds = DebianSounds(folder)
    missing = sounds.missing_from(TRAIN)
    if missing:
        raise SystemExit(f"{len(missing)} recordings are missing, such as {next(iter(missing))}.")
    clips = sorted(RecordedPalette(sounds, TRAIN).clips, key=lambda clip: clip.id)
    found = [one for clip in clips if (one := recording_of(clip)) is not None]
    TrainingData(MINI.name, tuple(found)).to_csv(MINI / TRAINING_DATA)
    return MINI / TRAINING_DATA


if __name__ == "__main__":
    sys.stdout.write(f"wrote {write(Path(sys.argv[1]))}\n")
