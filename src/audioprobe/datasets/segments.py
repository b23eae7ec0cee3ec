"""Segments of recordings that the rows of a table describe, and the clips that they become."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from audioprobe.datasets.in_memory import refuse_case_variants
from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.texts import nfc
from audioprobe.types import Clip

_Key: TypeAlias = tuple[str, str, int, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Segment of a recording that one row of a table describes.

    `place` is the file and row number, for error messages. Default clip ids begin with `recording`,
    the path of the recording. `clip_id` is "" if the table has no id.
    """

    place: str
    recording: str
    path: Path
    labels: tuple[str, ...] | None
    start: float
    duration: float | None
    clip_id: str
    group: str | None
    split: str

    @property
    def key(self) -> _Key:
        """Id, recording, start and end in microseconds; rows with the same key become one clip."""
        end = None if self.duration is None else _microseconds(self.start + self.duration)
        return self.clip_id, self.recording, _microseconds(self.start), end

    @property
    def short_id(self) -> str:
        """Default clip id: the recording, and "#" with the start in seconds unless it is 0."""
        start = _microseconds(self.start)
        return f"{self.recording}#{_seconds(start)}" if start else self.recording


def clips_by_split(
    segments: Iterable[Segment],
) -> tuple[dict[str, list[Clip]], dict[str, str]]:
    """Return the clips of each split, in the order of the rows; equal segments become one clip.

    Returns:
        Clips by split, and the first place of each label.

    Raises:
        InvalidInputError: if two clips have the same id, or two splits differ only in case.
    """
    firsts: dict[_Key, Segment] = {}
    others: dict[_Key, list[Segment]] = {}
    label_places: dict[str, str] = {}
    for segment in segments:
        if firsts.setdefault(segment.key, segment) is not segment:
            others.setdefault(segment.key, []).append(segment)
        for label in segment.labels or ():
            label_places.setdefault(label, segment.place)
    id_counts = Counter(first.short_id for first in firsts.values() if not first.clip_id)
    clips: dict[str, list[Clip]] = {}
    places: dict[str, str] = {}
    for key, first in firsts.items():
        clip = _merged_clip([first, *others.get(key, ())], id_counts)
        if clip.id in places:
            raise InvalidInputError(
                f"{first.place}: expected a unique id, but {places[clip.id]} has the id "
                f"{clip.id!r}, too, for another segment. Change one of them."
            )
        places[clip.id] = first.place
        clips.setdefault(first.split, []).append(clip)
    refuse_case_variants(clips, "splits", "Use one spelling.")
    return clips, label_places


def _merged_clip(rows: Sequence[Segment], id_counts: Counter[str]) -> Clip:
    """Return one clip for rows that describe the same segment, with the labels of all rows.

    `id_counts` is the number of clips that have each short id. If several clips have the same short
    id, the id of the clip contains its end, too: "a.wav#3-6".
    """
    first = rows[0]
    for row in rows[1:]:
        for field in ("group", "split"):
            value, expected = getattr(row, field), getattr(first, field)
            if value != expected:
                raise InvalidInputError(
                    f"{row.place}: expected the {field} {expected!r} of the same segment in "
                    f"{first.place}, got {value!r}. Use one {field} per segment."
                )
    labels = [row.labels for row in rows if row.labels is not None]
    clip_id = first.clip_id or first.short_id
    *_, start, end = first.key
    if not first.clip_id and end is not None and id_counts[clip_id] > 1:
        clip_id = f"{first.recording}#{_seconds(start)}-{_seconds(end)}"
    try:
        return Clip(
            id=clip_id,
            path=first.path,
            labels=tuple(label for names in labels for label in names) if labels else None,
            start=first.start,
            duration=first.duration,
            group=first.group,
        )
    except InvalidInputError as error:
        raise InvalidInputError(f"{first.place}: {error}") from error


def vocabulary_of(
    places: Mapping[str, str], labels: Sequence[str], separator: str | None
) -> tuple[str, ...]:
    """Return `labels`; if it is empty, return the labels of the segments, sorted.

    Args:
        places: first place of each label of the segments.
        labels: labels that the segments may have; () for any.
        separator: separator of labels in the table, None for the default.

    Raises:
        InvalidInputError: for a label that is not in `labels`, labels that differ only in case, or
            a label that consists of several known labels with commas.
    """
    known = tuple(map(nfc, labels)) or tuple(sorted(places))
    if not labels:
        refuse_case_variants(known, "labels", "Use one spelling, or list both in labels=[...].")
    for label, place in places.items():
        parts = [part.strip() for part in label.split(",")]
        if separator is None and len(parts) > 1 and set(known).issuperset(parts):
            raise InvalidInputError(
                f"{place}: expected labels with ';' between them, got {label!r}, which consists of "
                "known labels with commas. Pass separator=',', or separator=';' if it is one label."
            )
        if label not in known:
            raise InvalidInputError(
                f"{place}: expected a label of labels=[...], got {label!r}."
                f"{did_you_mean(label, known)}"
            )
    return known


def _microseconds(seconds: float) -> int:
    return round(seconds * 1_000_000)


def _seconds(microseconds: int) -> str:
    return f"{microseconds / 1_000_000:.6f}".rstrip("0").rstrip(".")
