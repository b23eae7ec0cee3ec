"""FSD50K: 51,197 clips with 200 classes of AudioSet's ontology (Fonseca et al. 2022)."""

import json
from pathlib import Path

from audioprobe.datasets.cells import (
    choice_of,
    identifier_of,
    refuse_case_variants,
    refuse_repeated,
    text_of,
)
from audioprobe.datasets.in_memory import InMemoryDataset
from audioprobe.errors import InvalidInputError
from audioprobe.io.tables import TableRow, read_rows
from audioprobe.types import Clip

_TABLES = {"dev": ("fname", "labels", "split"), "eval": ("fname", "labels")}
_UPLOADERS = "FSD50K.metadata/{}_clips_info_FSD50K.json"


class FSD50K(InMemoryDataset):
    """Splits are "train", "val" and "eval"; the group is the uploader, where the metadata is there.

    Labels are propagated to their parents, as published. Their names are those of the tables with
    "_and_" read as ", ", AudioSet's own way to list what belongs together.

    Args:
        folder: with `FSD50K.ground_truth`, `FSD50K.dev_audio`, `FSD50K.eval_audio` and, for groups,
            `FSD50K.metadata`.

    Raises:
        InvalidInputError: if a table is not there or is another one, or a cell is not as published
            (names the row).
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).expanduser()
        clips: dict[str, list[Clip]] = {"train": [], "val": [], "eval": []}
        for part, columns in _TABLES.items():
            uploaders = self._uploaders(part)
            rows = read_rows(self.folder / "FSD50K.ground_truth" / f"{part}.csv", columns)
            refuse_repeated(rows, "fname")
            for row in rows:
                split = choice_of(row, "split", ("train", "val")) if part == "dev" else part
                clips[split].append(self._clip(part, row, uploaders))
        heard = {label for items in clips.values() for clip in items for label in clip.labels or ()}
        refuse_case_variants(heard, "labels", "Use the tables as published.")
        super().__init__("FSD50K", clips, sorted(heard))

    def _clip(self, part: str, row: TableRow, uploaders: dict[str, str]) -> Clip:
        name = identifier_of(row, "fname")
        names = (label.strip() for label in text_of(row, "labels").split(","))
        return Clip(
            id=name,
            path=self.folder / f"FSD50K.{part}_audio" / f"{name}.wav",
            labels=tuple(label_name(label) for label in names if label),
            group=uploaders.get(name),
        )

    def _uploaders(self, part: str) -> dict[str, str]:
        """By clip; none where the metadata was not unpacked."""
        path = self.folder / _UPLOADERS.format(part)
        if not path.is_file():
            return {}
        try:
            entries = json.loads(path.read_text(encoding="utf-8"))
            return {name: str(entry["uploader"]) for name, entry in entries.items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvalidInputError(f"{path}: not FSD50K's information on clips.") from error


def label_name(name: str) -> str:
    """As one reads it: "Accelerating_and_revving_and_vroom" is "Accelerating, revving, vroom"."""
    return name.replace("_and_", ", ").replace("_", " ")
