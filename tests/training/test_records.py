"""Records survive a file, and what is wrong with one is told with its number."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioprobe.errors import InvalidInputError
from audioprobe.training.records import QARecord, read_qa_records, write_qa_records

texts = st.text(st.characters(exclude_categories=["Cs"]))
words = texts.filter(str.strip)
records = st.lists(st.builds(QARecord, words, words, texts, texts, texts, texts))


@given(records)
def test_records_survive_a_file(
    tmp_path_factory: pytest.TempPathFactory, given_records: list[QARecord]
) -> None:
    path = tmp_path_factory.mktemp("records") / "records.jsonl"
    assert write_qa_records(path, given_records) == len(given_records)
    assert list(read_qa_records(path)) == given_records


def test_a_list_as_the_authors_publish_it_is_read(tmp_path: Path) -> None:
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


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"instruction": "a"}', "record 1: lacks output, audio_id"),
        ("[1]", "record 1: expected an object"),
        ("{", "record 1: not JSON"),
        ("[{", "not JSON"),
        (
            json.dumps(dict.fromkeys(("instruction", "output", "audio_id", "input", "task"), "a"))
            + "\n",
            "lacks dataset",
        ),
    ],
)
def test_wrong_records_are_told_with_their_number(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text(content)
    with pytest.raises(InvalidInputError, match=words):
        list(read_qa_records(path))


def test_missing_files_and_empty_questions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="not a readable file"):
        list(read_qa_records(tmp_path / "none.json"))
    with pytest.raises(InvalidInputError, match="a question and an answer"):
        QARecord(" ", "yes")
