"""The table of training data in the folder of a model."""

from collections.abc import Iterable
from pathlib import Path

from audioprobe.audio.training_clips import recording_of
from audioprobe.training_data import TRAINING_DATA, TrainingData
from audioprobe.types import Clip


def read_training_data(folder: Path, name: str) -> TrainingData | None:
    """The recordings that a model was trained on; None where its folder does not say.

    Args:
        folder: of the model.
        name: of the model.

    Raises:
        InvalidInputError: if the table is damaged.
    """
    path = folder / TRAINING_DATA
    return TrainingData.from_csv(path, Path(name).stem) if path.is_file() else None


def write_training_data(
    known: TrainingData | None, folder: Path, name: str, learned_from: Iterable[Clip]
) -> None:
    """Write the recordings that a model was trained on; no table where none is known.

    Args:
        known: what the model was trained on before.
        folder: of the model.
        name: of the model.
        learned_from: clips, besides these; sounds in memory have no file to be found by.

    Raises:
        AudioReadError: if a clip cannot be read.
    """
    learned = [one for clip in learned_from if (one := recording_of(clip)) is not None]
    if known is not None or learned:
        (known or TrainingData(name, ())).joined(learned).to_csv(folder / TRAINING_DATA)
