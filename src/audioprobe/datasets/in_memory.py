"""Data sets whose clips are known from a table: there, missing, or left out."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from audioprobe.audio.files import why_missing
from audioprobe.errors import InvalidInputError
from audioprobe.io.tables import fingerprint
from audioprobe.normalization import nfc, path_on_disk
from audioprobe.types import Clip, ComponentInfo, Option

_SHOWN = 3


class InMemoryDataset:
    """Clips of a table, some of whose files may not be there.

    Args:
        name: of the data set, for provenance.
        clips: of each split, in order, whether their files are there or not.
        labels: every label that a clip may have.
        left_out: why rows of the table are no clips, by id.
        options: whatever chose among the rows.

    Raises:
        InvalidInputError: if there is no clip at all, two clips have one id, or a clip has a label
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
        self._refuse_no_clip()
        _check(name, [clip for items in self._listed.values() for clip in items], self.labels)

    @property
    def info(self) -> ComponentInfo:
        """Name, a hash of all rows, options, and how many rows have no file or were left out."""
        rows = [
            f"{split}\t{c.id}\t{c.labels}\t{c.start}\t{c.duration}\t{c.group}"
            for split, items in self._listed.items()
            for c in items
        ]
        counts: dict[str, Option] = {"missing": len(self.missing), "left_out": len(self.left_out)}
        return ComponentInfo("dataset", self._name, fingerprint(rows), self._options | counts)

    @property
    def splits(self) -> tuple[str, ...]:
        """In the order of the data set."""
        return tuple(self._listed)

    @cached_property
    def missing(self) -> dict[str, str]:
        """Why clips of the table cannot be heard, by id: no file, or one to be converted first."""
        absent = [
            clip
            for items in self._listed.values()
            for clip in items
            if clip.path is not None and clip.id not in self._paths
        ]
        names: dict[Path, dict[str, str]] = {}
        return {clip.id: _cause(clip.path, names) for clip in absent if clip.path is not None}

    @cached_property
    def _paths(self) -> dict[str, Path]:
        """Files that are there, by clip, as their names are spelled on disk."""
        paths = {
            clip.id: path_on_disk(clip.path)
            for items in self._listed.values()
            for clip in items
            if clip.path is not None
        }
        return {clip_id: path for clip_id, path in paths.items() if not why_missing(path)}

    def listed(self, split: str) -> tuple[Clip, ...]:
        """Every clip of a split, in the order of the table, whether its file is there or not.

        Raises:
            InvalidInputError: for an unknown split.
        """
        if split not in self._listed:
            raise InvalidInputError(
                f"{self._name} has the splits {', '.join(self._listed)}, got {split!r}."
            )
        return self._listed[split]

    def clips(self, split: str) -> tuple[Clip, ...]:
        """The clips of a split whose files are there; the others are in `missing`.

        Raises:
            InvalidInputError: for an unknown or an empty split, or if no file at all is there.
        """
        listed = self.listed(split)
        if not listed:
            raise InvalidInputError(f"{self._name}: no clip is in the split {split!r}.")
        there = tuple(
            replace(clip, path=self._paths[clip.id]) if clip.path is not None else clip
            for clip in listed
            if clip.path is None or clip.id in self._paths
        )
        if not there:
            raise InvalidInputError(
                f"{self._name}: none of the {len(listed)} files of the split {split!r} is there; "
                f"the first would be {listed[0].path}. Unpack the data set, or name its folder."
            )
        return there

    def counts(self, split: str) -> dict[str, int]:
        """How many clips of a split have each label, whether their files are there or not."""
        found = Counter(label for clip in self.listed(split) for label in clip.labels or ())
        return {label: found[label] for label in self.labels}

    def _refuse_no_clip(self) -> None:
        if any(self._listed.values()):
            return
        causes = Counter(self.left_out.values()).most_common(_SHOWN)
        shown = "".join(f", {n} of them: {cause}" for cause, n in causes)
        options = ", ".join(f"{name}={value!r}" for name, value in self._options.items())
        raise InvalidInputError(
            f"{self._name}: expected at least one clip, got none; {len(self.left_out)} rows of the "
            f"table are left out{shown}. Change the table or the options ({options or 'none'})."
        )


def _cause(path: Path, names: dict[Path, dict[str, str]]) -> str:
    """Why there is no such file; `names` keeps what folders hold, by name without case."""
    folder = path.parent
    if folder not in names:
        held = os.listdir(folder) if folder.is_dir() else []  # noqa: PTH208 - names alone
        names[folder] = {name.casefold(): name for name in held}
    other = names[folder].get(path.name.casefold(), "")
    if other == path.name:
        return why_missing(path_on_disk(path))
    if other:
        return f"there is no file {path}, but {other!r}: names differ in case"
    if os.sep == "/" and "\\" in path.name:
        return f"there is no file {path}: write / between folders, and give `folder=`"
    return f"there is no file {path}"


def _check(name: str, clips: Sequence[Clip], labels: Sequence[str]) -> None:
    again = [clip_id for clip_id, n in Counter(clip.id for clip in clips).items() if n > 1]
    if again:
        raise InvalidInputError(
            f"{name}: {len(again)} ids are there more than once, the first is {again[0]!r}."
        )
    unknown = {label for clip in clips for label in clip.labels or ()} - set(labels)
    if unknown:
        shown = ", ".join(map(repr, sorted(unknown)[:_SHOWN]))
        raise InvalidInputError(f"{name}: {len(unknown)} labels are not known, such as {shown}.")
