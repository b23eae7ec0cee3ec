"""The 22 real recordings that ship with the library: CC0, Freesound by way of Sonic Pi.

`recordings/README.md` says what they are good for (trying things) and what not (judging models).
"""

import csv
import hashlib
from pathlib import Path

from audioprobe.errors import InvalidInputError
from audioprobe.types import Clip, ComponentInfo

FOLDER = Path(__file__).parent.parent / "recordings"
TABLE = "recordings.csv"
SPLIT = "all"


class Recordings:
    """A data set of one split, "all": 22 clips, 14 labels, one label per clip."""

    def __init__(self) -> None:
        with (FOLDER / TABLE).open(encoding="utf-8", newline="") as stream:
            self._rows = list(csv.DictReader(stream))

    @property
    def folder(self) -> Path:
        """Where the sound files are."""
        return FOLDER

    @property
    def info(self) -> ComponentInfo:
        """Name, and a hash of the table."""
        revision = hashlib.sha256((FOLDER / TABLE).read_bytes()).hexdigest()[:16]
        return ComponentInfo("dataset", "audioprobe recordings", revision)

    @property
    def labels(self) -> tuple[str, ...]:
        """The 14 labels, in the order of the table."""
        return tuple(dict.fromkeys(row["label"] for row in self._rows))

    @property
    def splits(self) -> tuple[str, ...]:
        """Only one: there is too little to split."""
        return (SPLIT,)

    def clips(self, split: str = SPLIT) -> tuple[Clip, ...]:
        """The clips, in the order of the table; the author is the group.

        Raises:
            InvalidInputError: for a split other than "all".
        """
        if split != SPLIT:
            raise InvalidInputError(f"The recordings have the split {SPLIT!r}, got {split!r}.")
        return tuple(
            Clip(
                id=row["file"],
                path=FOLDER / row["file"],
                labels=(row["label"],),
                group=row["author"],
            )
            for row in self._rows
        )
