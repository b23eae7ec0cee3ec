"""A study trains, evaluates and stores every arm, and continues after an interruption."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.experiments.architectures.tiny_architectures import (
    ARMS,
    arm,
    copied,
    settings,
    study,
    without_times,
    write_recipe,
)

from audioprobe import Decoding, Prompt, Waveform
from audioprobe.audio.windowing import read_waveform
from audioprobe.errors import InvalidInputError, TrainingError
from audioprobe.experiments.architectures.evaluation import ArmEvaluator
from audioprobe.experiments.architectures.inputs import answering_model
from audioprobe.experiments.architectures.materials import ArmMaterials
from audioprobe.experiments.architectures.questions import evaluation_questions
from audioprobe.experiments.architectures.storage import (
    ArchitecturesRecord,
    ArmResult,
    SceneTrial,
    read_record,
)
from audioprobe.experiments.placement import Placement
from audioprobe.models.scripted import Scripted
from audioprobe.models.tool_agent.agent import ToolAgent
from audioprobe.models.tool_agent.text_controllers import TextController
from audioprobe.probing.trial import Trial
from audioprobe.progress import ProgressEvent, ignore_progress
from audioprobe.protocols import LikelihoodModel
from audioprobe.types import LogLikelihood

FAST = ("linear", "blind")
Finished = tuple[dict[str, Any], Path, ArchitecturesRecord]


class StopError(Exception):
    """Ends a study."""


@pytest.fixture(scope="module")
def finished(tiny: ArmMaterials, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Tables, folder and record of a study of two arms; tests must not change the folder."""
    tables = settings(Path(tiny.config.recipe), *FAST)
    folder = copied(tiny, tmp_path_factory.mktemp("study") / "run")
    return tables, folder, study(tables)(folder)


def results(record: ArchitecturesRecord) -> dict[tuple[str, int], dict[str, Any]]:
    return {run: without_times(result) for run, result in record.results.items()}


def answers_of(result: ArmResult) -> list[Trial | SceneTrial]:
    return [*result.trials, *result.scenes]


def check_result(result: ArmResult, made: ArmMaterials) -> None:
    """A result has an answer or a failure for every question of its seed."""
    questions = evaluation_questions(made, result.seed)
    assert tuple(trial.question for trial in result.trials) == questions.probe
    assert tuple(trial.question for trial in result.scenes) == questions.scenes
    assert result.roles == questions.roles
    assert result.sets == questions.sets
    for trial in answers_of(result):
        assert bool(trial.log_likelihoods) != bool(trial.failure)
    assert result.n_steps == len(result.losses) == 2
    assert result.seconds_per_step > 0
    assert {"time", "versions", "commit"} <= set(result.start)


def test_a_study_stores_every_run(finished: Finished, tiny: ArmMaterials) -> None:
    _, folder, record = finished
    assert list(record.results) == [("linear", 0), ("blind", 0)]
    assert record.missing == []
    for result in record.results.values():
        check_result(result, tiny)
        assert not any(trial.failure for trial in answers_of(result))
    linear, blind = record.results.values()
    assert linear.rate_losses.keys() == {"1.0", "3.0"}
    assert linear.rate_losses[str(linear.rate)] == min(filter(None, linear.rate_losses.values()))
    assert (blind.rate, blind.rate_losses, blind.responses) == (1.0, {}, ())
    assert not any((folder / "rate-trials").iterdir())


def test_shared_stage_is_trained_once_and_equal_in_all_arms(finished: Finished) -> None:
    _, folder, _ = finished
    states = [
        torch.load(folder / "training" / name / "text" / "state.pt", weights_only=True)
        for name in ("shared-0", "linear-0", "blind-0")
    ]
    for state in states[1:]:
        assert state["history"] == states[0]["history"]  # with the seconds of each step
        assert state["weights"].keys() == states[0]["weights"].keys()
        for name, weight in state["weights"].items():
            assert torch.equal(weight, states[0]["weights"][name])


def test_only_a_missing_result_is_made_again(finished: Finished, tmp_path: Path) -> None:
    tables, folder, record = finished
    copy = shutil.copytree(folder, tmp_path / "run")
    (copy / "results" / "blind-0.json.gz").unlink()
    stored = (copy / "results" / "linear-0.json.gz").read_bytes()
    events: list[ProgressEvent] = []
    again = study(tables)(copy, events.append)
    assert results(again) == results(record)
    assert (copy / "results" / "linear-0.json.gz").read_bytes() == stored
    assert {event.stage.partition(":")[0] for event in events} == {"blind-0", "runs"}
    assert not any("steps" in event.stage for event in events)  # its model is still there


@pytest.mark.slow
def test_an_interrupted_study_ends_with_the_same_results(
    finished: Finished, tiny: ArmMaterials, tmp_path: Path
) -> None:
    tables, _, record = finished
    folder = copied(tiny, tmp_path / "run")

    def stop_at(stage: str, done: int) -> None:
        def stop(event: ProgressEvent) -> None:
            if (event.stage, event.done) == (stage, done):
                raise StopError

        with pytest.raises(StopError):
            study(tables)(folder, stop)

    stop_at("shared stages, seed 0: text: steps", 1)
    stop_at("linear-0: audio: steps", 1)  # of a trial
    assert (folder / "rate-trials").is_dir()
    stop_at("linear-0: scenes", 1)
    assert not (folder / "results").exists()
    partial = study(tables)(folder, max_runs=1)
    assert list(partial.results) == [("linear", 0)]
    assert partial.missing == [("blind", 0)]
    assert results(study(tables)(folder)) == results(record)


def test_arms_can_be_added_and_removed(finished: Finished, tmp_path: Path) -> None:
    tables, folder, record = finished
    copy = shutil.copytree(folder, tmp_path / "run")
    recipe = Path(tables["recipe"])
    more = study(settings(recipe, *FAST, "true-tags"))
    assert more.remaining(copy) == [("true-tags", 0)]
    added = more(copy)
    assert list(added.results) == [("linear", 0), ("blind", 0), ("true-tags", 0)]
    assert {r: v for r, v in results(added).items() if r[0] != "true-tags"} == results(record)
    fewer = study(settings(recipe, "linear"))(copy)
    assert list(fewer.results) == [("linear", 0)]


def test_an_arm_can_get_more_seeds(finished: Finished, tmp_path: Path) -> None:
    tables, folder, record = finished
    copy = shutil.copytree(folder, tmp_path / "run")
    first, blind = tables["arms"]
    added = study({**tables, "arms": [first, {**blind, "seeds": 2}]})(copy)
    assert list(added.results) == [("linear", 0), ("blind", 0), ("blind", 1)]
    assert {r: v for r, v in results(added).items() if r != ("blind", 1)} == results(record)


def refused(prepared: Any, folder: Path, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        prepared(folder)


def test_a_study_that_changed_is_refused(finished: Finished) -> None:
    tables, folder, _ = finished
    other = {**tables, "arms": [tables["arms"][0], {"name": "blind", "input": "true tags"}]}
    refused(study(other), folder, "the arm 'blind' has another definition")
    first = {**tables, "arms": tables["arms"][::-1]}
    refused(study(first), folder, "the first arm, the reference, is another one")
    refused(study({**tables, "evaluation": {"n_clips": 2}}), folder, "another configuration")
    refused(study({**tables, "rates": {"factors": [1.0]}}), folder, "another configuration")
    assert study({**tables, "margin": 0.2, "seconds_per_step": 9.0, "seeds": 2}).remaining(
        folder
    ) == [("linear", 1), ("blind", 1)]


@pytest.mark.parametrize(
    "changes",
    [
        {"held_out": 0.3},
        {"scenes": {"n_train": 20, "sources": ["crow", "bell", "rain"], "recordings": False}},
        {"encoder": {"name": "yamnet", "options": {"hop": 0.96}}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_another_recipe_or_other_data_are_refused(
    finished: Finished, changes: Mapping[str, object]
) -> None:
    tables, folder, _ = finished
    path = Path(tables["recipe"])
    before = path.read_text()
    try:  # the file of the recipe changes, the configuration of the study does not
        assert write_recipe(path.parent, **changes) == path
        refused(study(tables), folder, "different inputs")
    finally:
        path.write_text(before)


def test_numbers_out_of_range_are_refused(finished: Finished) -> None:
    tables, folder, _ = finished
    with pytest.raises(InvalidInputError, match="max_runs of at least 0"):
        study(tables)(folder, max_runs=-1)


ROUNDING = 1e-4  # nats, of prompts in different forward passes


def test_blind_arm_does_not_depend_on_the_clip_and_others_do(
    finished: Finished, tiny: ArmMaterials
) -> None:
    _, folder, record = finished
    clips = list(tiny.clips_by_id.values())[:3]
    prompts = [Prompt("What is it?", read_waveform(clip)) for clip in clips]

    def answers(name: str) -> list[list[LogLikelihood]]:
        made = answering_model(arm(name), folder / "training" / f"{name}-0" / "ltu", tiny, {})
        return [list(values) for values in made.log_likelihood(prompts, ["Yes.", "No."])]

    blind, linear = answers("blind"), answers("linear")
    first, *others = ([value.total for value in values] for values in blind)
    assert all(other == pytest.approx(first, abs=ROUNDING) for other in others)
    assert linear[0] != linear[1] != linear[2]
    for result in (record.results["blind", 0], record.results["linear", 0]):
        by_text: dict[str, list[float]] = {}
        for trial in result.trials:
            by_text.setdefault(trial.question.text, []).append(trial.log_likelihoods[0])
        ranges = [max(values) - min(values) for values in by_text.values()]
        assert (max(ranges) < ROUNDING) == (result.arm == "blind")


def test_failures_of_an_agent_are_failures_of_trials(tiny: ArmMaterials) -> None:
    questions = evaluation_questions(tiny, 0)
    evaluator = ArmEvaluator(tiny, questions, ignore_progress)
    silent = ToolAgent(TextController(Scripted("I do not know.")), ("yamnet",), max_calls=1)
    assert isinstance(silent, LikelihoodModel)
    for trial in evaluator.trials(silent):
        is_text = not trial.question.clip
        assert is_text or "did not answer" in trial.failure
        assert bool(trial.log_likelihoods) == is_text
    for scene in evaluator.scene_trials(silent):
        assert "did not answer" in scene.failure
        assert scene.is_correct is None
    responses = evaluator.agent_responses(silent)
    assert len(responses) == sum(bool(q.audio) for q in questions.probe) + len(questions.scenes)
    assert all(r.response is not None and r.response.abstained for r in responses)


def test_unreadable_clips_are_failures_and_do_not_stop_a_run(tiny: ArmMaterials) -> None:
    questions = evaluation_questions(tiny, 0)
    made = replace(tiny)
    (name, clip), *_ = made.clips_by_id.items()
    made.clips_by_id[name] = replace(clip, waveform=None, path=Path("no-such-file.wav"))
    evaluator = ArmEvaluator(made, questions, ignore_progress)
    model = Scripted("yes")
    for trial in evaluator.trials(model):
        assert ("no-such-file" in trial.failure) == (trial.question.clip == name)
    scenes = made.test_scenes.clips("test")
    known = [*made.clips_by_id.values(), *(scenes[question.scene] for question in questions.scenes)]
    expected = {read_waveform(c).digest(): c.labels for c in known if c.waveform is not None}
    assert evaluator.truth() == expected
    assert read_waveform(clip).digest() not in expected


def test_long_clips_are_cut_alike_for_all_arms(tiny: ArmMaterials) -> None:
    questions, made = evaluation_questions(tiny, 0), replace(tiny)
    (name, clip), *_ = made.clips_by_id.items()
    noise = np.random.default_rng(0).normal(0, 0.1, 12 * 16_000).astype(np.float32)
    made.clips_by_id[name] = replace(clip, waveform=Waveform(noise, 16_000))
    seen: list[Waveform] = []

    def answer(prompt: Prompt, _: str) -> LogLikelihood:
        if prompt.audio is not None:
            seen.append(prompt.audio)
        return LogLikelihood(-1.0, 1)

    evaluator = ArmEvaluator(made, questions, ignore_progress)
    evaluator.trials(Scripted("yes", likelihood=answer))
    assert max(waveform.duration for waveform in seen) == tiny.audio.seconds
    cut = Waveform(noise[: round(tiny.audio.seconds * 16_000)], 16_000)
    assert cut.digest() in {waveform.digest() for waveform in seen}
    assert evaluator.truth()[cut.digest()] == clip.labels


def test_true_tags_name_labels_that_no_training_scene_has(
    finished: Finished, tiny: ArmMaterials
) -> None:
    _, folder, _ = finished
    waveform = read_waveform(next(iter(tiny.clips_by_id.values())))
    model_folder = folder / "training" / "blind-0" / "ltu"
    truth = {waveform.digest(): ("foghorn", "rain")}
    model = answering_model(arm("true-tags"), model_folder, tiny, truth)
    (response,) = model.generate([Prompt("What is it?", waveform)], Decoding(max_new_tokens=1))
    assert response.details["caption"] == "rain (1.00), a foghorn (1.00)"


@pytest.mark.slow
def test_a_study_of_all_inputs_in_two_processes_equals_that_in_one(
    tiny: ArmMaterials, tmp_path: Path
) -> None:
    compute = {"name": "compute", **ARMS["cross-attention"], "budget": "compute"}
    all_weights = {"name": "all-weights", "train": "llm"}
    tables = settings(Path(tiny.config.recipe))
    tables["arms"] += [compute, all_weights]
    records = []
    for n_workers in (1, 2):
        folder = copied(tiny, tmp_path / str(n_workers))
        records.append(study(tables)(folder, placement=Placement(n_workers)))
    first, second = map(results, records)
    for name in ("codes", "all-weights"):
        expected = {"n_codes", "in use", "perplexity", "largest share", "explained variance"}
        assert set(first[name, 0]["codebook"]) == (expected if name == "codes" else set())
    assert first.keys() == {(a["name"], 0) for a in tables["arms"]}
    assert first == second
    for (name, _), result in records[0].results.items():
        check_result(result, tiny)
        assert bool(result.responses) == (name == "controller")
        failures = [trial.failure for trial in answers_of(result) if trial.failure]
        assert bool(failures) == (name == "controller")  # two steps teach no protocol
    shared = [
        torch.load(tmp_path / "1" / "training" / f"{a['name']}-0/text/state.pt", weights_only=True)
        for a in tables["arms"]
    ]
    for state in shared[1:]:
        for weight, expected in zip(
            state["weights"].values(), shared[0]["weights"].values(), strict=True
        ):
            assert torch.equal(weight, expected)


@pytest.mark.slow
def test_an_arm_that_diverges_does_not_stop_the_others(tiny: ArmMaterials, tmp_path: Path) -> None:
    tables = settings(Path(tiny.config.recipe), *FAST, rates={"factors": [1e30], "steps": 1})
    folder = copied(tiny, tmp_path / "run")
    shutil.rmtree(folder / "features" / "validation")
    with pytest.raises(TrainingError, match="'linear': the training diverged at all"):
        study(tables)(folder, placement=Placement(2))
    assert [path.name for path in (folder / "results").iterdir()] == ["blind-0.json.gz"]
    assert json.loads((folder / "rates" / "linear.json").read_text()) == {"1e+30": None}


@pytest.mark.slow
def test_an_arm_in_which_nothing_can_be_located_does_not_stop_the_study(
    tiny: ArmMaterials, tmp_path: Path
) -> None:
    """Five concepts are too few for probes."""
    evaluation = {"n_clips": 1, "max_trained": 2, "n_scenes": 1, "locate_trials": 8}
    rates = {"factors": [1.0], "steps": 1, "n_scenes": 3}
    tables = settings(Path(tiny.config.recipe), *FAST, evaluation=evaluation, rates=rates)
    folder = copied(tiny, tmp_path / "run")
    message = (
        r"location in the arm 'linear' \(locate_trials = 0 leaves it out\): Expected .* 6 conc"
    )
    with pytest.raises(InvalidInputError, match=message):
        study(tables)(folder)
    record = read_record(folder)
    assert record.missing == []
    assert record.locations == {}
