"""Records are stored unchanged, and read from files in the format of OpenAQA."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprobe.errors import InvalidInputError
from audioprobe.training.examples import QARecord
from audioprobe.training.qa_records import read_qa_records, write_qa_records

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NON_EMPTY = TEXT.filter(str.strip)
RECORDS = st.lists(
    st.builds(
        QARecord,
        instruction=NON_EMPTY,
        output=NON_EMPTY,
        audio_id=TEXT,
        input=TEXT,
        dataset=TEXT,
        task=TEXT,
    ),
    max_size=4,
)


@settings(max_examples=25)
@given(RECORDS)
def test_records_are_stored_unchanged(
    tmp_path_factory: pytest.TempPathFactory, records: list[QARecord]
) -> None:
    path = tmp_path_factory.getbasetemp() / "records.jsonl"
    assert write_qa_records(path, records) == len(records)
    assert list(read_qa_records(path)) == records


def test_list_in_the_format_of_openaqa_is_read(tmp_path: Path) -> None:
    entry = {
        "instruction": "Closed-ended question: Write an audio caption describing the sound.",
        "input": "",
        "dataset": "audiocaps",
        "task": "caption",
        "audio_id": "/data/a.flac",
        "output": "Audio caption: Rain falls on a tin roof.",
    }
    path = tmp_path / "openaqa.json"
    path.write_text(json.dumps([entry, entry]))
    assert list(read_qa_records(path)) == [QARecord(**entry)] * 2


_KEYS = ("instruction", "output", "audio_id", "input", "task", "dataset")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"instruction": "a"}', "record 1: missing keys: output, audio_id"),
        ("[1]", "record 1: expected an object"),
        ("{", "record 1: not JSON"),
        ("[{", "not JSON"),
        (json.dumps(dict.fromkeys(_KEYS[:-1], "a")), "missing keys: dataset"),
        (json.dumps(dict.fromkeys(_KEYS, 1)), "expected text as the value of instruction"),
    ],
)
def test_message_names_the_wrong_record(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text(content)
    with pytest.raises(InvalidInputError, match=message):
        list(read_qa_records(path))


def test_missing_file_raises(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="not readable"):
        list(read_qa_records(tmp_path / "none.json"))
