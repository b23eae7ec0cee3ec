"""The 22 real recordings (CC0) that ship with the library.

They are meant for trying out the library, not for evaluating models. `recordings/README.md`
describes them.
"""

import csv
import hashlib
from pathlib import Path

from audioprobe.datasets.in_memory import InMemoryDataset
from audioprobe.types import Clip, ComponentInfo

FOLDER = Path(__file__).parent.parent / "recordings"
_TABLE = FOLDER / "recordings.csv"
_SPLIT = "all"


class Recordings(InMemoryDataset):
    """The shipped recordings: 22 clips with one of 14 labels each, in the split "all".

    The group of a clip is its author.
    """

    folder = FOLDER
    """Folder of the audio files."""

    def __init__(self) -> None:
        with _TABLE.open(encoding="utf-8", newline="") as stream:
            clips = [
                Clip(
                    id=row["file"],
                    path=FOLDER / row["file"],
                    labels=(row["label"],),
                    group=row["author"],
                )
                for row in csv.DictReader(stream)
            ]
        labels = dict.fromkeys(label for clip in clips for label in clip.labels or ())
        super().__init__("audioprobe recordings", {_SPLIT: clips}, tuple(labels))

    @property
    def info(self) -> ComponentInfo:
        """Name of the data set, and hash of its table."""
        revision = hashlib.sha256(_TABLE.read_bytes()).hexdigest()[:16]
        return ComponentInfo("dataset", self._name, revision)

    def clips(self, split: str = _SPLIT) -> tuple[Clip, ...]:
        """Return all clips, in the order of the table.

        Raises:
            InvalidInputError: if `split` is not "all".
        """
        return super().clips(split)
