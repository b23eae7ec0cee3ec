"""Stored results are read as they were written; damaged and missing ones are named."""

import json
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st
from tests.experiments.architectures.tiny_architectures import parsed, settings

from audioprobe.errors import InvalidInputError
from audioprobe.experiments.architectures.cost import ArmCost
from audioprobe.experiments.architectures.questions import SceneQuestion
from audioprobe.experiments.architectures.storage import (
    AgentResponse,
    ArmResult,
    SceneTrial,
    planned_runs,
    read_record,
    store_result,
)
from audioprobe.probing.trial import ConceptPair, ProbeQuestion, Trial
from audioprobe.tool_calls import CALLS_KEY, ToolCall, calls_of, calls_to_json
from audioprobe.types import Response

OPTIONS = ("A crow.", "A bell.", "Rain.")
QUESTION = SceneQuestion(
    task="order", scene=3, text="Which sound comes last?", options=OPTIONS, correct=1
)


def result(arm: str = "linear", seed: int = 0, **changes: Any) -> ArmResult:
    """Return a result with answers, failures, calls and a trial that diverged."""
    pair = ConceptPair(
        concept="crow",
        phrase="a crow",
        relation="hypernym",
        target="bird",
        target_phrase="a bird",
        holds=True,
        match=7,
    )
    question = ProbeQuestion(
        pair=pair, condition="audio", clip="c", audio="c", text="Is it a bird?", correct=0
    )
    call = ToolCall(tool="tags", result='"a crow (0.93)"', seconds=0.5)
    values: dict[str, Any] = {
        "trials": (
            Trial(question=question, log_likelihoods=(-1.25, -2.5)),
            Trial(question=question, log_likelihoods=(), failure="c.wav: no such file"),
        ),
        "scenes": (
            SceneTrial(question=QUESTION, log_likelihoods=(-3.0, -1.0, -2.0)),
            SceneTrial(question=QUESTION, failure="the agent did not answer"),
        ),
        "responses": (
            AgentResponse(
                clip="scene 3",
                question="Q?",
                response=Response("Yes.", details={CALLS_KEY: calls_to_json([call])}),
            ),
            AgentResponse(clip="c", question="Q?", response=None),
        ),
        "roles": {"7": "held_out"},
        "sets": {"c": "recordings"},
        "cost": ArmCost(n_connector=1, n_trainable=2, n_positions=3.5, flops=4e9),
        "n_steps": 2,
        "n_questions": 20,
        "seconds_per_step": 0.25,
        "rate": 3.0,
        "rate_losses": {"1.0": 0.1 + 0.2, "3.0": None},
        "losses": (1 / 3, 2.0),
        "start": {"time": "now", "versions": {"torch": "2"}, "commit": ""},
    }
    return ArmResult(arm=arm, seed=seed, **(values | changes))


def written(folder: Path, *results: ArmResult) -> Path:
    """Write the folder of a study of two arms and two seeds."""
    tables = settings(Path("recipe.toml"), "linear", "blind", seeds=2)
    (folder / "config.toml").write_text(tomli_w.dumps(tables))
    (folder / "manifest.json").write_text(json.dumps({"pinned": {}, "starts": []}))
    for each in results:
        store_result(folder, each)
    return folder


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    stored = [result("blind", 1, responses=()), result("linear", 0)]
    record = read_record(written(tmp_path, *stored))
    assert list(record.results.values()) == stored[::-1]
    assert list(record.results) == [("linear", 0), ("blind", 1)]
    assert record.of("blind") == {1: stored[0]}
    assert record.missing == [("blind", 0), ("linear", 1)]
    response = record.results["linear", 0].responses[0].response
    assert response is not None
    assert (calls_of(response) or ())[0].result == '"a crow (0.93)"'


def test_the_last_result_of_a_run_counts(tmp_path: Path) -> None:
    folder = written(tmp_path, result(rate=1.0), result(rate=3.0))
    assert read_record(folder).results["linear", 0].rate == 3.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Is the file complete"),
        ('{"arm": "linear", "seed": 0', "Is the file complete"),
        ('{"arm": "linear"}', "is missing"),
        ("[]", "linear-0"),
    ],
)
def test_a_damaged_result_is_named(tmp_path: Path, text: str, message: str) -> None:
    folder = written(tmp_path, result("blind"))
    (folder / "results" / "linear-0.json").write_text(text)
    with pytest.raises(InvalidInputError, match=message) as caught:
        read_record(folder)
    assert "linear-0.json" in str(caught.value)


def test_a_result_that_is_not_finite_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="NaN"):
        written(tmp_path, result(losses=(float("nan"),)))
    with pytest.raises(InvalidInputError, match="results of at least one arm"):
        read_record(tmp_path)


def test_a_study_without_results_states_how_to_continue(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"audioprobe run .*config\.toml --out"):
        read_record(written(tmp_path))
    store_result(tmp_path, result())
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(InvalidInputError, match=r"manifest\.json cannot be read"):
        read_record(tmp_path)
    with pytest.raises(InvalidInputError, match=r"config\.toml"):
        read_record(tmp_path / "missing")


@given(st.lists(st.floats(-50, 0), min_size=3, max_size=3))
def test_the_most_probable_option_is_the_answer(values: list[float]) -> None:
    trial = SceneTrial(question=QUESTION, log_likelihoods=tuple(values))
    best = [n for n, value in enumerate(values) if value == max(values)]
    assert trial.is_correct == (best[0] == 1 if len(best) == 1 else None)


def test_failures_and_ties_are_neither_right_nor_wrong() -> None:
    assert SceneTrial(question=QUESTION, failure="no answer").is_correct is None
    assert SceneTrial(question=QUESTION, log_likelihoods=(-1.0, -1.0, -2.0)).is_correct is None
    assert SceneTrial(question=QUESTION, log_likelihoods=(-1.0, -1.0, -0.5)).is_correct is False


def test_the_first_seed_of_all_arms_comes_first() -> None:
    tables = settings(Path("recipe.toml"), "linear", "blind", "cascade", seeds=2)
    tables["arms"][1]["seeds"] = 1
    tables["arms"][2]["seeds"] = 3
    assert planned_runs(parsed(tables)) == [
        ("linear", 0),
        ("blind", 0),
        ("cascade", 0),
        ("linear", 1),
        ("cascade", 1),
        ("cascade", 2),
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arms": []}, "at least one arm"),
        ({"seeds": 0}, "at least one arm and one seed"),
        ({"arms": [{"name": "a"}, {"name": "a"}]}, "a"),
        ({"arms": [{"name": "a", "budget": "compute"}]}, "first arm with budget = 'examples'"),
        ({"arms": [{"name": "a", "seeds": -1}]}, "seeds >= 0"),
        (
            {"arms": [{"name": "a", "input": "tags", "connector": {"kind": "mlp", "width": 2}}]},
            "no connector for the input 'tags'",
        ),
        ({"arms": [{"name": "a", "input": "sounds"}]}, "sounds"),
        ({"arms": [{"name": "a", "connector": {"kind": "mpl"}}]}, "mpl"),
        ({"rates": {"factors": []}}, "factors above 0"),
        ({"rates": {"factors": [0.0]}}, "factors above 0"),
        ({"seconds_per_step": 0.0}, "seconds_per_step and seconds_per_question above 0"),
        ({"sead": 1}, "sead"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_invalid_configurations_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        parsed({**settings(Path("recipe.toml")), **changes})


def test_an_unknown_arm_is_refused_with_a_suggestion() -> None:
    config = parsed(settings(Path("recipe.toml")))
    with pytest.raises(InvalidInputError, match=r"received 'liner'.* 'linear'"):
        config.arm("liner")
