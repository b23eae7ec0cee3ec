"""Samples of lmms-eval become trials; bad files are refused with the place and the cause."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from tests.exchange.probes import write_samples

from audioprobe.errors import InvalidInputError
from audioprobe.exchange import analyze_logs, read_lmms_eval, read_log
from audioprobe.exchange.scored_log import lettered_options

REAL = Path(__file__).parents[1] / "data/lmms_eval/org__model"
(REAL_SAMPLES,) = REAL.glob("*.jsonl")


def test_real_samples_give_the_accuracy_of_lmms_eval() -> None:
    log = read_log(REAL_SAMPLES)
    assert (log.tool, log.model, log.task) == ("lmms-eval", "org__model", "sounds_mcq")
    assert len(log.trials) == 12
    (score,) = analyze_logs([log]).scores
    assert score.score.strict_accuracy.value == pytest.approx(2 / 12)
    assert (score.score.n_trials, score.score.n_invalid, score.score.n_failed) == (12, 2, 0)
    first = log.trials[0].question
    assert first.text.startswith("Which sound is in recording 0?\nA. a crow")
    assert (first.pair.target, first.pair.relation, first.condition) == ("0", "other", "audio")


def test_parsing_again_finds_answers_that_name_no_option() -> None:
    trials = read_log(REAL_SAMPLES, parse=True).trials
    assert trials[0].question.options == ("a crow", "a dog", "rain", "a bell")
    assert [t.question.correct for t in trials] == [0, 1, 2, 3] * 3
    assert [t.parsed for t in trials[:5]] == [0, 1, None, None, 2]
    (score,) = analyze_logs([read_log(REAL_SAMPLES, parse=True)]).scores
    assert score.score.n_invalid == 4


@pytest.mark.parametrize(
    ("metrics", "metric", "expected"),
    [
        ({"accuracy": 1.0}, "", True),
        ({"exact_match": 0}, "", False),
        ({"accuracy": {"overall": 1, "animals": 0}}, "", True),
        ({"accuracy": {"score": 0.0, "category": "x"}, "submission": {"id": 1}}, "", False),
        ({"accuracy": {"overall": 1, "animals": 0}}, "accuracy.animals", False),
        ({"a": 1, "b": 0}, "b", False),
        ({"is_right": {"value": True}}, "", True),
    ],
)
def test_score_is_read_from_the_metric(
    metrics: dict[str, Any], metric: str, expected: bool, tmp_path: Path
) -> None:
    path = write_samples(tmp_path / "m/1_samples_t.jsonl", [{**metrics, "filtered_resps": ["x"]}])
    (trial,) = read_lmms_eval(path, metric=metric).trials
    assert trial.is_correct("free-text") is expected


def test_missing_scores_and_empty_responses_are_counted_not_guessed(tmp_path: Path) -> None:
    samples: list[dict[str, Any]] = [
        {"accuracy": 1.0},
        {"accuracy": None},
        {"accuracy": float("nan")},
        {},
        {"accuracy": 0.0, "filtered_resps": " "},
        {"accuracy": 1.0, "filtered_resps": ["[invalid]"]},
    ]
    log = read_lmms_eval(write_samples(tmp_path / "samples_t.jsonl", samples))
    (score,) = analyze_logs([log]).scores
    assert (score.score.n_trials, score.score.n_failed, score.score.n_invalid) == (6, 3, 2)
    assert score.score.accuracy.value == 1.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"doc_id": 0, "target": "A", "filt', "line 1.*JSON"),
        ('{"id": 1, "messages": []}', "doc_id.*--log_samples"),
        ("[1, 2]", "doc_id"),
        ("", "empty"),
        ("\0\0", "JSON"),
        ('{"doc_id": 0, "target": "A", "filtered_resps": "A"}', "none in the log"),
        ('{"doc_id": 0, "target": "A", "filtered_resps": "A", "acc": 0.5}', "0 or 1.*0.5"),
        ('{"doc_id": 0, "target": "A", "filtered_resps": "A", "a": 1, "b": 1}', r"a, b.*--metric"),
        ('{"doc_id": 0, "target": "A", "filtered_resps": "A", "a": {"x": 1, "y": 0}}', "x, y"),
        ('{"doc_id": 0, "target": "A", "filtered_resps": "A", "a": "good"}', "good"),
    ],
)
def test_files_of_other_tools_and_half_lines_are_refused(
    text: str, expected: str, tmp_path: Path
) -> None:
    path = tmp_path / "x_samples_t.jsonl"
    path.write_text(text, "utf-8")
    with pytest.raises(InvalidInputError, match=expected):
        read_log(path)


def test_repeated_item_and_unknown_metric_are_refused(tmp_path: Path) -> None:
    path = write_samples(tmp_path / "a.jsonl", [{"acc": 1}, {"acc": 1, "doc_id": 0}])
    with pytest.raises(InvalidInputError, match=r"line 2.*doc_id once"):
        read_lmms_eval(path)
    path = write_samples(tmp_path / "a.jsonl", [{"acc": 1}])
    with pytest.raises(InvalidInputError, match=r"\(acc\), received 'accc'"):
        read_lmms_eval(path, metric="accc")


@pytest.mark.parametrize("name", ["log.txt", "log"])
def test_other_files_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("x", "utf-8")
    with pytest.raises(InvalidInputError, match="expected a log"):
        read_log(tmp_path / name)
    with pytest.raises(InvalidInputError, match="a folder"):
        read_log(tmp_path)
    with pytest.raises(InvalidInputError, match="no such file"):
        read_log(tmp_path / "gone.jsonl")


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("Q\nA. a crow\nB. rain", ("a crow", "rain")),
        ("Q\n(A) a crow\n(B) rain\n(C) x", ("a crow", "rain", "x")),
        ("A: 1\nB: 2\nNow:\nA) a crow\nB) rain\nC) dog\nAnswer:", ("a crow", "rain", "dog")),
        ("A. a crow", ()),
        ("B. rain\nC. x", ()),
        ("I. one\nA dog.", ()),
    ],
)
def test_options_are_read_from_the_last_list(text: str, options: tuple[str, ...]) -> None:
    assert lettered_options(text) == options


def test_item_without_options_is_a_failure_if_parsed_again(tmp_path: Path) -> None:
    path = write_samples(tmp_path / "a.jsonl", [{"acc": 1, "input": "What is this?"}])
    (trial,) = read_lmms_eval(path, parse=True).trials
    assert "options" in trial.failure


def test_order_of_lines_does_not_matter(tmp_path: Path) -> None:
    lines = REAL_SAMPLES.read_text("utf-8").splitlines()
    random.Random(0).shuffle(lines)
    shuffled = tmp_path / "org__model" / REAL_SAMPLES.name
    shuffled.parent.mkdir()
    shuffled.write_text("\n".join(lines), "utf-8")
    assert json.loads(lines[0])["doc_id"] != 0
    first, second = (analyze_logs([read_log(p)]).scores[0].score for p in (REAL_SAMPLES, shuffled))
    assert first.accuracy.value == second.accuracy.value
    assert first.n_invalid == second.n_invalid
