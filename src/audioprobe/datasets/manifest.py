"""Data set of the clips in a table: a table of the user, or one of an annotation program."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path

from audioprobe.datasets.annotations import AnnotationTable, annotation_files, annotation_table
from audioprobe.datasets.columns import resolve_columns
from audioprobe.datasets.in_memory import ALL, InMemoryDataset
from audioprobe.datasets.segments import Segment, clips_by_split, vocabulary_of
from audioprobe.errors import InvalidInputError
from audioprobe.io.table_row import TableRow
from audioprobe.io.tables import TEXT_SUFFIXES, read_records, read_rows, table_rows, with_header
from audioprobe.texts import nfc

_NO_CALL = "nocall"  # label that BirdNET-Analyzer writes where it detects nothing


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
        self._found: dict[str, Path] = {}  # recordings by their name in a table
        left_out: dict[str, str] = {}
        clips, label_places = clips_by_split(
            segment
            for path in (annotation_files(file) if is_folder else [file])
            for segment in self._segments(path, left_out, only_annotations=is_folder)
        )
        vocabulary = vocabulary_of(label_places, labels, separator)
        name = nfc(file.name if is_folder else file.stem)
        super().__init__(name, clips, vocabulary, left_out=left_out)

    def _segments(
        self, file: Path, left_out: dict[str, str], *, only_annotations: bool
    ) -> Iterator[Segment]:
        """Yield the segments in a table; store the reason for each unused row in `left_out`."""
        suffix = file.suffix.lower()
        if suffix in TEXT_SUFFIXES:
            expected = [self._columns.get("path", "path")]
            records, delimiter = read_records(file, TEXT_SUFFIXES[suffix], expected)
            header, records = with_header(records)
            annotations = annotation_table(file, header, records, delimiter, self._columns)
            if annotations is not None:
                yield from self._annotated_segments(file, annotations, left_out)
                return
            if only_annotations:
                raise InvalidInputError(
                    f"{file}: expected a table of Raven, Audacity or BirdNET-Analyzer, because "
                    "`table` is a folder. Move this file, or pass one table instead of the folder."
                )
            rows = table_rows(file, records, delimiter)
            first = next(rows, None)
            if first is None:
                raise InvalidInputError(
                    f"{file}: expected at least one row below the header, got none. Add rows."
                )
            columns = resolve_columns(tuple(first), self._columns, f"{file}, row 1")
            rows = chain([first], rows)
        else:
            listed = read_rows(file)
            names = tuple(dict.fromkeys(name for row in listed for name in row))
            columns = resolve_columns(names, self._columns, listed[0].place)
            rows = iter(listed)
        yield from (self._manifest_segment(row, columns) for row in rows)

    def _manifest_segment(self, row: TableRow, columns: Mapping[str, str]) -> Segment:
        column = columns["path"]
        name = row.get(column)
        if row.is_missing(column) or not isinstance(name, str):
            raise InvalidInputError(
                f"{row.place}: expected a path as text in the column {column!r}, got {name!r:.60}."
            )
        if name not in self._found:
            self._found[name] = self._find(name)
        return self._segment(row, columns, recording=name, path=self._found[name])

    def _find(self, name: str) -> Path:
        """Return the path of a recording, whose name may have been written on Windows."""
        path, with_slashes = self.folder / name, self.folder / name.replace("\\", "/")
        with suppress(OSError):  # such a path is listed in `missing`
            if not path.exists() and with_slashes.exists():
                return with_slashes
        return path

    def _annotated_segments(
        self, file: Path, table: AnnotationTable, left_out: dict[str, str]
    ) -> Iterator[Segment]:
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
    ) -> Segment:
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
        return Segment(
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
