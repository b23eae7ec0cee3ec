"""Base class of data sets whose clips are listed in memory."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from audioprobe.audio.files import why_missing
from audioprobe.errors import InvalidInputError
from audioprobe.texts import fingerprint, nfc, path_on_disk
from audioprobe.types import Clip, ComponentInfo, Option

_N_EXAMPLES = 3  # in messages


class InMemoryDataset:
    """A data set with a list of clips per split; some of the audio files may be missing.

    Args:
        name: name of the data set, recorded in results.
        clips: clips of each split, in order, including clips whose audio file does not exist.
        labels: every label that a clip may have.
        left_out: reason why a row of the table is not used as a clip, by row id.
        options: options that selected the rows, recorded in results.

    Raises:
        InvalidInputError: if there are no clips, two clips have the same id, or a clip has a label
            that is not among `labels`.
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
        """Name, hash of all rows, options, and the numbers of missing and left-out rows."""
        rows = [
            f"{split}\t{c.id}\t{c.labels}\t{c.start}\t{c.duration}\t{c.group}"
            for split, items in self._listed.items()
            for c in items
        ]
        counts: dict[str, Option] = {"missing": len(self.missing), "left_out": len(self.left_out)}
        return ComponentInfo("dataset", self._name, fingerprint(rows), self._options | counts)

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits, in the order of the data set."""
        return tuple(self._listed)

    @cached_property
    def missing(self) -> dict[str, str]:
        """Reason why a listed clip cannot be read, by clip id."""
        folders: dict[Path, dict[str, str]] = {}
        return {
            clip.id: _cause(clip.path, folders)
            for items in self._listed.values()
            for clip in items
            if clip.path is not None and clip.id not in self._paths
        }

    @cached_property
    def _paths(self) -> dict[str, Path]:
        """Paths of the existing audio files by clip id, with the spelling on disk."""
        paths = {
            clip.id: path_on_disk(clip.path)
            for items in self._listed.values()
            for clip in items
            if clip.path is not None
        }
        return {clip_id: path for clip_id, path in paths.items() if not why_missing(path)}

    def listed(self, split: str) -> tuple[Clip, ...]:
        """Return all clips of a split, in order, including clips whose file does not exist.

        Raises:
            InvalidInputError: for an unknown split.
        """
        if split not in self._listed:
            raise InvalidInputError(
                f"{self._name} has the splits {', '.join(self._listed)}, got {split!r}."
            )
        return self._listed[split]

    def clips(self, split: str) -> tuple[Clip, ...]:
        """Return the clips of a split whose files exist; other clips are listed in `missing`.

        Raises:
            InvalidInputError: for an unknown or an empty split, or if no file of the split exists.
        """
        listed = self.listed(split)
        if not listed:
            raise InvalidInputError(f"{self._name}: the split {split!r} has no clips.")
        clips = tuple(
            replace(clip, path=self._paths[clip.id]) if clip.path is not None else clip
            for clip in listed
            if clip.path is None or clip.id in self._paths
        )
        if not clips:
            raise InvalidInputError(
                f"{self._name}: none of the {len(listed)} files of the split {split!r} exists; the "
                f"first expected path is {listed[0].path}. Unpack the data set, or pass its folder."
            )
        return clips

    def counts(self, split: str) -> dict[str, int]:
        """Return the number of listed clips of a split per label."""
        counts = Counter(label for clip in self.listed(split) for label in clip.labels or ())
        return {label: counts[label] for label in self.labels}

    def _check(self) -> None:
        clips = [clip for items in self._listed.values() for clip in items]
        if not clips:
            causes = Counter(self.left_out.values()).most_common(_N_EXAMPLES)
            shown = "".join(f", {n} of them: {cause}" for cause, n in causes)
            options = ", ".join(f"{name}={value!r}" for name, value in self._options.items())
            raise InvalidInputError(
                f"{self._name}: expected at least one clip, got none; {len(self.left_out)} rows of "
                f"the table are left out{shown}. Change the table or the options "
                f"({options or 'none'})."
            )
        repeated = [clip_id for clip_id, n in Counter(clip.id for clip in clips).items() if n > 1]
        if repeated:
            raise InvalidInputError(
                f"{self._name}: expected unique clip ids, got {len(repeated)} repeated, such as "
                f"{repeated[0]!r}."
            )
        unknown = {label for clip in clips for label in clip.labels or ()} - set(self.labels)
        if unknown:
            shown = ", ".join(map(repr, sorted(unknown)[:_N_EXAMPLES]))
            raise InvalidInputError(
                f"{self._name}: {len(unknown)} labels of clips are unknown, such as {shown}."
            )


def refuse_case_variants(names: Iterable[str], what: str, advice: str) -> None:
    """Raise if two names differ only in case, because they would count as two names.

    Args:
        names: names to compare.
        what: plural noun for the names, used in the message: "labels".
        advice: last sentence of the message.

    Raises:
        InvalidInputError: if two names differ only in case. The message quotes both.
    """
    spellings: dict[str, str] = {}
    for name in sorted(set(names)):
        other = spellings.setdefault(name.casefold(), name)
        if other != name:
            raise InvalidInputError(
                f"The {what} {other!r} and {name!r} differ only in case. {advice}"
            )


def _cause(path: Path, folders: dict[Path, dict[str, str]]) -> str:
    """Return why a file is missing; `folders` caches each folder's file names by lower case."""
    folder = path.parent
    if folder not in folders:
        names = os.listdir(folder) if folder.is_dir() else []  # noqa: PTH208 - only names needed
        folders[folder] = {name.casefold(): name for name in names}
    similar = folders[folder].get(path.name.casefold(), "")
    if similar == path.name:
        return why_missing(path_on_disk(path))
    if similar:
        return f"file {path} not found, but {similar!r} exists: the names differ in case"
    if os.sep == "/" and "\\" in path.name:
        return f"file {path} not found: write / between folders, and pass `folder=`"
    return f"file {path} not found"
