"""Data set of audio files in one folder per label."""

from pathlib import Path

from audioprobe.audio.files import READABLE_SUFFIXES, find_sounds, is_hidden, is_sound
from audioprobe.datasets.in_memory import InMemoryDataset
from audioprobe.datasets.manifest import ALL
from audioprobe.errors import InvalidInputError
from audioprobe.types import Clip


class Folder(InMemoryDataset):
    """Audio files in folders with the names of their labels: `sounds/crow/one.wav`.

    Hidden files and folders are skipped; links are followed. `missing` lists broken links, and
    files that must be converted before they can be read (.m4a, .wma, ...). `left_out` lists audio
    files outside the label folders.

    Args:
        folder: folder with one folder per label.
        splits: whether `folder` has one folder per split, with one folder per label in each:
            `sounds/test/crow/one.wav`.

    Raises:
        InvalidInputError: if `folder` is not a folder, or contains no audio files in this layout.
    """

    def __init__(self, folder: str | Path, *, splits: bool = False) -> None:
        self.folder = Path(folder).expanduser()
        if not self.folder.is_dir():
            raise InvalidInputError(
                f"{self.folder}: expected a folder with one folder per label, got no folder."
            )
        parents = {p.name: p for p in _subfolders(self.folder)} if splits else {ALL: self.folder}
        clips = {name: items for name, path in parents.items() if (items := self._clips(path))}
        layout = "SPLIT/LABEL/FILE" if splits else "LABEL/FILE"
        if not clips:
            raise InvalidInputError(
                f"{self.folder}: expected audio files with paths like {layout}, got none. Move the "
                f"files; the suffix must be one of {', '.join(sorted(READABLE_SUFFIXES))}."
            )
        labels = {
            label for items in clips.values() for clip in items for label in clip.labels or ()
        }
        outside = [self.folder, *parents.values()] if splits else [self.folder]
        left_out = {
            self._id(path): f"its path is not like {layout}"
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
