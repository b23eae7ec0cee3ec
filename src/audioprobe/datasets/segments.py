"""Rows about pieces of recordings, merged into clips with unique ids."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from audioprobe.datasets.cells import refuse_case_variants
from audioprobe.errors import InvalidInputError
from audioprobe.types import Clip

_PER_SECOND = 1_000_000  # times are compared to the microsecond


@dataclass(frozen=True, slots=True)
class Segment:
    """What one row says.

    Attributes:
        place: file and row, for messages.
        sound: name of the recording, which ids begin with.
        path: of its file.
        labels: what is heard; None where nobody said.
        start: seconds from the beginning of the file.
        duration: seconds; None means to the end of the file.
        clip_id: "" makes one from `sound` and the times.
        group: as in `Clip`.
        split: name of the split.
    """

    place: str
    sound: str
    path: Path
    labels: tuple[str, ...] | None
    start: float
    duration: float | None
    clip_id: str
    group: str | None
    split: str

    @property
    def span(self) -> tuple[str, str, int, int | None]:
        """Id, recording, start and end in microseconds: equal for rows about one clip."""
        end = None if self.duration is None else _microseconds(self.start + self.duration)
        return self.clip_id, self.sound, _microseconds(self.start), end


def clips_of_segments(segments: Iterable[Segment]) -> dict[str, list[Clip]]:
    """Return the clips of each split, in the order of their first rows.

    Rows about the same piece of the same recording are one clip with the labels of all of them.
    Pieces that overlap are clips of their own, each with its own labels alone.

    Ids are the recording, "#" and the start where it is not 0, and "-" and the end where several
    clips begin there; times have up to six decimals.

    Raises:
        InvalidInputError: if rows about one clip differ in group or split, two clips get one id,
            or two splits differ in case alone; names the rows.
    """
    merged: dict[tuple[str, str, int, int | None], list[Segment]] = {}
    for segment in segments:
        merged.setdefault(segment.span, []).append(segment)
    shared = Counter(_short_id(rows[0]) for rows in merged.values() if not rows[0].clip_id)
    clips: dict[str, list[Clip]] = {}
    places: dict[str, str] = {}
    for rows in merged.values():
        clip = _clip(rows, shared)
        if clip.id in places:
            raise InvalidInputError(
                f"{rows[0].place}: the id {clip.id!r} is that of {places[clip.id]}, which is about "
                "another piece of sound. Give every clip an id of its own."
            )
        places[clip.id] = rows[0].place
        clips.setdefault(rows[0].split, []).append(clip)
    refuse_case_variants(clips, "splits", "Write them alike.")
    return clips


def _clip(rows: Sequence[Segment], shared: Counter[str]) -> Clip:
    first = rows[0]
    for row in rows[1:]:
        for what, one, other in (
            ("group", first.group, row.group),
            ("split", first.split, row.split),
        ):
            if one != other:
                raise InvalidInputError(
                    f"{row.place}: the clip of {first.place} with the {what} {other!r} instead of "
                    f"{one!r}. Rows about one piece of sound need the same {what}."
                )
    known = [row.labels for row in rows if row.labels is not None]
    clip_id = first.clip_id or _short_id(first)
    _, _, start, end = first.span
    if not first.clip_id and end is not None and shared[clip_id] > 1:
        clip_id = f"{first.sound}#{_seconds(start)}-{_seconds(end)}"
    try:
        return Clip(
            id=clip_id,
            path=first.path,
            labels=tuple(label for labels in known for label in labels) if known else None,
            start=first.start,
            duration=first.duration,
            group=first.group,
        )
    except InvalidInputError as error:
        raise InvalidInputError(f"{first.place}: {error}") from error


def _short_id(segment: Segment) -> str:
    start = _microseconds(segment.start)
    return f"{segment.sound}#{_seconds(start)}" if start else segment.sound


def _microseconds(seconds: float) -> int:
    return round(seconds * _PER_SECOND)


def _seconds(microseconds: int) -> str:
    return f"{microseconds / _PER_SECOND:.6f}".rstrip("0").rstrip(".")
