"""Data sets with a list of clips per split: the base class, and audio files in folders."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from audioprobe.audio.files import (
    READABLE_SUFFIXES,
    find_sounds,
    is_hidden,
    is_sound,
    why_missing,
)
from audioprobe.errors import InvalidInputError
from audioprobe.texts import fingerprint, nfc, path_on_disk
from audioprobe.types import Clip, ComponentInfo, InfoRepr, Option

ALL = "all"
"""Name of the only split of data sets that are not divided into splits."""

_N_EXAMPLES = 3  # in messages


class InMemoryDataset(InfoRepr):
    """A data set with a list of clips per split; audio files may be missing.

    Args:
        name: name of the data set, stored in results.
        clips: clips of each split, in order, including clips whose audio file does not exist.
        labels: every label that a clip may have.
        left_out: rows of the published table that are not clips: the reason, keyed by row id.
        options: options that determine which rows are used, stored in results.

    Raises:
        InvalidInputError: if there are no clips, if two clips have the same id, or if a clip has a
            label that is not among `labels`.
    """

    def __init__(
        self,
        name: str,
        clips: Mapping[str, Sequence[Clip]],
        labels: Sequence[str],
        *,
        left_out: Mapping[str, str] | None = None,
        options: Mapping[str, Option] | None = None,
    ) -> None:
        self._name = name
        self._listed = {split: tuple(items) for split, items in clips.items()}
        self.labels = tuple(map(nfc, labels))
        self.left_out = dict(left_out or {})
        self._options = dict(options or {})
        self._check()

    @property
    def info(self) -> ComponentInfo:
        """Name, hash of all clips, options, number of missing files, number of left-out rows."""
        rows = (
            f"{split}\t{c.id}\t{c.labels}\t{c.start}\t{c.duration}\t{c.group}"
            for split, items in self._listed.items()
            for c in items
        )
        counts: dict[str, Option] = {"missing": len(self.missing), "left_out": len(self.left_out)}
        return ComponentInfo("dataset", self._name, fingerprint(rows), self._options | counts)

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits, in the order of the data set."""
        return tuple(self._listed)

    @cached_property
    def missing(self) -> dict[str, str]:
        """Clips whose audio file is missing: the reason, keyed by clip id."""
        folders: dict[Path, dict[str, str]] = {}
        return {
            clip.id: _cause(clip.path, folders)
            for items in self._listed.values()
            for clip in items
            if clip.path is not None and clip.path not in self._paths
        }

    @cached_property
    def _paths(self) -> dict[Path | None, Path | None]:
        """Paths of the existing audio files, spelled as on disk, keyed by the paths of clips.

        The key None is for clips without a file.
        """
        given = dict.fromkeys(clip.path for items in self._listed.values() for clip in items)
        on_disk = ((path, path and path_on_disk(path)) for path in given)
        return {path: name for path, name in on_disk if not (name and why_missing(name))}

    def listed(self, split: str) -> tuple[Clip, ...]:
        """Return all clips of a split, in order, including clips whose file does not exist.

        Raises:
            InvalidInputError: for an unknown split.
        """
        if split not in self._listed:
            raise InvalidInputError(
                f"{self._name}: expected one of the splits {', '.join(self._listed)}, got "
                f"{split!r}."
            )
        return self._listed[split]

    def clips(self, split: str) -> tuple[Clip, ...]:
        """Return the clips of a split whose audio files exist; `missing` lists the other clips.

        Raises:
            InvalidInputError: for an unknown split, a split without clips, or a split without any
                existing file.
        """
        listed = self.listed(split)
        if not listed:
            raise InvalidInputError(
                f"{self._name}: expected clips in the split {split!r}, got none. Choose another "
                "split, or options that select more clips."
            )
        clips = tuple(
            clip if clip.path == (path := self._paths[clip.path]) else replace(clip, path=path)
            for clip in listed
            if clip.path in self._paths
        )
        if not clips:
            raise InvalidInputError(
                f"{self._name}: none of the {len(listed)} files of the split {split!r} exists. The "
                f"first one was searched at {listed[0].path}. Put the audio files there, or pass "
                "the folder that contains them (folder=..., in the shell --folder)."
            )
        return clips

    def counts(self, split: str) -> dict[str, int]:
        """Return the number of clips in a split for each label, including missing clips."""
        counts = Counter(label for clip in self.listed(split) for label in clip.labels or ())
        return {label: counts[label] for label in self.labels}

    def _check(self) -> None:
        clips = [clip for items in self._listed.values() for clip in items]
        if not clips:
            causes = Counter(self.left_out.values()).most_common(_N_EXAMPLES)
            shown = "".join(f", {cause} ({n} rows)" for cause, n in causes)
            options = ", ".join(f"{name}={value!r}" for name, value in self._options.items())
            raise InvalidInputError(
                f"{self._name}: expected at least one clip, got none; {len(self.left_out)} rows "
                f"are left out{shown}. Change the table or the options ({options or 'none'})."
            )
        repeated = [clip_id for clip_id, n in Counter(clip.id for clip in clips).items() if n > 1]
        if repeated:
            raise InvalidInputError(
                f"{self._name}: expected unique clip ids, but {len(repeated)} ids occur several "
                f"times, such as {repeated[0]!r}. Rename or remove these clips."
            )
        unknown = {label for clip in clips for label in clip.labels or ()} - set(self.labels)
        if unknown:
            shown = ", ".join(map(repr, sorted(unknown)[:_N_EXAMPLES]))
            raise InvalidInputError(
                f"{self._name}: expected clips with labels from the list of labels; {len(unknown)} "
                f"labels of clips are unknown, such as {shown}. Add them to the list."
            )


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


def refuse_case_variants(names: Iterable[str], what: str, advice: str) -> None:
    """Raise if two names differ only in upper and lower case, which is probably a mistake.

    `what` is the noun for the names in the error message, such as "labels". `advice` is the last
    sentence of the message.
    """
    spellings: dict[str, str] = {}
    for name in sorted(set(names)):
        other = spellings.setdefault(name.casefold(), name)
        if other != name:
            raise InvalidInputError(
                f"Expected one spelling of each name, but the {what} {other!r} and {name!r} differ "
                f"only in case. {advice}"
            )


def _cause(path: Path, folders: dict[Path, dict[str, str]]) -> str:
    """Return the reason why the file at a path is missing.

    `folders` is a cache of folder listings: it maps each folder to its file names, keyed by the
    same names in lower case.
    """
    folder = path.parent
    if folder not in folders:
        names = os.listdir(folder) if folder.is_dir() else []  # noqa: PTH208 - only names needed
        folders[folder] = {name.casefold(): name for name in names}
    similar = folders[folder].get(path.name.casefold(), "")
    if similar == path.name:
        return why_missing(path_on_disk(path))
    if similar:
        return f"file {path} not found, but {similar!r} exists; the names differ in case"
    if os.sep == "/" and "\\" in path.name:
        return f"file {path} not found; write / instead of \\, and pass `folder=`"
    return f"file {path} not found"
