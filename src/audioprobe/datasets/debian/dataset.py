"""Data set of the recordings in fetched Debian packages."""

import hashlib
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from audioprobe.datasets.debian.tables import (
    SPLITS,
    DebianRecording,
    default_folder,
    fetch_command,
    recordings,
    revision,
    select_packages,
)
from audioprobe.errors import InvalidInputError
from audioprobe.types import Clip, ComponentInfo


class DebianSounds:
    """Real recordings of everyday sources, from packages fetched by `audioprobe fetch-sounds`.

    The group of a clip is its package, and each package belongs to one split. Files that do not
    exist, or that differ from the labelled version, are listed in `missing` instead of the clips.

    Args:
        folder: folder of the fetched packages; None means a folder in the user's cache directory.
        packages: names of packages to use; None uses all.
        doubtful: whether to include recordings with a doubtful label.

    Raises:
        InvalidInputError: for unknown packages, or if no selected package is in the folder.
    """

    splits = SPLITS
    """Names of the splits: train, validation and test. Each package belongs to one split."""

    def __init__(
        self,
        folder: str | Path | None = None,
        *,
        packages: Iterable[str] | None = None,
        doubtful: bool = False,
    ) -> None:
        self.folder = default_folder() if folder is None else Path(folder).expanduser()
        self._packages = {package.name: package for package in select_packages(packages)}
        self._doubtful = doubtful
        if not any((self.folder / name).is_dir() for name in self._packages):
            raise InvalidInputError(
                f"{self.folder}: expected one of the packages {', '.join(self._packages)} in this "
                f"folder, got none. Fetch them with: {fetch_command(self.folder, self._packages)}"
            )

    @property
    def info(self) -> ComponentInfo:
        """Name, hash of the tables, options, and the number of missing recordings."""
        return ComponentInfo(
            "dataset",
            "debian sounds",
            revision(),
            {
                "packages": tuple(self._packages),
                "doubtful": self._doubtful,
                "missing": len(self.missing),
            },
        )

    @cached_property
    def recordings(self) -> tuple[DebianRecording, ...]:
        """Selected rows of the table, including rows whose file is missing."""
        return tuple(
            recording
            for recording in recordings()
            if recording.package in self._packages and (self._doubtful or not recording.doubtful)
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the concepts of all selected recordings, sorted."""
        return tuple(sorted({label for recording in self.recordings for label in recording.labels}))

    @cached_property
    def missing(self) -> dict[str, str]:
        """Reason why a selected recording is not available as a clip, by recording id."""
        causes = {recording.id: self._cause(recording) for recording in self.recordings}
        return {name: cause for name, cause in causes.items() if cause}

    def missing_from(self, split: str) -> dict[str, str]:
        """Return the part of `missing` that belongs to a split."""
        ids = {r.id for r in self.recordings if self._packages[r.package].split == split}
        return {name: cause for name, cause in self.missing.items() if name in ids}

    def clips(self, split: str = "train") -> tuple[Clip, ...]:
        """Return the available recordings of a split, in the order of the table.

        Raises:
            InvalidInputError: for an unknown split.
        """
        if split not in SPLITS:
            raise InvalidInputError(
                f"Expected one of the splits {', '.join(SPLITS)}, got {split!r}."
            )
        return tuple(
            Clip(
                id=recording.id,
                path=self._path(recording),
                labels=recording.labels,
                start=recording.start,
                duration=recording.seconds,
                group=recording.package,
            )
            for recording in self.recordings
            if self._packages[recording.package].split == split and recording.id not in self.missing
        )

    def _path(self, recording: DebianRecording) -> Path:
        package = self._packages[recording.package]
        return self.folder / package.name / package.folder / recording.file

    def _cause(self, recording: DebianRecording) -> str:
        """Return why a recording is not available as a clip; "" if it is available."""
        if not (self.folder / recording.package).is_dir():
            return "its package was not fetched"
        expected = recording.sha256
        try:
            content = self._path(recording).read_bytes()
        except FileNotFoundError:
            return "the package has no such file"
        except OSError as error:
            return f"cannot be read ({error.strerror})"
        digest = hashlib.sha256(content).hexdigest()[: len(expected)]
        if digest != expected:
            return f"differs from the file that was labelled (SHA-256 {digest}, not {expected})"
        return ""
