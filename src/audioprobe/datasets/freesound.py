"""Published data sets of recordings from Freesound: ESC-50, UrbanSound8K and FSD50K."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from audioprobe.datasets.in_memory import InMemoryDataset, refuse_case_variants
from audioprobe.errors import InvalidInputError
from audioprobe.io.table_row import TableRow, refuse_repeated
from audioprobe.io.tables import read_rows
from audioprobe.parsing import parse_json
from audioprobe.types import Clip

_FSD50K_TABLES = {"dev": ("fname", "labels", "split"), "eval": ("fname", "labels")}


class ESC50(InMemoryDataset):
    """ESC-50 (Piczak 2015): 2,000 clips of 5 s in 50 classes.

    The splits are the five folds, "fold-1" to "fold-5". The group of a clip is its source
    recording.

    Args:
        folder: published folder with `meta/esc50.csv` and `audio/`.
        esc10: whether to use only the ten classes of ESC-10, whose licence allows commercial use.

    Raises:
        InvalidInputError: if the table is missing or invalid (the message names the row), or if no
            clip is selected.
    """

    def __init__(self, folder: str | Path, *, esc10: bool = False) -> None:
        self.folder = Path(folder).expanduser()
        columns = ("filename", "fold", "category", "esc10", "src_file")
        rows = _unique_rows(self.folder / "meta" / "esc50.csv", columns)
        rows = [row for row in rows if not esc10 or row.flag("esc10")]
        audio = self.folder / "audio"
        clips, labels = _clips_by_fold(
            rows,
            lambda row: audio / row.text("filename"),
            name="filename",
            label="category",
            group="src_file",
        )
        super().__init__("ESC-50", clips, labels, options={"esc10": esc10})


class UrbanSound8K(InMemoryDataset):
    """UrbanSound8K (Salamon et al. 2014): 8,732 clips of up to 4 s in 10 classes.

    The splits are the ten folds, "fold-1" to "fold-10"; the authors ask users not to change the
    folds. The group of a clip is its source recording.

    Args:
        folder: published folder with `metadata/UrbanSound8K.csv` and `audio/fold1` to
            `audio/fold10`.
        foreground: whether to use only clips that are annotated as foreground sounds.

    Raises:
        InvalidInputError: if the table is missing or invalid (the message names the row), or if no
            clip is selected.
    """

    def __init__(self, folder: str | Path, *, foreground: bool = False) -> None:
        self.folder = Path(folder).expanduser()
        columns = ("slice_file_name", "fsID", "salience", "fold", "class")
        rows = _unique_rows(self.folder / "metadata" / "UrbanSound8K.csv", columns)
        rows = [row for row in rows if not foreground or row.integer("salience") == 1]
        audio = self.folder / "audio"
        clips, labels = _clips_by_fold(
            rows,
            lambda row: audio / f"fold{row.integer('fold')}" / row.text("slice_file_name"),
            name="slice_file_name",
            label="class",
            group="fsID",
        )
        super().__init__("UrbanSound8K", clips, labels, options={"foreground": foreground})


class FSD50K(InMemoryDataset):
    """FSD50K (Fonseca et al. 2022): 51,197 clips with 200 classes of AudioSet's ontology.

    The splits are "train", "val" and "eval". The group of a clip is its uploader; without the
    folder `FSD50K.metadata`, clips have no group. A clip has all parents of its labels, as
    published. Label names are those of AudioSet: "Accelerating, revving, vroom".

    Args:
        folder: published folder with `FSD50K.ground_truth`, `FSD50K.dev_audio`, `FSD50K.eval_audio`
            and optionally `FSD50K.metadata`.

    Raises:
        InvalidInputError: if a table is missing or invalid. The message names the row.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).expanduser()
        clips: dict[str, list[Clip]] = {"train": [], "val": [], "eval": []}
        for part, columns in _FSD50K_TABLES.items():
            uploaders = _fsd50k_uploaders(self.folder, part)
            path = self.folder / "FSD50K.ground_truth" / f"{part}.csv"
            for row in _unique_rows(path, columns):
                split = row.choice("split", ("train", "val")) if part == "dev" else part
                name = row.identifier("fname")
                labels = (label.strip() for label in row.text("labels").split(","))
                clips[split].append(
                    Clip(
                        id=name,
                        path=self.folder / f"FSD50K.{part}_audio" / f"{name}.wav",
                        labels=tuple(
                            label.replace("_and_", ", ").replace("_", " ")
                            for label in labels
                            if label
                        ),
                        group=uploaders.get(name),
                    )
                )
        names = {label for items in clips.values() for clip in items for label in clip.labels or ()}
        refuse_case_variants(names, "labels", "Use the tables as published.")
        super().__init__("FSD50K", clips, sorted(names))


def _unique_rows(path: Path, columns: Sequence[str]) -> list[TableRow]:
    """Return the rows of a published table; raise if a value occurs twice in the first column."""
    rows = read_rows(path, columns)
    refuse_repeated(rows, columns[0])
    return rows


def _clips_by_fold(
    rows: Iterable[TableRow],
    path_of: Callable[[TableRow], Path],
    *,
    name: str,
    label: str,
    group: str,
) -> tuple[dict[str, list[Clip]], list[str]]:
    """Return the clips of each fold, keyed by "fold-1", "fold-2" etc., and the sorted labels.

    `name`, `label` and `group` are the columns with file name, label and source recording.
    """
    clips: dict[int, list[Clip]] = {}
    for row in rows:
        clip = Clip(
            id=row.text(name),
            path=path_of(row),
            labels=(row.text(label).lower().replace("_", " "),),
            group=row.identifier(group),
        )
        clips.setdefault(row.integer("fold"), []).append(clip)
    labels = {label for items in clips.values() for clip in items for label in clip.labels or ()}
    return {f"fold-{number}": clips[number] for number in sorted(clips)}, sorted(labels)


def _fsd50k_uploaders(folder: Path, part: str) -> dict[str, str]:
    """Return the uploader of each clip in a part of FSD50K, keyed by clip id.

    Return {} if the metadata file does not exist.
    """
    path = folder / "FSD50K.metadata" / f"{part}_clips_info_FSD50K.json"
    if not path.is_file():
        return {}
    try:
        entries = parse_json(path.read_text(encoding="utf-8"))
        return {name: str(entry["uploader"]) for name, entry in entries.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInputError(
            f"{path}: expected the published metadata of FSD50K, with an uploader for each clip "
            f"({error!r}). Download this file again."
        ) from error
