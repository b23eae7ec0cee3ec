"""The response log of a run survives a kill and detects damaged lines."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprobe import CachedModel, Prompt, Scripted
from audioprobe.errors import InvalidInputError
from audioprobe.io.cache import ResponseLog

VALUES = {
    bytes([n]) * 32: json.dumps({"text": f"Grüße {n}", "x": 0.1 * n}).encode() for n in b"abc"
}


@settings(max_examples=30, deadline=None)
@given(cut=st.integers(0, 400))
def test_complete_lines_survive_a_cut_at_any_byte(
    cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("run") / "responses.jsonl"
    log = ResponseLog(path)
    for key, value in VALUES.items():
        log.write({key: value})
    content = path.read_bytes()
    path.write_bytes(content[:cut])
    reopened = ResponseLog(path)
    assert len(reopened) == content[:cut].count(b"\n")
    assert reopened.truncated == (0 < cut < len(content) and content[:cut][-1:] != b"\n")
    reopened.write(VALUES)
    assert path.read_bytes() == content
    stored = ResponseLog(path)
    assert stored.read(list(VALUES)) == stored.read_all()
    assert [json.loads(value) for value in stored.read_all().values()] == [
        json.loads(value) for value in VALUES.values()
    ]


def test_first_value_of_a_key_is_kept(tmp_path: Path) -> None:
    log = ResponseLog(tmp_path / "r.jsonl")
    log.write({b"k": b'"first"'})
    log.write({b"k": b'"second"'})
    assert log.read([b"k", b"other"]) == {b"k": b'"first"'}
    assert (tmp_path / "r.jsonl").read_text().count("\n") == 1


def test_value_that_is_not_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="Use a SQLiteCache for embeddings"):
        ResponseLog(tmp_path / "r.jsonl").write({b"k": b"\x00\xff"})


@pytest.mark.parametrize("line", ["{}", "nonsense", "[]", '{"key": "zz", "answer": 1, "crc": 0}'])
def test_foreign_line_is_an_error_with_its_number(line: str, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    ResponseLog(path).write({b"k": b'"first"'})
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(InvalidInputError, match="line 2 is damaged"):
        ResponseLog(path)


def test_changed_value_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    ResponseLog(path).write({b"k": b'"a crow"'})
    path.write_text(path.read_text().replace("crow", "drum"))
    with pytest.raises(InvalidInputError, match="line 1"):
        ResponseLog(path)


def test_log_serves_as_the_cache_of_a_model(tmp_path: Path) -> None:
    prompts = [Prompt("one"), Prompt("two"), Prompt("one")]
    texts = []
    for _ in range(2):
        model = CachedModel(Scripted({"one": "A", "two": "B"}), ResponseLog(tmp_path / "r.jsonl"))
        texts.append([response.text for response in model.generate(prompts)])
    assert texts == [["A", "B", "A"]] * 2
    assert (model.n_hits, model.n_misses) == (3, 0)
