"""UrbanSound8K: 8,732 excerpts in 10 classes (Salamon et al. 2014), in its published layout."""

from pathlib import Path

from audioprobe.datasets.cells import (
    identifier_of,
    refuse_repeated,
    text_of,
    whole_of,
)
from audioprobe.datasets.in_memory import InMemoryDataset
from audioprobe.io.tables import TableRow, read_rows
from audioprobe.types import Clip

_COLUMNS = ("slice_file_name", "fsID", "salience", "fold", "class")
_FOREGROUND = 1


class UrbanSound8K(InMemoryDataset):
    """Splits are the ten folds, "fold-1" to "fold-10", which its authors ask never to be shuffled.

    The group is the recording on Freesound that an excerpt was cut from.

    Args:
        folder: with `metadata/UrbanSound8K.csv` and `audio/fold1` and so on.
        foreground: only excerpts whose source is in the foreground, by its annotators.

    Raises:
        InvalidInputError: if the table is not there or is another one, a cell is not as published
            (names the row), or no clip is left.
    """

    def __init__(self, folder: str | Path, *, foreground: bool = False) -> None:
        self.folder = Path(folder).expanduser()
        rows = read_rows(self.folder / "metadata" / "UrbanSound8K.csv", _COLUMNS)
        refuse_repeated(rows, "slice_file_name")
        rows = [row for row in rows if not foreground or whole_of(row, "salience") == _FOREGROUND]
        folds = sorted({whole_of(row, "fold") for row in rows})
        clips: dict[str, list[Clip]] = {f"fold-{fold}": [] for fold in folds}
        for row in rows:
            clips[f"fold-{whole_of(row, 'fold')}"].append(self._clip(row))
        labels = sorted({_label(row) for row in rows})
        super().__init__("UrbanSound8K", clips, labels, options={"foreground": foreground})

    def _clip(self, row: TableRow) -> Clip:
        name = text_of(row, "slice_file_name")
        return Clip(
            id=name,
            path=self.folder / "audio" / f"fold{whole_of(row, 'fold')}" / name,
            labels=(_label(row),),
            group=identifier_of(row, "fsID"),
        )


def _label(row: TableRow) -> str:
    return text_of(row, "class").lower().replace("_", " ")
