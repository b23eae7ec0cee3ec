"""Questions and answers about sounds, in the record that LTU was trained on."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import cast

from audioprobe.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class QARecord:
    """One question with its answer; the keys are those of LTU's data (OpenAQA).

    Attributes:
        instruction: the question.
        output: the answer.
        audio_id: of the sound, "" for a question about words alone.
        input: what stands between them; spoken words in LTU-AS, "" in LTU.
        dataset: where the sound comes from.
        task: kind of question, for counts and mixtures.
    """

    instruction: str
    output: str
    audio_id: str = ""
    input: str = ""
    dataset: str = ""
    task: str = ""

    def __post_init__(self) -> None:
        if not self.instruction.strip() or not self.output.strip():
            raise InvalidInputError(
                f"A record needs a question and an answer, got {self.instruction!r:.60} and "
                f"{self.output!r:.60}."
            )


_NAMES = tuple(field.name for field in fields(QARecord))


def write_qa_records(path: str | Path, records: Iterable[QARecord]) -> int:
    """Write records as JSON, one a line.

    Returns:
        How many.
    """
    n_records = 0
    with Path(path).open("w", encoding="utf-8") as stream:
        for record in records:
            stream.write(json.dumps(asdict(record), ensure_ascii=False) + "\n")
            n_records += 1
    return n_records


def read_qa_records(path: str | Path) -> Iterator[QARecord]:
    """Read records: JSON lines, or one JSON list as LTU's authors publish theirs.

    Raises:
        InvalidInputError: if the file is not there, is no JSON, or an entry lacks a key or has a
            wrong one; names the entry.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{path}: not a readable file of records ({error}).") from error
    entries: Iterable[object]
    if text.lstrip().startswith("["):
        entries = cast("list[object]", _parsed(text, str(path)))
    else:
        lines = [line for line in text.split("\n") if line.strip()]
        entries = (_parsed(line, f"{path}, record {n}") for n, line in enumerate(lines, 1))
    for number, entry in enumerate(entries, 1):
        yield _record(entry, f"{path}, record {number}")


def _parsed(line: str, where: str) -> object:
    try:
        parsed: object = json.loads(line)
    except ValueError as error:
        raise InvalidInputError(f"{where}: not JSON ({error}). Is the file complete?") from error
    return parsed


def _record(entry: object, where: str) -> QARecord:
    if not isinstance(entry, Mapping):
        raise InvalidInputError(f"{where}: expected an object, got {entry!r:.60}.")
    missing = [name for name in _NAMES if name not in entry]
    if missing:
        raise InvalidInputError(f"{where}: lacks {', '.join(missing)}.")
    values = {name: entry[name] for name in _NAMES}
    wrong = [name for name, value in values.items() if not isinstance(value, str)]
    if wrong:
        raise InvalidInputError(f"{where}: expected texts, these are none: {', '.join(wrong)}.")
    return QARecord(**values)
