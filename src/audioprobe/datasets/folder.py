"""Your own clips, in a folder per label."""

from pathlib import Path

from audioprobe.audio.files import SUFFIXES
from audioprobe.datasets.listed import Listed
from audioprobe.datasets.manifest import ALL
from audioprobe.errors import InvalidInputError
from audioprobe.types import Clip


class Folder(Listed):
    """Sound files in folders that are named as what is heard in them: `sounds/crow/one.wav`.

    Args:
        folder: of the folders.
        splits: whether there is a folder per split above those of the labels:
            `sounds/test/crow/one.wav`.

    Raises:
        InvalidInputError: if it is no folder, or no sound file lies where one is expected.
    """

    def __init__(self, folder: str | Path, *, splits: bool = False) -> None:
        self.folder = Path(folder).expanduser()
        if not self.folder.is_dir():
            raise InvalidInputError(f"{self.folder}: expected a folder of folders with sounds.")
        parents = {p.name: p for p in _folders(self.folder)} if splits else {ALL: self.folder}
        clips = {name: self._clips(parent) for name, parent in parents.items()}
        heard = {label for items in clips.values() for clip in items for label in clip.labels or ()}
        if not heard:
            layout = "SPLIT/LABEL/FILE" if splits else "LABEL/FILE"
            raise InvalidInputError(
                f"{self.folder}: no sound file lies at {layout} below it. Known are "
                f"{', '.join(sorted(SUFFIXES))}."
            )
        super().__init__(self.folder.name, clips, sorted(heard))

    def _clips(self, parent: Path) -> list[Clip]:
        return [
            Clip(id=path.relative_to(self.folder).as_posix(), path=path, labels=(label.name,))
            for label in _folders(parent)
            for path in sorted(label.rglob("*"))
            if path.suffix.lower() in SUFFIXES and path.is_file()
        ]


def _folders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.iterdir() if path.is_dir() and path.name[0] != ".")
