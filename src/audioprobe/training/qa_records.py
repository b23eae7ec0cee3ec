"""Files of question-answer records, in the format of LTU's training data (OpenAQA)."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields
from pathlib import Path

from audioprobe.errors import InvalidInputError
from audioprobe.parsing import parse_json
from audioprobe.training.examples import QARecord

_KEYS = tuple(field.name for field in fields(QARecord))


def write_qa_records(path: str | Path, records: Iterable[QARecord]) -> int:
    """Write records to a file, one JSON object per line, and return the number of records."""
    lines = [json.dumps(asdict(record), ensure_ascii=False) + "\n" for record in records]
    Path(path).write_text("".join(lines), encoding="utf-8")
    return len(lines)


def read_qa_records(path: str | Path) -> Iterator[QARecord]:
    """Read records from a file of JSON lines, or of one JSON list as published by LTU's authors.

    Raises:
        InvalidInputError: if the file cannot be read or is not JSON, or if a record lacks a key or
            has a value that is not text; the message names the record.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{path}: not readable as UTF-8 text ({error}).") from error
    entries: Iterable[object]
    if text.lstrip().startswith("["):
        entries = _parse_json(text, str(path))  # type: ignore[assignment]
    else:
        lines = [line for line in text.split("\n") if line.strip()]
        entries = (_parse_json(line, f"{path}, record {n}") for n, line in enumerate(lines, 1))
    for number, entry in enumerate(entries, 1):
        yield _record(entry, f"{path}, record {number}")


def _parse_json(text: str, source: str) -> object:
    try:
        parsed: object = parse_json(text)
    except ValueError as error:
        raise InvalidInputError(f"{source}: not JSON ({error}). Is the file complete?") from error
    return parsed


def _record(entry: object, source: str) -> QARecord:
    if not isinstance(entry, Mapping):
        raise InvalidInputError(f"{source}: expected an object, got {entry!r:.60}.")
    if missing := [key for key in _KEYS if key not in entry]:
        raise InvalidInputError(f"{source}: missing keys: {', '.join(missing)}.")
    if wrong := [key for key in _KEYS if not isinstance(entry[key], str)]:
        raise InvalidInputError(f"{source}: expected text as the value of {', '.join(wrong)}.")
    return QARecord(**{key: entry[key] for key in _KEYS})
