"""ESC-50: 2,000 clips of 5 s in 50 classes (Piczak 2015), in its published layout."""

from pathlib import Path

from audioprobe.datasets.listed import Listed
from audioprobe.datasets.tables import read_rows
from audioprobe.types import Clip

_COLUMNS = ("filename", "fold", "category", "esc10", "src_file")


class ESC50(Listed):
    """Splits are the five folds, "fold-1" to "fold-5"; the group is the source on Freesound.

    Args:
        folder: with `meta/esc50.csv` and `audio/`.
        esc10: only the ten classes of ESC-10, which are free for commercial use.

    Raises:
        InvalidInputError: if the table is not there or is another one.
    """

    def __init__(self, folder: str | Path, *, esc10: bool = False) -> None:
        self.folder = Path(folder).expanduser()
        rows = read_rows(self.folder / "meta" / "esc50.csv", _COLUMNS)
        rows = [row for row in rows if not esc10 or row["esc10"] == "True"]
        clips: dict[str, list[Clip]] = {f"fold-{n}": [] for n in sorted({r["fold"] for r in rows})}
        for row in rows:
            clips[f"fold-{row['fold']}"].append(
                Clip(
                    id=row["filename"],
                    path=self.folder / "audio" / row["filename"],
                    labels=(row["category"].replace("_", " "),),
                    group=row["src_file"],
                )
            )
        labels = sorted({row["category"].replace("_", " ") for row in rows})
        super().__init__("ESC-50", clips, labels, options={"esc10": esc10})
