"""Data set of the recordings in downloaded Debian packages."""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from audioprobe.datasets.debian.renderings import (
    file_digest,
    rendered_from,
    rendering_problem,
    synthesizer,
)
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
from audioprobe.types import Clip, ComponentInfo, InfoRepr


class DebianSounds(InfoRepr):
    """Recordings of everyday sound sources in the packages that `audioprobe fetch-sounds` fetches.

    The group of a clip is its package; all clips of a package are in one split. `missing` lists
    files that do not exist, or that differ from the labelled version; they are not clips.

    Args:
        folder: folder of the fetched packages; None means the default folder of `fetch-sounds`.
        packages: names of packages to use; None uses all packages.
        doubtful: whether to use recordings with a doubtful label, too.

    Raises:
        InvalidInputError: for an unknown package, or if no selected package is in the folder.
    """

    splits = SPLITS
    """Names of the splits: train, validation and test."""

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
                f"{self.folder}: expected at least one of the packages "
                f"{', '.join(self._packages)} in this folder, got none. Fetch them with: "
                f"{fetch_command(self.folder, self._packages)}"
            )

    @property
    def info(self) -> ComponentInfo:
        """Name, hash of the tables, options, number of missing recordings, used synthesizers."""
        sources = {source for recording in self.recordings if (source := self._source(recording))}
        synthesizers = sorted({synthesizer(source) for source in sources} - {""})
        return ComponentInfo(
            "dataset",
            "debian sounds",
            revision(),
            {
                "packages": tuple(self._packages),
                "doubtful": self._doubtful,
                "missing": len(self.missing),
                **({"synthesizers": tuple(synthesizers)} if synthesizers else {}),
            },
        )

    @cached_property
    def recordings(self) -> tuple[DebianRecording, ...]:
        """Recordings that the options select, including recordings whose file is missing."""
        return tuple(
            recording
            for recording in recordings()
            if recording.package in self._packages and (self._doubtful or not recording.doubtful)
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels of the selected recordings, sorted."""
        return tuple(sorted({label for recording in self.recordings for label in recording.labels}))

    @cached_property
    def missing(self) -> dict[str, str]:
        """Recordings whose file is missing or changed: the reason, keyed by recording id."""
        digests: dict[Path, str] = {}  # a soundfont has many recordings
        causes = {recording.id: self._cause(recording, digests) for recording in self.recordings}
        return {name: cause for name, cause in causes.items() if cause}

    def missing_from(self, split: str) -> dict[str, str]:
        """Return the entries of `missing` for the recordings of a split."""
        ids = {r.id for r in self.recordings if self._packages[r.package].split == split}
        return {name: cause for name, cause in self.missing.items() if name in ids}

    def clips(self, split: str = "train") -> tuple[Clip, ...]:
        """Return the recordings of a split that are not missing, in the order of `labels.csv`.

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

    def _cause(self, recording: DebianRecording, digests: dict[Path, str]) -> str:
        """Return the reason why a recording is missing; "" if its file exists and is unchanged.

        For a rendered recording, the soundfont or patch is compared. `digests` has the hashes of
        files that were compared before, and is extended.
        """
        if not (self.folder / recording.package).is_dir():
            return "its package was not fetched"
        expected, source = recording.sha256, self._source(recording)
        path = source or self._path(recording)
        try:
            if path not in digests:
                digests[path] = file_digest(path)
        except FileNotFoundError:
            return "the package has no such file"
        except OSError as error:
            return f"cannot be read ({error.strerror})"
        digest = digests[path][: len(expected)]
        if digest != expected:
            return f"differs from the file that was labelled (SHA-256 {digest}, not {expected})"
        return rendering_problem(source, self._path(recording).name) if source else ""

    def _source(self, recording: DebianRecording) -> Path | None:
        """Return the soundfont or patch of a rendered recording; None for other recordings."""
        source = rendered_from(recording.file)
        package = self._packages[recording.package]
        return None if source is None else self.folder / package.name / package.folder / source
