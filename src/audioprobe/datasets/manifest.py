"""Your own clips, listed in a table of your own or by an annotation program."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from audioprobe.datasets.annotations import (
    TEXT_SUFFIXES,
    AnnotationTable,
    annotation_files,
    annotation_table,
    sound_of,
)
from audioprobe.datasets.cells import refuse_case_variants
from audioprobe.datasets.columns import find_columns
from audioprobe.datasets.in_memory import InMemoryDataset
from audioprobe.datasets.labels import is_missing, labels_of, refuse_commas, seconds_of
from audioprobe.datasets.segments import Segment, clips_of_segments
from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.io.delimited import delimited_records
from audioprobe.io.tables import TableRow, read_rows, table_rows
from audioprobe.normalization import nfc

ALL = "all"
"""The split of a table without one."""

_NO_CALL = "nocall"  # what BirdNET-Analyzer writes where it detects nothing


class Manifest(InMemoryDataset):
    """Clips of a table: CSV, TSV, JSON lines or Parquet (extra `data`).

    Columns: `path` (relative to `folder`, or absolute); and if they are there `labels` (several of
    them with ";" between, or a list), `id` (else the path, with the start where there is one),
    `start` and `end` or `duration` in seconds, `group` (site, recorder, source recording) and
    `split`. Without a column `labels` nobody has said what is heard; an empty cell says that
    nothing is, and a missing value ("NaN", "NA", "None", null) that nobody has said. Case, spaces,
    plural, "_time" and "_s" in names of columns do not matter; other names that probably mean one
    of these are refused with the `columns=` to write.

    Rows about the same piece of the same file are one clip with the labels of all of them; pieces
    that overlap are clips of their own, each with its own labels.

    Selection tables of Raven, label tracks of Audacity and results of BirdNET-Analyzer are read as
    they are. The sound is the one that a row names, looked for in `folder` where the path is that
    of another machine, or else the one that is named like the table; it is the group. Selections
    without length, or that end in another file, are in `left_out`.

    Args:
        table: the file; or a folder with tables of annotation programs.
        folder: where paths begin, and where sounds of annotations are; None is the folder of the
            table.
        columns: other names of these columns, `{"path": "filename", "labels": "species"}`; "" says
            that the table has no such column.
        labels: every label, in order; empty takes those of the table, sorted.
        separator: between labels of one cell; None is ";" and refuses cells that seem to have
            another.

    Raises:
        InvalidInputError: for a table that cannot be read, an unknown or ambiguous column, a time
            that is not one, a label that is not among `labels`, labels that differ in case alone
            unless both are in `labels`, or two clips of one id; names the row, as a spreadsheet
            counts them: the header is row 1.
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
        base = file if file.is_dir() else file.parent
        self.folder = base if folder is None else Path(folder).expanduser()
        self._has_folder = folder is not None
        self._given = columns
        self._separator = separator
        left_out: dict[str, str] = {}
        segments = [
            segment
            for path in (annotation_files(file) if file.is_dir() else [file])
            for segment in self._segments(path, left_out, only_annotations=file.is_dir())
        ]
        clips = clips_of_segments(segments)
        super().__init__(
            nfc(file.name if file.is_dir() else file.stem),
            clips,
            _vocabulary(segments, labels, separator),
            left_out=left_out,
        )

    def _segments(
        self, file: Path, left_out: dict[str, str], *, only_annotations: bool
    ) -> Iterator[Segment]:
        if file.suffix.lower() not in TEXT_SUFFIXES:
            rows = read_rows(file)
            names = tuple(dict.fromkeys(name for row in rows for name in row))
            columns = find_columns(names, self._given, rows[0].place)
            yield from (self._listed_segment(row, columns, "") for row in rows)
            return
        named = [(self._given or {}).get("path", "path")]
        records, delimiter = delimited_records(file, TEXT_SUFFIXES[file.suffix.lower()], named)
        annotations = annotation_table(file, records, delimiter, self._given)
        if annotations is not None:
            yield from self._annotated(file, annotations, delimiter, left_out)
            return
        if only_annotations:
            raise InvalidInputError(
                f"{file}: expected a table of Raven, Audacity or BirdNET-Analyzer. Move it away, "
                "or name one table instead of the folder."
            )
        rows = table_rows(file, records, delimiter)
        if not rows:
            raise InvalidInputError(f"{file}: has no rows.")
        columns = find_columns(tuple(rows[0]), self._given, f"{file}, row 1")
        yield from (self._listed_segment(row, columns, delimiter) for row in rows)

    def _listed_segment(self, row: TableRow, columns: Mapping[str, str], delimiter: str) -> Segment:
        name = row.get(columns["path"])
        if is_missing(name):
            raise InvalidInputError(f"{row.place}: the column {columns['path']!r} is empty.")
        if not isinstance(name, str):
            raise InvalidInputError(
                f"{row.place}: the column {columns['path']!r} needs a path, got {name!r:.60}."
            )
        path = self.folder / name
        if "\\" in name and not path.exists():  # saved by Windows
            other = self.folder / name.replace("\\", "/")
            path = other if other.exists() else path
        return _segment(row, columns, delimiter, self._separator, sound=name, path=path)

    def _annotated(
        self, file: Path, table: AnnotationTable, delimiter: str, left_out: dict[str, str]
    ) -> Iterator[Segment]:
        base = self.folder if self._has_folder else file.parent
        paths: dict[str, Path] = {}  # of sounds, by what rows call them
        for row in table.rows:
            name = row.get(table.columns.get("path", ""), "") or ""
            if name not in paths:
                path = sound_of(file, base, name)
                other = next((other for other, same in paths.items() if same == path), None)
                if other is not None:
                    raise InvalidInputError(
                        f"{row.place}: {name!r} and {other!r} are both found as {path}. Put the "
                        "sounds where the table says, or keep a table per sound."
                    )
                paths[name] = path
            path = paths[name]
            inside = path.is_relative_to(self.folder)
            sound = nfc((path.relative_to(self.folder) if inside else path).as_posix())
            segment = _segment(
                row, table.columns, delimiter, self._separator, sound=sound, path=path
            )
            segment = replace(
                segment,
                labels=() if segment.labels == (_NO_CALL,) else segment.labels,
                group=segment.group or sound,
            )
            cause = table.left_out.get(row.place, "")
            if segment.duration == 0:
                cause = f"{row.place}: a selection without length"
            if cause:
                left_out[f"{sound}, {row.place}"] = cause
            else:
                yield segment


def _segment(
    row: TableRow,
    columns: Mapping[str, str],
    delimiter: str,
    separator: str | None,
    *,
    sound: str,
    path: Path,
) -> Segment:
    def cell(role: str) -> object:
        return row.get(columns[role]) if columns.get(role) else None

    def text(role: str) -> str:
        return "" if is_missing(cell(role)) else str(cell(role))

    try:
        start, end, duration = (
            seconds_of(cell(role), columns.get(role, role), delimiter)
            for role in ("start", "end", "duration")
        )
        labels = labels_of(cell("labels"), separator) if columns.get("labels") else None
    except InvalidInputError as error:
        raise InvalidInputError(f"{row.place}: {error}") from error
    if end is not None and duration is not None:
        raise InvalidInputError(
            f"{row.place}: has both an end and a duration; leave one of them out."
        )
    start = start or 0.0
    return Segment(
        place=row.place,
        sound=sound,
        path=path,
        labels=labels,
        start=start,
        duration=duration if end is None else end - start,
        clip_id=text("id"),
        group=text("group") or None,
        split=text("split") or ALL,
    )


def _vocabulary(
    segments: Sequence[Segment], labels: Sequence[str], separator: str | None
) -> tuple[str, ...]:
    """Every label, sorted unless named; refuses those that are probably mistakes."""
    places = {
        label: segment.place for segment in reversed(segments) for label in segment.labels or ()
    }
    known = tuple(map(nfc, labels)) or tuple(sorted(places))
    if separator is None:
        refuse_commas(places, known)
    if not labels:
        refuse_case_variants(known, "labels", "Write them alike, or list both in labels=[...].")
    for label, place in places.items():
        if label not in known:
            raise InvalidInputError(
                f"{place}: the label {label!r} is not among labels=[...]."
                f"{did_you_mean(label, known)}"
            )
    return known
