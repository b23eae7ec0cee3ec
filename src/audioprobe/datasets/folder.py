"""Your own clips, in a folder per label."""

from pathlib import Path

from audioprobe.audio.search import READABLE_SUFFIXES, find_sounds, is_hidden, is_sound
from audioprobe.datasets.in_memory import InMemoryDataset
from audioprobe.datasets.manifest import ALL
from audioprobe.errors import InvalidInputError
from audioprobe.types import Clip


class Folder(InMemoryDataset):
    """Sound files in folders that are named as what is heard in them: `sounds/crow/one.wav`.

    Hidden files and folders are no clips; links are followed. A link to a file that is gone, and a
    sound that must be converted before it can be read (.m4a, .wma, ...), is in `missing`; a sound
    that lies in no folder of a label is in `left_out`.

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
        found = {name: self._clips(parent) for name, parent in parents.items()}
        clips = {name: items for name, items in found.items() if items}
        layout = "SPLIT/LABEL/FILE" if splits else "LABEL/FILE"
        if not clips:
            raise InvalidInputError(
                f"{self.folder}: no sound file lies at {layout} below it. Known are "
                f"{', '.join(sorted(READABLE_SUFFIXES))}."
            )
        heard = {label for items in clips.values() for clip in items for label in clip.labels or ()}
        above = [self.folder, *parents.values()] if splits else [self.folder]
        stray = [path for place in above for path in sorted(place.iterdir()) if _is_file(path)]
        left_out = {self._id(path): f"does not lie at {layout}" for path in stray}
        super().__init__(self.folder.name, clips, sorted(heard), left_out=left_out)

    def _id(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()

    def _clips(self, parent: Path) -> list[Clip]:
        return [
            Clip(id=self._id(path), path=path, labels=(label.name,))
            for label in _folders(parent)
            for path in find_sounds(label)
        ]


def _is_file(path: Path) -> bool:
    return is_sound(path) and not is_hidden(path.name) and not path.is_dir()


def _folders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.iterdir() if path.is_dir() and not is_hidden(path.name))
