"""Base of the data sets whose clips are listed in memory."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from audioprobe.audio.files import why_missing
from audioprobe.errors import InvalidInputError
from audioprobe.io.tables import fingerprint
from audioprobe.normalization import nfc, path_on_disk
from audioprobe.types import Clip, ComponentInfo, Option

_N_EXAMPLES = 3  # in messages


class InMemoryDataset:
    """A data set of listed clips, some of whose files may be missing.

    Args:
        name: name of the data set, for provenance.
        clips: clips of each split, in order, including those without a file.
        labels: every label that a clip may have.
        left_out: why rows of the table are not clips, by id.
        options: options that selected the rows, for provenance.

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
        """Name, hash of all rows, options, and how many rows are missing or left out."""
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
        """Why listed clips cannot be read, by id: no file, or a file to be converted first."""
        folders: dict[Path, dict[str, str]] = {}
        return {
            clip.id: _cause(clip.path, folders)
            for items in self._listed.values()
            for clip in items
            if clip.path is not None and clip.id not in self._paths
        }

    @cached_property
    def _paths(self) -> dict[str, Path]:
        """Paths of existing files by clip, with the spelling on disk."""
        paths = {
            clip.id: path_on_disk(clip.path)
            for items in self._listed.values()
            for clip in items
            if clip.path is not None
        }
        return {clip_id: path for clip_id, path in paths.items() if not why_missing(path)}

    def listed(self, split: str) -> tuple[Clip, ...]:
        """Return every clip of a split, in order, including those without a file.

        Raises:
            InvalidInputError: for an unknown split.
        """
        if split not in self._listed:
            raise InvalidInputError(
                f"{self._name} has the splits {', '.join(self._listed)}, got {split!r}."
            )
        return self._listed[split]

    def clips(self, split: str) -> tuple[Clip, ...]:
        """Return the clips of a split whose files exist; the others are in `missing`.

        Raises:
            InvalidInputError: for an unknown or an empty split, or if none of its files exists.
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
                f"first would be {listed[0].path}. Unpack the data set, or pass its folder."
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
                f"{self._name}: expected unique ids, got {len(repeated)} repeated ones, such as "
                f"{repeated[0]!r}."
            )
        unknown = {label for clip in clips for label in clip.labels or ()} - set(self.labels)
        if unknown:
            shown = ", ".join(map(repr, sorted(unknown)[:_N_EXAMPLES]))
            raise InvalidInputError(
                f"{self._name}: {len(unknown)} labels of clips are unknown, such as {shown}."
            )


def refuse_case_variants(names: Iterable[str], what: str, advice: str) -> None:
    """Refuse names that differ only in case: they would be counted as two.

    Args:
        names: names to compare.
        what: what they are, for the message: "labels".
        advice: last sentence of the message.

    Raises:
        InvalidInputError: names two of them.
    """
    spellings: dict[str, str] = {}
    for name in sorted(set(names)):
        other = spellings.setdefault(name.casefold(), name)
        if other != name:
            raise InvalidInputError(
                f"The {what} {other!r} and {name!r} differ only in case. {advice}"
            )


def _cause(path: Path, folders: dict[Path, dict[str, str]]) -> str:
    """Why a file is missing; `folders` caches names by their lower-case form."""
    folder = path.parent
    if folder not in folders:
        names = os.listdir(folder) if folder.is_dir() else []  # noqa: PTH208 - names alone
        folders[folder] = {name.casefold(): name for name in names}
    similar = folders[folder].get(path.name.casefold(), "")
    if similar == path.name:
        return why_missing(path_on_disk(path))
    if similar:
        return f"file {path} not found, but {similar!r}: names differ in case"
    if os.sep == "/" and "\\" in path.name:
        return f"file {path} not found: write / between folders, and pass `folder=`"
    return f"file {path} not found"
