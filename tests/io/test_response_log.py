"""A journal survives whatever may end a run, and refuses what it did not write."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioprobe import CachedModel, Prompt, Scripted
from audioprobe.errors import InvalidInputError
from audioprobe.io.response_log import ResponseLog

ANSWERS = {
    bytes([n]) * 32: json.dumps({"text": f"Grüße {n}", "x": 0.1 * n}).encode() for n in b"abc"
}


@given(cut=st.integers(0, 400))
def test_cut_anywhere_it_keeps_every_whole_line(
    cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("run") / "responses.jsonl"
    journal = ResponseLog(path)
    for key, answer in ANSWERS.items():
        journal.write({key: answer})
    content = path.read_bytes()
    path.write_bytes(content[:cut])
    again = ResponseLog(path)
    assert len(again) == content[:cut].count(b"\n")
    assert again.torn == (0 < cut < len(content) and content[:cut][-1:] != b"\n")
    again.write(ANSWERS)
    assert path.read_bytes() == content
    assert {k: json.loads(v) for k, v in ResponseLog(path).read(list(ANSWERS)).items()} == {
        k: json.loads(v) for k, v in ANSWERS.items()
    }


def test_the_first_answer_stays(tmp_path: Path) -> None:
    journal = ResponseLog(tmp_path / "r.jsonl")
    journal.write({b"k": b'"first"'})
    journal.write({b"k": b'"second"'})
    assert journal.read([b"k", b"other"]) == {b"k": b'"first"'}
    assert (tmp_path / "r.jsonl").read_text().count("\n") == 1


@pytest.mark.parametrize("line", ["{}", "nonsense", "[]", '{"key": "zz", "answer": 1, "crc": 0}'])
def test_a_line_that_was_not_written_here_is_told_with_its_number(
    line: str, tmp_path: Path
) -> None:
    path = tmp_path / "r.jsonl"
    ResponseLog(path).write({b"k": b'"first"'})
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(InvalidInputError, match="line 2 is not what was written"):
        ResponseLog(path)


def test_a_changed_answer_is_told(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    ResponseLog(path).write({b"k": b'"a crow"'})
    path.write_text(path.read_text().replace("crow", "drum"))
    with pytest.raises(InvalidInputError, match="line 1"):
        ResponseLog(path)


def test_behind_a_model_it_answers_what_was_asked_before(tmp_path: Path) -> None:
    prompts = [Prompt("one"), Prompt("two"), Prompt("one")]
    first = CachedModel(Scripted({"one": "A", "two": "B"}), ResponseLog(tmp_path / "r.jsonl"))
    said = [response.text for response in first.generate(prompts)]
    again = CachedModel(Scripted({"one": "A", "two": "B"}), ResponseLog(tmp_path / "r.jsonl"))
    assert [response.text for response in again.generate(prompts)] == said
    assert (again.n_hits, again.n_misses) == (3, 0)
