"""Data set of the 22 recordings (licence CC0) that ship with the library.

They are examples for trials, not for the evaluation of models. `recordings/README.md` describes
them.
"""

import hashlib
from pathlib import Path

from audioprobe.datasets.in_memory import ALL, InMemoryDataset
from audioprobe.io.tables import read_rows
from audioprobe.types import Clip, ComponentInfo

FOLDER = Path(__file__).parent.parent / "recordings"
_TABLE = FOLDER / "recordings.csv"


class Recordings(InMemoryDataset):
    """The shipped recordings: 22 clips in the split "all", each with one of 14 labels.

    The group of a clip is its author.
    """

    folder = FOLDER
    """Folder of the audio files."""

    def __init__(self) -> None:
        clips = [
            Clip(
                id=row["file"],
                path=FOLDER / row["file"],
                labels=(row["label"],),
                group=row["author"],
            )
            for row in read_rows(_TABLE)
        ]
        labels = dict.fromkeys(label for clip in clips for label in clip.labels or ())
        super().__init__("audioprobe recordings", {ALL: clips}, tuple(labels))

    @property
    def info(self) -> ComponentInfo:
        """Name of the data set, and hash of the table of recordings."""
        revision = hashlib.sha256(_TABLE.read_bytes()).hexdigest()[:16]
        return ComponentInfo("dataset", self._name, revision)

    def clips(self, split: str = ALL) -> tuple[Clip, ...]:
        """Return all clips, in the order of the table.

        Raises:
            InvalidInputError: if `split` is not "all".
        """
        return super().clips(split)
