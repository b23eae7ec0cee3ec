"""Data set with one folder of clips per label."""

from pathlib import Path

from audioprobe.audio.files import READABLE_SUFFIXES, find_sounds, is_hidden, is_sound
from audioprobe.datasets.in_memory import InMemoryDataset
from audioprobe.datasets.manifest import ALL
from audioprobe.errors import InvalidInputError
from audioprobe.types import Clip


class Folder(InMemoryDataset):
    """Audio files in folders that are named like their labels: `sounds/crow/one.wav`.

    Hidden files and folders are skipped; links are followed. Broken links, and files in formats
    that cannot be read without conversion (.m4a, .wma, ...), are listed in `missing`. Audio files
    outside the label folders are listed in `left_out`.

    Args:
        folder: folder that contains the label folders, or the split folders.
        splits: whether there is one more level of folders, one per split:
            `sounds/test/crow/one.wav`.

    Raises:
        InvalidInputError: if `folder` is not a folder, or contains no audio files in this layout.
    """

    def __init__(self, folder: str | Path, *, splits: bool = False) -> None:
        self.folder = Path(folder).expanduser()
        if not self.folder.is_dir():
            raise InvalidInputError(f"{self.folder}: expected a folder with one folder per label.")
        parents = {p.name: p for p in _subfolders(self.folder)} if splits else {ALL: self.folder}
        clips = {name: items for name, path in parents.items() if (items := self._clips(path))}
        layout = "SPLIT/LABEL/FILE" if splits else "LABEL/FILE"
        if not clips:
            raise InvalidInputError(
                f"{self.folder}: expected audio files in the layout {layout}, got none. Readable "
                f"suffixes are {', '.join(sorted(READABLE_SUFFIXES))}."
            )
        labels = {
            label for items in clips.values() for clip in items for label in clip.labels or ()
        }
        outside = [self.folder, *parents.values()] if splits else [self.folder]
        left_out = {
            self._id(path): f"not in the layout {layout}"
            for parent in outside
            for path in sorted(parent.iterdir())
            if is_sound(path) and not is_hidden(path.name) and not path.is_dir()
        }
        super().__init__(self.folder.name, clips, sorted(labels), left_out=left_out)

    def _id(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()

    def _clips(self, parent: Path) -> list[Clip]:
        return [
            Clip(id=self._id(path), path=path, labels=(label.name,))
            for label in _subfolders(parent)
            for path in find_sounds(label)
        ]


def _subfolders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.iterdir() if path.is_dir() and not is_hidden(path.name))
