"""Tables of text: CSV and TSV, as people and spreadsheets save them."""

import codecs
import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

from audioprobe.errors import InvalidInputError
from audioprobe.normalization import nfc

DELIMITERS = (",", ";", "\t", "|")

_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)  # Excel's own first line
_PLAIN = re.compile(r"[\s_-]+")


def plain(name: str) -> str:
    """Return a name for comparison: without case, spaces, underscores and hyphens."""
    return _PLAIN.sub("", name).casefold()


def decoded(file: Path) -> str:
    """Return the text of a file in UTF-8 or, with a byte order mark, UTF-16.

    Raises:
        InvalidInputError: if the file cannot be read, or for another encoding; names the line.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InvalidInputError(f"{file}: cannot be read as a table ({error}).") from error
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        near = content[max(0, error.start - 8) : error.start + 8].decode("cp1252", "replace")
        raise InvalidInputError(
            f"{file}, line {line}: expected text in UTF-8, got the byte "
            f"0x{content[error.start]:02x} ({near!r} in Windows-1252). Save the table "
            "as UTF-8; Excel calls it 'CSV UTF-8'."
        ) from error
    if "\0" in text:
        raise InvalidInputError(
            f"{file}: expected text in UTF-8, got zero bytes (another encoding, or no text). "
            "Save the table as CSV in UTF-8."
        )
    return text


def delimited_records(
    file: Path, usual: str, columns: Sequence[str] = ()
) -> tuple[list[list[str]], str]:
    """Return the rows of a table, the header among them, and what separates the cells.

    Cells are in Unicode NFC, without spaces around them. Blank rows are kept as rows without text,
    so that positions are those of a spreadsheet.

    Args:
        file: of text.
        usual: the separator where the header does not tell otherwise.
        columns: that the header should have.

    Raises:
        InvalidInputError: if the file cannot be read, for another encoding, or for broken quotes.
    """
    text = decoded(file)
    told = _SEPARATOR_LINE.match(text)
    if told:
        text = text[told.end() :]
    delimiter = told[1] if told else _delimiter(text, usual, columns)
    return _records(file, text, delimiter), delimiter


def _records(file: Path, text: str, delimiter: str) -> list[list[str]]:
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True
    )
    try:
        records = list(reader)
    except csv.Error as error:
        if delimiter != "\t":
            raise InvalidInputError(f"{file}, line {reader.line_num}: {error}.") from error
        records = []
    # Programs that separate by tabs often write quotes as they are.
    if delimiter == "\t" and (not records or any("\n" in x for cells in records for x in cells)):
        unquoted = csv.reader(
            io.StringIO(text, newline=""), delimiter=delimiter, quoting=csv.QUOTE_NONE
        )
        records = list(unquoted)
    return [[nfc(cell.strip()) for cell in cells] for cells in records]


def _delimiter(text: str, usual: str, columns: Sequence[str]) -> str:
    """The separator that gives the header these columns, or else the usual one if it is there."""
    wanted = {plain(column) for column in columns}
    headers: dict[str, list[str]] = {}
    for delimiter in dict.fromkeys((usual, *DELIMITERS)):
        reader = csv.reader(
            io.StringIO(text.lstrip("\r\n"), newline=""), delimiter=delimiter, skipinitialspace=True
        )
        headers[delimiter] = next(reader, [])
        if wanted and wanted <= {plain(cell) for cell in headers[delimiter]}:
            return delimiter
    most = max(headers, key=lambda delimiter: len(headers[delimiter]))
    return usual if len(headers[usual]) > 1 else most
