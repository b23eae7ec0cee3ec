"""Data set of the clips in a table: a table of the user, or one of an annotation program."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from audioprobe.datasets.annotations import AnnotationTable, annotation_files, annotation_table
from audioprobe.datasets.columns import resolve_columns
from audioprobe.datasets.in_memory import ALL, InMemoryDataset, refuse_case_variants
from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.io.table_row import TableRow
from audioprobe.io.tables import TEXT_SUFFIXES, read_records, read_rows, table_rows
from audioprobe.texts import nfc
from audioprobe.types import Clip

_NO_CALL = "nocall"  # label that BirdNET-Analyzer writes where it detects nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class _Segment:
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
    def key(self) -> tuple[str, str, int, int | None]:
        """Id, recording, start and end in microseconds; rows with the same key become one clip."""
        end = None if self.duration is None else _microseconds(self.start + self.duration)
        return self.clip_id, self.recording, _microseconds(self.start), end

    @property
    def short_id(self) -> str:
        """Default clip id: the recording, and "#" with the start in seconds unless it is 0."""
        start = _microseconds(self.start)
        return f"{self.recording}#{_seconds(start)}" if start else self.recording


class Manifest(InMemoryDataset):
    """Clips in a table: CSV, TSV, JSON lines or Parquet (extra `data`).

    The table needs the column `path` (absolute, or relative to `folder`). Optional columns are
    `labels` (a list, or labels separated by ";"), `id` (default: the path, "#" and the start),
    `start` and `end` or `duration` in seconds, `group` (site, recorder or source recording) and
    `split`. In column names, case, spaces, plural, "_time" and "_s" are ignored. A column with
    another name that probably means one of these, such as "species", raises an error that suggests
    a value for `columns`.

    A clip is unlabelled if there is no column `labels`, or if its value is missing ("NaN", "NA",
    "None", null). An empty cell means that none of the labels applies. Rows with the same segment
    of a file become one clip with all their labels. Overlapping segments are separate clips.

    Selection tables of Raven, label tracks of Audacity and results of BirdNET-Analyzer are read
    without conversion. If a row contains the path of its recording, the file is searched at this
    path and by its name in `folder`. Otherwise, the recording must have the same name as the table.
    The recording is also the group of its clips. Segments of zero length, and segments that end in
    another file, are not clips; `left_out` lists them.

    Args:
        table: the table, or a folder with tables of annotation programs.
        folder: folder of relative paths and of annotated recordings; None means the folder of the
            table.
        columns: columns with other names, keyed by the standard names such as `path`:
            `{"path": "filename", "labels": "species"}`; "" means that there is no such column.
        labels: all labels, in order; if empty, the labels in the table, sorted.
        separator: text between the labels in a cell; None means ";", and raises an error if a cell
            seems to have another separator.

    Raises:
        InvalidInputError: for a table that cannot be read, an unknown or ambiguous column, an
            invalid time, a label that is not in `labels`, two labels that differ only in case
            (unless both are in `labels`), or two clips with the same id. The message names the row;
            the header is row 1, as in a spreadsheet.
    """

    def __init__(
        self,
        table: str | Path,
        folder: str | Path | None = None,
        *,
        columns: Mapping[str, str] | None = None,
        labels: Sequence[str] = (),
        separator: str | None = None,
    ) -> None:
        file = Path(table).expanduser()
        is_folder = file.is_dir()
        base = file if is_folder else file.parent
        self.folder = base if folder is None else Path(folder).expanduser()
        self._has_folder = folder is not None
        self._columns = dict(columns or {})
        self._separator = separator
        left_out: dict[str, str] = {}
        segments = [
            segment
            for path in (annotation_files(file) if is_folder else [file])
            for segment in self._segments(path, left_out, only_annotations=is_folder)
        ]
        clips = _clips_by_split(segments)
        vocabulary = _vocabulary(segments, labels, separator)
        name = nfc(file.name if is_folder else file.stem)
        super().__init__(name, clips, vocabulary, left_out=left_out)

    def _segments(
        self, file: Path, left_out: dict[str, str], *, only_annotations: bool
    ) -> Iterator[_Segment]:
        """Yield the segments in a table; store the reason for each unused row in `left_out`."""
        suffix = file.suffix.lower()
        if suffix in TEXT_SUFFIXES:
            expected = [self._columns.get("path", "path")]
            records, delimiter = read_records(file, TEXT_SUFFIXES[suffix], expected)
            annotations = annotation_table(file, records, delimiter, self._columns)
            if annotations is not None:
                yield from self._annotated_segments(file, annotations, left_out)
                return
            if only_annotations:
                raise InvalidInputError(
                    f"{file}: expected a table of Raven, Audacity or BirdNET-Analyzer, because "
                    "`table` is a folder. Move this file, or pass one table instead of the folder."
                )
            rows = table_rows(file, records, delimiter)
            if not rows:
                raise InvalidInputError(
                    f"{file}: expected at least one row below the header, got none. Add rows."
                )
        else:
            rows = read_rows(file)
        names = tuple(dict.fromkeys(name for row in rows for name in row))
        place = f"{file}, row 1" if suffix in TEXT_SUFFIXES else rows[0].place
        columns = resolve_columns(names, self._columns, place)
        yield from (self._manifest_segment(row, columns) for row in rows)

    def _manifest_segment(self, row: TableRow, columns: Mapping[str, str]) -> _Segment:
        column = columns["path"]
        name = row.get(column)
        if row.is_missing(column) or not isinstance(name, str):
            raise InvalidInputError(
                f"{row.place}: expected a path as text in the column {column!r}, got {name!r:.60}."
            )
        path = self.folder / name
        with_slashes = self.folder / name.replace("\\", "/")  # for paths written on Windows
        with suppress(OSError):  # such a path is listed in `missing`
            if not path.exists() and with_slashes.exists():
                path = with_slashes
        return self._segment(row, columns, recording=name, path=path)

    def _annotated_segments(
        self, file: Path, table: AnnotationTable, left_out: dict[str, str]
    ) -> Iterator[_Segment]:
        base = self.folder if self._has_folder else file.parent
        for row, path in table.recordings(file, base):
            inside = path.is_relative_to(self.folder)
            recording = nfc((path.relative_to(self.folder) if inside else path).as_posix())
            segment = self._segment(row, table.columns, recording=recording, path=path)
            cause = table.left_out.get(row.place, "")
            if segment.duration == 0:
                cause = f"{row.place}: the segment has zero length"
            if cause:
                left_out[f"{recording}, {row.place}"] = cause
                continue
            labels = () if segment.labels == (_NO_CALL,) else segment.labels
            yield replace(segment, labels=labels, group=segment.group or recording)

    def _segment(
        self, row: TableRow, columns: Mapping[str, str], *, recording: str, path: Path
    ) -> _Segment:
        def text(role: str) -> str:
            column = columns.get(role, "")
            return "" if row.is_missing(column) else str(row[column])

        start, end, duration = (
            row.seconds(columns.get(role, "")) for role in ("start", "end", "duration")
        )
        if end is not None and duration is not None:
            raise InvalidInputError(
                f"{row.place}: expected an end or a duration, got both. Remove one."
            )
        start = start or 0.0
        return _Segment(
            place=row.place,
            recording=recording,
            path=path,
            labels=row.labels(columns.get("labels", ""), self._separator),
            start=start,
            duration=duration if end is None else end - start,
            clip_id=text("id"),
            group=text("group") or None,
            split=text("split") or ALL,
        )


def _clips_by_split(segments: Iterable[_Segment]) -> dict[str, list[Clip]]:
    """Return the clips of each split, in the order of the rows; equal segments become one clip.

    Raises:
        InvalidInputError: if two clips have the same id, or two splits differ only in case.
    """
    merged: dict[tuple[str, str, int, int | None], list[_Segment]] = {}
    for segment in segments:
        merged.setdefault(segment.key, []).append(segment)
    id_counts = Counter(rows[0].short_id for rows in merged.values() if not rows[0].clip_id)
    clips: dict[str, list[Clip]] = {}
    places: dict[str, str] = {}
    for rows in merged.values():
        first = rows[0]
        clip = _merged_clip(rows, id_counts)
        if clip.id in places:
            raise InvalidInputError(
                f"{first.place}: expected a unique id, but {places[clip.id]} has the id "
                f"{clip.id!r}, too, for another segment. Change one of them."
            )
        places[clip.id] = first.place
        clips.setdefault(first.split, []).append(clip)
    refuse_case_variants(clips, "splits", "Use one spelling.")
    return clips


def _merged_clip(rows: Sequence[_Segment], id_counts: Counter[str]) -> Clip:
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


def _vocabulary(
    segments: Sequence[_Segment], labels: Sequence[str], separator: str | None
) -> tuple[str, ...]:
    """Return `labels`; if it is empty, return the labels of the segments, sorted.

    Raises:
        InvalidInputError: for a label that is not in `labels`, labels that differ only in case, or
            a label that consists of several known labels with commas.
    """
    places = {
        label: segment.place for segment in reversed(segments) for label in segment.labels or ()
    }
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
