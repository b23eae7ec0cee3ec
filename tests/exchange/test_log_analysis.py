"""Analyses of logs agree with the statistics of probes, scipy, and hand counts."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from tests.exchange.probes import FEW, outcome, scored, write_samples

from audioprobe.errors import InvalidInputError
from audioprobe.exchange import LogAnalysis, analyze_logs, read_lmms_eval, read_log
from audioprobe.probing import Condition

RNG = np.random.default_rng(0)
FIRST, SECOND = (RNG.random(40) < 0.8).astype(int), (RNG.random(40) < 0.5).astype(int)


def two_models(folder: Path, **options: Any) -> LogAnalysis:
    paths = [
        scored(folder / "a/1_samples_t.jsonl", FIRST.tolist()),
        scored(folder / "b/1_samples_t.jsonl", SECOND.tolist()),
    ]
    return analyze_logs([read_log(path) for path in paths], bootstrap=FEW, **options)


def test_difference_of_models_agrees_with_a_binomial_test(tmp_path: Path) -> None:
    analysis = two_models(tmp_path)
    assert [x.score.accuracy.value for x in analysis.scores] == [FIRST.mean(), SECOND.mean()]
    (difference,) = analysis.differences
    assert difference.name == "a minus b: audio"
    assert difference.difference.value == pytest.approx(FIRST.mean() - SECOND.mean())
    only_first = int(((FIRST == 1) & (SECOND == 0)).sum())
    n_discordant = int((FIRST != SECOND).sum())
    assert difference.mcnemar is not None
    expected = stats.binomtest(only_first, n_discordant).pvalue
    assert difference.mcnemar.p_value == pytest.approx(expected)


def test_groups_are_the_units_of_intervals_and_tests(tmp_path: Path) -> None:
    groups = {str(n): f"recording {n // 8}" for n in range(40)}
    analysis = two_models(tmp_path, groups=groups)
    assert analysis.unit == "groups"
    assert {x.score.accuracy.n_groups for x in analysis.scores} == {5}
    (difference,) = analysis.differences
    assert difference.permutation is not None
    assert (difference.permutation.n_units, difference.permutation.smallest_p_value) == (5, 0.0625)
    assert two_models(tmp_path).scores[0].score.accuracy.n_groups == 40


def test_p_values_of_all_pairs_are_corrected_together(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    logs = [
        read_log(scored(tmp_path / f"m{n}/1_samples_t.jsonl", (rng.random(60) < p).tolist()))
        for n, p in enumerate((0.9, 0.6, 0.3))
    ]
    analysis = analyze_logs(logs, bootstrap=FEW)
    assert [d.name for d in analysis.differences] == [
        "m0 minus m1: audio",
        "m0 minus m2: audio",
        "m1 minus m2: audio",
    ]
    p_values = [d.permutation.p_value or 0.0 for d in analysis.differences if d.permutation]
    smallest = int(np.argmin(p_values))
    assert analysis.differences[smallest].holm == pytest.approx(3 * p_values[smallest])


def test_modality_gap_pairs_the_same_items_of_two_logs(tmp_path: Path) -> None:
    conditions: tuple[tuple[Condition, list[int]], ...] = (
        ("text", FIRST.tolist()),
        ("audio", SECOND.tolist()),
    )
    logs = [
        read_lmms_eval(scored(tmp_path / f"{c}.jsonl", values), condition=c, model="m")
        for c, values in conditions
    ]
    (gap,) = analyze_logs(logs, bootstrap=FEW).differences
    assert gap.name == "m: text minus audio"
    assert gap.difference.value == pytest.approx(FIRST.mean() - SECOND.mean())
    assert gap.difference.n == 40


def test_items_that_only_one_model_answered_are_left_out_of_the_difference(tmp_path: Path) -> None:
    first = write_samples(tmp_path / "a/x.jsonl", [{"acc": 1}, {"acc": None}, {"acc": 1}])
    second = write_samples(
        tmp_path / "b/x.jsonl", [{"acc": 0}, {"acc": 1}, {"acc": 1, "filtered_resps": ""}]
    )
    analysis = analyze_logs([read_log(first), read_log(second)], bootstrap=FEW)
    (difference,) = analysis.differences
    assert (difference.difference.n, difference.difference.value) == (1, 1.0)
    assert analysis.failures == {"a": {"lmms-eval gave no score": 1}}
    assert "1 items without an answer: lmms-eval gave no score" in analysis.to_text()


def test_outcome_of_a_probe_has_the_statistics_of_the_probe(tmp_path: Path) -> None:
    path = tmp_path / "known--tones.json"
    path.write_text(outcome().to_json(), "utf-8")
    log = read_log(path)
    assert (log.model, log.task, log.tool, log.reading) == (
        "known", "tones", "audioprobe", "likelihood"
    )  # fmt: skip
    analysis = analyze_logs([log], bootstrap=FEW)
    scores = {(x.condition, x.relation): x for x in analysis.scores}
    for (condition, relation), score in outcome().by("condition", "relation").items():
        assert scores[condition, relation].score == score  # type: ignore[index]
    (gap,) = analysis.differences
    assert gap.difference == outcome().modality_gap().difference
    repeated = scores["text", "hypernym"].repeated
    assert repeated is not None
    assert repeated.agreement == outcome().consistency("text").agreement
    assert analysis.unit == "concepts"


def test_tables_have_one_row_per_score(tmp_path: Path) -> None:
    analysis = two_models(tmp_path)
    data = analysis.data().columns
    assert data["model"] == ["a", "b"]
    assert data["accuracy"] == [FIRST.mean(), SECOND.mean()]
    assert data["n_trials"] == [40, 40]
    assert [row[0] for row in analysis.table().rows] == ["a", "b"]


def test_logs_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    path = scored(tmp_path / "m/1_samples_t.jsonl", [1, 0])
    other = write_samples(tmp_path / "n/1_samples_t.jsonl", [{"acc": 1, "target": "B"}])
    again = scored(tmp_path / "m/2_samples_t.jsonl", [1, 0])
    probe_log = tmp_path / "m--set.json"
    probe_log.write_text(outcome().to_json(), "utf-8")
    for paths, message in (
        ([path, other], "item 0 has the correct answer 'B'.*'A'"),
        ([path, again], "received two.*NAME=LOG"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            analyze_logs([read_log(each) for each in paths])
    text = read_lmms_eval(path, condition="text", model="k")
    with pytest.raises(InvalidInputError, match="free-text"):
        analyze_logs([read_log(probe_log, model="k"), replace(text, trials=())])
    with pytest.raises(InvalidInputError, match="item 1 has no group"):
        analyze_logs([read_log(path)], groups={"0": "x"})
    with pytest.raises(InvalidInputError, match="at least one log"):
        analyze_logs([])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "received"),
        ('{"results": {}, "configs": {}}', "configs, results.*samples of lmms-eval"),
        ('{"trials": [', "complete"),
        (json.dumps({"trials": [], "captions": {}, "provenance": {}}), "clips"),
    ],
)
def test_json_of_other_tools_is_refused(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(content, "utf-8")
    with pytest.raises(InvalidInputError, match=message):
        read_log(path)
