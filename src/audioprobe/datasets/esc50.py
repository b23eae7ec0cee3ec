"""ESC-50: 2,000 clips of 5 s in 50 classes (Piczak 2015), in its published layout."""

from pathlib import Path

from audioprobe.datasets.cells import (
    flag_of,
    identifier_of,
    refuse_repeated,
    text_of,
    whole_of,
)
from audioprobe.datasets.in_memory import InMemoryDataset
from audioprobe.io.tables import TableRow, read_rows
from audioprobe.types import Clip

_COLUMNS = ("filename", "fold", "category", "esc10", "src_file")


class ESC50(InMemoryDataset):
    """Splits are the five folds, "fold-1" to "fold-5"; the group is the source on Freesound.

    Args:
        folder: with `meta/esc50.csv` and `audio/`.
        esc10: only the ten classes of ESC-10, which are free for commercial use.

    Raises:
        InvalidInputError: if the table is not there or is another one, a cell is not as published
            (names the row), or no clip is left.
    """

    def __init__(self, folder: str | Path, *, esc10: bool = False) -> None:
        self.folder = Path(folder).expanduser()
        rows = read_rows(self.folder / "meta" / "esc50.csv", _COLUMNS)
        refuse_repeated(rows, "filename")
        rows = [row for row in rows if not esc10 or flag_of(row, "esc10")]
        folds = sorted({whole_of(row, "fold") for row in rows})
        clips: dict[str, list[Clip]] = {f"fold-{fold}": [] for fold in folds}
        for row in rows:
            clips[f"fold-{whole_of(row, 'fold')}"].append(self._clip(row))
        labels = sorted({_label(row) for row in rows})
        super().__init__("ESC-50", clips, labels, options={"esc10": esc10})

    def _clip(self, row: TableRow) -> Clip:
        name = text_of(row, "filename")
        return Clip(
            id=name,
            path=self.folder / "audio" / name,
            labels=(_label(row),),
            group=identifier_of(row, "src_file"),
        )


def _label(row: TableRow) -> str:
    return text_of(row, "category").lower().replace("_", " ")
