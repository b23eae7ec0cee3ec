"""Read annotation tables of the programs Raven, Audacity and BirdNET-Analyzer."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from audioprobe.audio.files import READABLE_SUFFIXES
from audioprobe.datasets.columns import check_columns, columns_argument
from audioprobe.errors import InvalidInputError
from audioprobe.io.table_row import TableRow
from audioprobe.io.tables import TEXT_SUFFIXES, plain_name, table_rows
from audioprobe.texts import nfc, path_on_disk

_NUMBER = re.compile(r"[+-]?\d+([.,]\d*)?")
_LABEL_TRACK = ("start", "end", "labels")
_FREQUENCIES = "\\"  # first cell of the line with the frequency range of a label
_TABLE_NAME = re.compile(
    r"((\.table\.\d+)?\.selections?(\.table)?|\.birdnet\.selection\.table|"
    r"\.birdnet\.results(\.(r|kaleidoscope))?)\.(txt|csv|tsv)$",
    re.IGNORECASE,
)
_COMBINED_NAME = re.compile(
    r"birdnet_(selectiontable\.txt|(combinedtable|kaleidoscope|rtable)\.csv)$", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class _Format:
    """Format of an annotation table with a header; column names are in lower case, without spaces.

    A table that has all columns in `signature` has this format. `times` maps "start", "end" and
    "duration" to columns. `labels` are columns that may contain the labels, `paths` columns that
    may contain the name of the recording; the first one that exists in the table is used.
    """

    program: str
    signature: tuple[str, ...]
    times: Mapping[str, str]
    labels: tuple[str, ...]
    paths: tuple[str, ...]


_FORMATS = (
    _Format(
        "Raven",
        ("begintime(s)", "endtime(s)"),
        {"start": "begintime(s)", "end": "endtime(s)"},
        (
            *("labels", "label", "annotation", "annotations", "species", "commonname"),
            *("scientificname", "class", "category", "tag", "tags", "type", "calltype", "call"),
            *("sound", "speciescode"),
        ),
        ("beginpath", "beginfile"),
    ),
    _Format(
        "BirdNET-Analyzer",
        ("start(s)", "end(s)", "scientificname", "commonname"),
        {"start": "start(s)", "end": "end(s)"},
        ("commonname",),
        ("file",),
    ),
    _Format(
        "BirdNET-Analyzer for R",
        ("filepath", "start", "end", "scientificname", "commonname"),
        {"start": "start", "end": "end"},
        ("commonname",),
        ("filepath",),
    ),
    _Format(
        "Kaleidoscope",
        ("infile", "offset", "duration"),
        {"start": "offset", "duration": "duration"},
        ("commonname", "manualid", "autoid", "top1match"),
        ("infile",),
    ),
)


@dataclass(frozen=True, slots=True)
class AnnotationTable:
    """Annotations in a table; each row describes a segment of a recording and its label.

    Attributes:
        rows: all rows.
        columns: column of each role, such as "path", "labels" or "start" (see `Manifest`). The
            role "path" is absent if the table does not name the recordings.
        left_out: rows that are not used as clips: the reason, keyed by the row's `place` (file
            and row number).
    """

    rows: tuple[TableRow, ...]
    columns: Mapping[str, str]
    left_out: Mapping[str, str]

    def recordings(self, file: Path, folder: Path) -> Iterator[tuple[TableRow, Path]]:
        """Yield each row of the table `file` with the path of its recording in `folder`.

        Raises:
            InvalidInputError: if two names in the table refer to the same recording, or if the
                table has no recording names and several recordings have the table's name.
        """
        paths: dict[str, Path] = {}
        for row in self.rows:
            name = row.get(self.columns.get("path", ""), "") or ""
            if name not in paths:
                path = _recording_path(file, folder, name)
                if path in paths.values():
                    other = next(other for other, used in paths.items() if used == path)
                    raise InvalidInputError(
                        f"{row.place}: expected one name per recording, but {name!r} and {other!r} "
                        f"both refer to {path}. Move the recordings to the paths in the table, or "
                        "use one table per recording."
                    )
                paths[name] = path
            yield row, paths[name]


def annotation_table(
    file: Path,
    header: Sequence[str],
    records: Iterable[Sequence[str]],
    delimiter: str,
    chosen: Mapping[str, str],
) -> AnnotationTable | None:
    """Return the annotations in a table of Raven, Audacity or BirdNET-Analyzer.

    Return None if the table has none of these formats, without reading `records`: the cells of each
    row, also of the header, which are separated by `delimiter` in the file. `chosen` maps roles,
    such as "labels", to columns that the user prefers to the columns of the format; "" means that
    the role has no column.

    Raises:
        InvalidInputError: if a row has more or fewer cells than the header, if a chosen role or
            column does not exist, or if a table with rows has no known label column.
    """
    if delimiter == "\t" and _is_label_track(header):
        columns = {role: role for role in _LABEL_TRACK}
        return AnnotationTable(_label_track_rows(file, records), columns, {})
    names = {plain_name(name): name for name in reversed(header) if name}
    table_format = next((f for f in _FORMATS if names.keys() >= set(f.signature)), None)
    if table_format is None:
        return None
    rows = list(table_rows(file, records, delimiter))
    columns = {role: names[name] for role, name in table_format.times.items()}
    for role, candidates in (("path", table_format.paths), ("labels", table_format.labels)):
        column = next((names[name] for name in candidates if name in names), "")
        if column:
            columns[role] = column
    if "fileoffset(s)" in names and not chosen.keys() & {"start", "end", "duration"}:
        columns |= _use_file_offsets(rows, columns, names["fileoffset(s)"])
    left_out: dict[str, str] = {}
    if "endfile" in names and "beginfile" in names:
        left_out = {
            row.place: f"{row.place}: the segment ends in another file"
            for row in rows
            if row[names["endfile"]] not in ("", row[names["beginfile"]])
        }
    columns |= check_columns(chosen, header, f"{file}, row 1")
    if "labels" not in columns and rows:
        example = columns_argument({**chosen, "labels": header[-1]})
        raise InvalidInputError(
            f"{file}: expected a known label column in a table of {table_format.program}, got the "
            f'columns {", ".join(header)}. Pass the label column, as in {example}; "" means that '
            "the segments have no labels."
        )
    return AnnotationTable(tuple(rows), columns, left_out)


def annotation_files(folder: Path) -> list[Path]:
    """Return the paths of the annotation tables in a folder and its subfolders, sorted.

    A text file is an annotation table if its name is a default file name of Raven or
    BirdNET-Analyzer, or if a recording in the same folder has the same name.

    Raises:
        InvalidInputError: if no table is found.
    """
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in TEXT_SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and (
            _TABLE_NAME.search(path.name)
            or _COMBINED_NAME.search(path.name)
            or _recordings_named_like(path, path.parent)
        )
    ]
    if not files:
        raise InvalidInputError(
            f"{folder}: expected tables of Raven, Audacity or BirdNET-Analyzer with the default "
            "names of these programs or the names of recordings, got no such file. To read another "
            "table, pass its path instead of the folder."
        )
    return files


def _is_label_track(cells: Sequence[str]) -> bool:
    """Return whether a row is from a label track of Audacity: start, end and optionally a label."""
    return 2 <= len(cells) <= 4 and all(_NUMBER.fullmatch(cell) for cell in cells[:2])


def _label_track_rows(file: Path, records: Iterable[Sequence[str]]) -> tuple[TableRow, ...]:
    """Return the rows of a label track of Audacity, with start, end and label.

    A label track of BirdNET-Analyzer has a fourth column with the confidence, which is ignored.
    """
    rows = []
    for number, cells in enumerate(records, 1):
        if not any(cells) or cells[0] == _FREQUENCIES:
            continue
        place = f"{file}, row {number}"
        if not _is_label_track(cells):
            raise InvalidInputError(
                f"{place}: expected a row of a label track (start, end and label, separated by "
                f"tabs) as in the first row, got {cells!r:.80}. Correct or remove the row."
            )
        start, end, label, confidence = (*cells, "", "")[:4]
        if _NUMBER.fullmatch(confidence):  # the label is "Turdus merula, Eurasian Blackbird"
            label = label.rpartition(", ")[2]
        rows.append(TableRow(zip(_LABEL_TRACK, (start, end, label), strict=True), place, "\t"))
    return tuple(rows)


def _use_file_offsets(
    rows: Sequence[TableRow], columns: Mapping[str, str], offsets: str
) -> dict[str, str]:
    """Add columns with start and duration in each file to `rows`; return the columns by role.

    If several files are open in Raven, its start and end times are relative to the first file.
    `offsets` is the column with the start in the file itself. "end" gets no column ("").
    """
    added = {"start": "start in the file", "duration": "end minus begin"}
    for row in rows:
        begin, end = row[columns["start"]], row[columns["end"]]
        times = [text.replace(",", ".") for text in (begin, end) if _NUMBER.fullmatch(text)]
        row[added["start"]] = row[offsets] or begin  # equal if one file is open
        row[added["duration"]] = (
            f"{float(times[1]) - float(times[0]):.9f}" if len(times) == 2 else ""
        )
    return {**added, "end": ""}


def _recording_path(table: Path, folder: Path, name: str) -> Path:
    """Return the path of the recording with a name from the table; the file may not exist.

    If `name` is "", return the recording in `folder` that has the same name as the table.
    """
    if not name:
        similar = _recordings_named_like(table, folder)
        if len(similar) > 1:
            raise InvalidInputError(
                f"{table}: expected one recording with the name of this table, got "
                f"{', '.join(path.name for path in similar)}. Move all but one to another folder."
            )
        return similar[0] if similar else folder / f"{_stem(table)}.wav"
    last = PureWindowsPath(name).name  # accepts both kinds of separators
    for path in (folder / name, folder / name.replace("\\", "/"), folder / last):
        spelled = path_on_disk(path)
        if os.path.isfile(spelled):  # noqa: PTH113 - False for a path that is too long
            return spelled
    return folder / last


def _stem(table: Path) -> str:
    """Return a table's name without suffixes such as ".Table.1.selections.txt"."""
    name = _TABLE_NAME.sub("", table.name)
    return name if name != table.name else table.stem


def _recordings_named_like(table: Path, folder: Path) -> list[Path]:
    """Return the audio files in a folder that have the same name as a table, sorted."""
    stem = nfc(_stem(table))
    if not folder.is_dir():
        return []
    return [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in READABLE_SUFFIXES and stem in (nfc(path.stem), nfc(path.name))
    ]
