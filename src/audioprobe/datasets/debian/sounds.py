"""Recordings of fetched Debian packages as a data set."""

import hashlib
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from audioprobe.datasets.debian import table
from audioprobe.datasets.debian.table import SPLITS, DebianRecording
from audioprobe.errors import InvalidInputError
from audioprobe.types import Clip, ComponentInfo


class DebianSounds:
    """Real recordings of everyday sources, in packages that `audioprobe fetch-sounds` fetches.

    The group of a clip is its package, and each package is in one split. A file that is not there,
    or that is another one than was labelled, is in `missing` and not among the clips.

    Args:
        folder: where the packages were fetched to; None is the user's cache directory.
        packages: names of packages to take; None takes all of the table.
        doubtful: take recordings too whose label is in doubt.

    Raises:
        InvalidInputError: for unknown packages, or if none of the chosen ones is in the folder.
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        *,
        packages: Iterable[str] | None = None,
        doubtful: bool = False,
    ) -> None:
        self.folder = table.default_folder() if folder is None else Path(folder).expanduser()
        self._packages = {package.name: package for package in table.chosen(packages)}
        self._doubtful = doubtful
        if not any((self.folder / name).is_dir() for name in self._packages):
            raise InvalidInputError(
                f"{self.folder}: none of {', '.join(self._packages)} was fetched to this folder. "
                f"Fetch them with: {table.fetching(self.folder, self._packages)}"
            )

    @property
    def info(self) -> ComponentInfo:
        """Name, a hash of the tables, what was chosen, and how many recordings are missing."""
        return ComponentInfo(
            "dataset",
            "debian sounds",
            table.revision(),
            {
                "packages": tuple(self._packages),
                "doubtful": self._doubtful,
                "missing": len(self.missing),
            },
        )

    @cached_property
    def sounds(self) -> tuple[DebianRecording, ...]:
        """The rows of the table that were chosen, there or not."""
        return tuple(
            sound
            for sound in table.sounds()
            if sound.package in self._packages and (self._doubtful or not sound.doubtful)
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of all concepts that were chosen, sorted."""
        return tuple(sorted({label for sound in self.sounds for label in sound.labels}))

    @property
    def splits(self) -> tuple[str, ...]:
        """Training, validation, and test: packages that training never sees."""
        return SPLITS

    @cached_property
    def missing(self) -> dict[str, str]:
        """Why each recording that should be there is not a clip, by id."""
        causes = {sound.id: self._cause(sound) for sound in self.sounds}
        return {name: cause for name, cause in causes.items() if cause}

    def missing_from(self, split: str) -> dict[str, str]:
        """What of `missing` belongs to a split."""
        split_of = {sound.id: self._packages[sound.package].split for sound in self.sounds}
        return {name: why for name, why in self.missing.items() if split_of[name] == split}

    def clips(self, split: str = "train") -> tuple[Clip, ...]:
        """The recordings of a split that are there, in the order of the table.

        Raises:
            InvalidInputError: for an unknown split.
        """
        if split not in SPLITS:
            raise InvalidInputError(
                f"The recordings have the splits {', '.join(SPLITS)}, got {split!r}."
            )
        return tuple(
            self._clip(sound)
            for sound in self.sounds
            if self._packages[sound.package].split == split and sound.id not in self.missing
        )

    def _path(self, sound: DebianRecording) -> Path:
        package = self._packages[sound.package]
        return self.folder / package.name / package.folder / sound.file

    def _cause(self, sound: DebianRecording) -> str:
        """Why a recording cannot be a clip; empty where it can."""
        if not (self.folder / sound.package).is_dir():
            return "its package was not fetched"
        path = self._path(sound)
        try:
            found = hashlib.sha256(path.read_bytes()).hexdigest()[: len(sound.sha256)]
        except FileNotFoundError:
            return "the package has no such file"
        except OSError as error:
            return f"cannot be read ({error.strerror})"
        if found != sound.sha256:
            return f"another file than was labelled (SHA-256 {found}, expected {sound.sha256})"
        return ""

    def _clip(self, sound: DebianRecording) -> Clip:
        return Clip(
            id=sound.id,
            path=self._path(sound),
            labels=sound.labels,
            start=sound.start,
            duration=sound.seconds,
            group=sound.package,
        )
