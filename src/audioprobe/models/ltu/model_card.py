"""Metadata in the folder of a converted LTU: the model card and the table of its training data.

A converted folder contains the weights of one model, written by `audioprobe convert` or
`save_adapter`. The model card (`ltu.json`) records the origin and configuration of the model.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from audioprobe import __version__
from audioprobe.audio.training_clips import recording_of
from audioprobe.errors import WeightsError
from audioprobe.io.json_codec import from_json, to_json
from audioprobe.models.causal_lm.loading import read_json
from audioprobe.models.ltu.network import LTUConfig
from audioprobe.training_data import TRAINING_DATA, TrainingData
from audioprobe.types import Clip

CARD = "ltu.json"  # its presence identifies a converted folder
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Origin:
    """The files that a model was made from.

    Attributes:
        checkpoint: name of the checkpoint file.
        sha256: hash of the checkpoint file.
        base: hub name of the LLaMA, or name of its folder.
        base_revision: hash of the base's files; "" if the checkpoint contains all weights.
    """

    checkpoint: str
    sha256: str
    base: str
    base_revision: str


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Description of the model in a converted folder.

    Attributes:
        format: version of the folder's layout.
        audioprobe: version of audioprobe that wrote the folder.
        origin: files that the model was made from.
        config: configuration of the network.
    """

    format: int
    audioprobe: str
    origin: Origin
    config: LTUConfig


def read_card(folder: Path) -> ModelCard | None:
    """Read the model card of a folder; return None if the folder has no card.

    Raises:
        WeightsError: if the card is damaged or has another format version.
    """
    path = folder / CARD
    if not path.is_file():
        return None
    content = read_json(path, "a folder written by `audioprobe convert`")
    if content.get("format") != FORMAT:
        raise WeightsError(
            f"{path}: format {content.get('format')!r}, but this version of audioprobe reads "
            f"format {FORMAT}. Convert the checkpoint again."
        )
    return from_json(ModelCard, path.read_text(encoding="utf-8"))


def write_card(folder: Path, origin: Origin, config: LTUConfig) -> None:
    """Write the model card of a folder."""
    card = ModelCard(FORMAT, __version__, origin, config)
    (folder / CARD).write_text(to_json(card) + "\n", encoding="utf-8")


def write_training_data(
    known: TrainingData | None, folder: Path, name: str, clips: Iterable[Clip]
) -> None:
    """Write a table of the recordings that a model was trained on, if there are any.

    Args:
        known: recordings used in earlier training; None if unknown.
        folder: folder of the model.
        name: name of the model.
        clips: further clips; clips that exist only in memory are omitted, because they have no
            file.

    Raises:
        AudioReadError: if a clip cannot be read.
    """
    recordings = [r for clip in clips if (r := recording_of(clip)) is not None]
    if known is not None or recordings:
        (known or TrainingData(name, ())).joined(recordings).to_csv(folder / TRAINING_DATA)


def read_training_data(folder: Path, name: str) -> TrainingData | None:
    """Read the table of a model's training recordings; return None if its folder has no table.

    Raises:
        InvalidInputError: if the table is damaged.
    """
    path = folder / TRAINING_DATA
    return TrainingData.from_csv(path, Path(name).stem) if path.is_file() else None
