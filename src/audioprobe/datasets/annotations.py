"""Tables of annotation programs: Raven, Audacity and BirdNET-Analyzer, as they save them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from audioprobe.audio.search import READABLE_SUFFIXES
from audioprobe.datasets.columns import check_columns, shown_columns
from audioprobe.errors import InvalidInputError
from audioprobe.io.delimited import plain
from audioprobe.io.tables import TableRow, table_rows
from audioprobe.normalization import nfc, path_on_disk

TEXT_SUFFIXES: Mapping[str, str] = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
"""Endings of tables of text, and the separator that is usual in each."""

_NUMBER = re.compile(r"[+-]?\d+([.,]\d*)?")
_LABEL_TRACK = ("start", "end", "labels")
_FREQUENCIES = "\\"  # begins the second line of a label in Audacity
_TABLE_NAME = re.compile(
    r"((\.table\.\d+)?\.selections?(\.table)?|\.birdnet\.selection\.table|"
    r"\.birdnet\.results(\.(r|kaleidoscope))?)\.(txt|csv|tsv)$",
    re.IGNORECASE,
)
_COMBINED_NAME = re.compile(
    r"birdnet_(selectiontable\.txt|(combinedtable|kaleidoscope|rtable)\.csv)$", re.IGNORECASE
)
_RAVEN_LABELS = (
    *("labels", "label", "annotation", "annotations", "species", "commonname", "scientificname"),
    *("class", "category", "tag", "tags", "type", "calltype", "call", "sound", "speciescode"),
)


@dataclass(frozen=True, slots=True)
class _Format:
    """A table with a header.

    Attributes:
        program: that writes it.
        signature: columns that tell it, as `plain` names.
        times: columns of start, and end or duration, by role.
        labels: columns that may hold labels, the best first.
        paths: columns that may name the sound, the best first.
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
        _RAVEN_LABELS,
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
    """The rows of a table of annotations, and which columns say what.

    Attributes:
        rows: one per selection and label.
        columns: by role, as in a manifest; "path" is left out where the table names no sound.
        left_out: why rows are no clips, by their places.
    """

    rows: tuple[TableRow, ...]
    columns: Mapping[str, str]
    left_out: Mapping[str, str]


def annotation_table(
    file: Path,
    records: Sequence[Sequence[str]],
    delimiter: str,
    given: Mapping[str, str] | None = None,
) -> AnnotationTable | None:
    """Return a table of annotations, or None if it is another table.

    Args:
        file: for messages.
        records: as `delimited_records` returns them.
        delimiter: between cells.
        given: columns by role that go before those of the format.

    Raises:
        InvalidInputError: for rows that do not fit the header, or a Raven table whose labels are in
            no column that is known for them.
    """
    first = next((cells for cells in records if any(cells)), [])
    if delimiter == "\t" and _is_label_track(first):
        return AnnotationTable(_label_track(file, records), {n: n for n in _LABEL_TRACK}, {})
    chosen = dict(given or {})
    names = {plain(name): name for name in reversed(first) if name}
    found = next((f for f in _FORMATS if all(name in names for name in f.signature)), None)
    if found is None:
        return None
    rows = table_rows(file, records, delimiter)
    columns = {role: names[name] for role, name in found.times.items()}
    for role, candidates in (("path", found.paths), ("labels", found.labels)):
        held = [names[name] for name in candidates if name in names]
        if held:
            columns[role] = held[0]
    left_out: dict[str, str] = {}
    if "fileoffset(s)" in names and not chosen.keys() & {"start", "end", "duration"}:
        columns |= _begin_in_file(rows, columns, names)
    if "endfile" in names and "beginfile" in names:
        left_out = {
            row.place: f"{row.place}: it ends in another file"
            for row in rows
            if row[names["endfile"]] not in ("", row[names["beginfile"]])
        }
    columns |= check_columns(chosen, first, f"{file}, row 1")
    if "labels" not in columns and rows:
        raise InvalidInputError(
            f"{file}: expected a column of labels in a table of {found.program}, got the columns "
            f"{', '.join(first)}. Name it, as in {shown_columns({**chosen, 'labels': first[-1]})}; "
            '"" says that nobody has labelled.'
        )
    return AnnotationTable(tuple(rows), columns, left_out)


def _is_label_track(cells: Sequence[str]) -> bool:
    return 2 <= len(cells) <= 4 and all(_NUMBER.fullmatch(cell) for cell in cells[:2])


def _label_track(file: Path, records: Sequence[Sequence[str]]) -> tuple[TableRow, ...]:
    """Start, end and label, without a header; BirdNET adds a confidence."""
    rows = []
    for number, cells in enumerate(records, 1):
        if not any(cells) or cells[0] == _FREQUENCIES:
            continue
        place = f"{file}, row {number}"
        if not _is_label_track(cells):
            raise InvalidInputError(
                f"{place}: expected start, end and label of an Audacity label track, separated by "
                f"tabs, got {cells!r:.80}."
            )
        *times, label, confidence = (*cells, "", "")[:4]
        if confidence and _NUMBER.fullmatch(confidence):  # "Turdus merula, Eurasian Blackbird"
            label = label.rpartition(", ")[2]
        rows.append(TableRow(zip(_LABEL_TRACK, (*times, label), strict=True), place))
    return tuple(rows)


def _begin_in_file(
    rows: Sequence[TableRow], columns: Mapping[str, str], names: Mapping[str, str]
) -> dict[str, str]:
    """Raven counts time through all files that were open; the offset is that in the file."""
    added = {"start": "start in the file", "duration": "end minus begin"}
    for row in rows:
        begin, end, offset = (
            row[column] for column in (columns["start"], columns["end"], names["fileoffset(s)"])
        )
        if offset == "":  # one file: both times are the same
            offset = begin
        numbers = [text.replace(",", ".") for text in (begin, end) if _NUMBER.fullmatch(text)]
        length = "" if len(numbers) < 2 else f"{float(numbers[1]) - float(numbers[0]):.9f}"
        row |= {added["start"]: offset, added["duration"]: length}
    return {**added, "end": ""}


def annotation_files(folder: Path) -> list[Path]:
    """Return the tables of annotations below a folder, sorted.

    They are named as Raven and BirdNET-Analyzer name them, or like a sound beside them.

    Raises:
        InvalidInputError: if there is none.
    """
    below = [p for p in sorted(folder.rglob("*")) if p.suffix.lower() in TEXT_SUFFIXES]
    files = [
        path
        for path in below
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and (
            _TABLE_NAME.search(path.name)
            or _COMBINED_NAME.search(path.name)
            or _beside(path, path.parent)
        )
    ]
    if not files:
        raise InvalidInputError(
            f"{folder}: expected tables of Raven, Audacity or BirdNET-Analyzer in this folder, "
            "named as these programs name them or like the sounds beside them, got none. To read "
            "one table, name the file."
        )
    return files


def sound_of(table: Path, folder: Path, name: str) -> Path:
    """Return the sound that a row of annotations is about.

    Args:
        table: the file.
        folder: of sounds.
        name: the path in the row, which may be that of another machine; "" looks for a sound named
            like the table.

    Returns:
        A path in the folder if there is no such file.

    Raises:
        InvalidInputError: if several sounds are named like the table.
    """
    if not name:
        beside = _beside(table, folder)
        if len(beside) > 1:
            raise InvalidInputError(
                f"{table}: expected one sound of this name, got "
                f"{', '.join(path.name for path in beside)}. Leave one of them in the folder."
            )
        return beside[0] if beside else folder / f"{_stem(table)}.wav"
    last = PureWindowsPath(name).name  # both kinds of separators
    for path in (folder / name, folder / name.replace("\\", "/"), folder / last):
        spelled = path_on_disk(path)
        if spelled.is_file():
            return spelled
    return folder / last


def _stem(table: Path) -> str:
    """The name of a table without what programs add to that of the sound."""
    name = _TABLE_NAME.sub("", table.name)
    return name if name != table.name else table.stem


def _beside(table: Path, folder: Path) -> list[Path]:
    stem = nfc(_stem(table))
    if not folder.is_dir():
        return []
    return [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in READABLE_SUFFIXES and stem in (nfc(path.stem), nfc(path.name))
    ]
