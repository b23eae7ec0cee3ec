"""A study stores every run, and continues with the same results after an interruption."""

import json
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import tomli_w
from tests.experiments.finetuning.tiny_study import CONCEPTS, config, model, study

from audioprobe.errors import InvalidInputError, WeightsError
from audioprobe.experiments.finetuning.config import StudyModel, parse_study
from audioprobe.experiments.finetuning.run import FinetuningRun
from audioprobe.experiments.finetuning.storage import RunResult, read_record
from audioprobe.experiments.placement import Placement
from audioprobe.models.ltu.audio_frontend import feature_config
from audioprobe.progress import ProgressEvent

Study = tuple[FinetuningRun, Path, list[RunResult]]
ONE_LEVEL = {
    "trainable": [{"modules": "projector+lora", "learning_rate": 1e-3}],
    "regularization": [{}],
    "alignment": [{}],
}
RUN = "projector+lora--none--none--0"


class StopError(Exception):
    """Interrupts a run."""


def without_durations(results: list[RunResult]) -> list[RunResult]:
    return [replace(result, seconds=0.0) for result in results]


def prepared(folder: Path, **changes: object) -> FinetuningRun:
    """Return a study of one strategy without novel classes."""
    tables = {**config(folder), **ONE_LEVEL, **changes}
    tables.pop("transfer")
    text = tomli_w.dumps(tables)
    return FinetuningRun(parse_study(text, "tiny"), text)


def changed(folder: Path, **tables: object) -> FinetuningRun:
    """Return a run with the configuration of a folder, except for some tables."""
    text = (folder / "config.toml").read_text(encoding="utf-8")
    text = tomli_w.dumps({**tomllib.loads(text), **tables})
    return FinetuningRun(parse_study(text, "changed"), text)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Study:
    home = tmp_path_factory.mktemp("study")
    run = prepared(home)
    return run, home / "run", run(home / "run")


def items(result: RunResult, measure: str) -> list[str]:
    return [m.item for m in result.measurements if m.measure == measure]


def test_run_stores_every_measurement(finished: Study) -> None:
    _, folder, (before, after) = finished
    assert (before.name, after.name) == ("before", RUN)
    assert items(after, "training loss") == ["1", "2"]
    for result in (before, after):
        assert len(items(result, "in-domain AUC")) == 8
        assert set(result.labels["in-domain AUC"]) == set(CONCEPTS)
        assert items(result, "text loss") == ["0", "1", "2"]
        answered = [sorted(items(result, f"{name} accuracy")) for name in ("text", "audio")]
        assert answered[0] == answered[1]
    assert len(items(after, "similarity: text")) == len(items(after, "similarity: audio")) == 3
    changes = {m.measure: m.value for m in after.measurements if m.measure.startswith("weight")}
    assert changes.keys() == {"weight change: projector", "weight change: lora"}
    assert all(changes.values())
    assert not list((folder / "training").glob("*"))


def test_model_on_the_features_of_another_encoder_is_fine_tuned(tmp_path: Path) -> None:
    name, base = model(tmp_path / "yamnet", feature_config("yamnet"))
    run = prepared(tmp_path, model={"name": str(name), "base": str(base)})
    before, after = run(tmp_path / "run")
    assert items(after, "training loss") == ["1", "2"]
    changes = {m.measure: m.value for m in after.measurements if m.measure.startswith("weight")}
    assert changes.keys() == {"weight change: projector", "weight change: lora"}
    for result in (before, after):
        assert items(result, "text accuracy")
        assert len(items(result, "in-domain AUC")) == 8
    card = json.loads((tmp_path / "run" / "features" / "train" / "features.json").read_text())
    assert (card["encoder"], card["shape"]) == ("YAMNet", [21, 1024])


def test_finished_study_is_not_trained_again(finished: Study) -> None:
    run, folder, results = finished
    stages: list[str] = []
    assert run(folder, lambda event: stages.append(event.stage)) == results
    assert not any(RUN in stage for stage in stages)


def test_hidden_states_before_are_computed_again_if_missing(
    finished: Study, tmp_path: Path
) -> None:
    run, folder, results = finished
    copy = Path(shutil.copytree(folder, tmp_path / "run"))
    (copy / "before.npz").unlink()
    (copy / "runs" / f"{RUN}.json").unlink()
    again = run(copy)
    assert again[0] == results[0]
    assert without_durations(again) == without_durations(results)


def test_study_is_read_from_its_folder(finished: Study, tmp_path: Path) -> None:
    run, folder, results = finished
    record = read_record(folder)
    assert record.study == run.config
    assert [record.before, *record.runs] == results
    assert record.audio_concepts == run.materials.audio_concepts
    copy = Path(shutil.copytree(folder, tmp_path / "run"))
    path = copy / "runs" / f"{RUN}.json"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InvalidInputError, match="Remove the file"):
        read_record(copy)
    path.unlink()
    assert read_record(copy).runs == ()
    (copy / "runs" / "before.json").unlink()
    with pytest.raises(InvalidInputError, match="no model has been evaluated yet"):
        read_record(copy)
    with pytest.raises(InvalidInputError, match="expected the folder of a fine-tuning study"):
        read_record(tmp_path)


def test_manifest_pins_model_data_and_questions(finished: Study) -> None:
    pinned = json.loads((finished[1] / "manifest.json").read_text())["pinned"]
    assert pinned["model"]["options"]["base"] == "base"
    sets = {"train", "in_domain", "out_of_domain", "pretraining_domain", "rehearsal"}
    assert set(pinned["clips"]) == set(pinned["data"]) == sets
    assert len(pinned["texts"]) == 2


def test_study_grows_by_seeds(finished: Study, tmp_path: Path) -> None:
    _, folder, results = finished
    copy = Path(shutil.copytree(folder, tmp_path / "run"))
    grown = changed(copy, seeds=[0, 1])
    continued = grown(copy, max_runs=1)
    assert continued[:-1] == results
    assert continued[-1].seed == 1
    assert read_record(copy).study == grown.config


def test_folder_of_another_study_is_refused(finished: Study, tmp_path: Path) -> None:
    _, folder, _ = finished
    before = (folder / "config.toml").read_bytes()
    other = prepared(tmp_path)
    with pytest.raises(InvalidInputError, match=r"another configuration.*train differs"):
        other(folder)
    arguments = {"steps": 2, "learning_rate": 1e-3, "warmup_steps": 1, "save_every": 1}
    with pytest.raises(InvalidInputError, match=r"none--none--0 has another strategy"):
        changed(folder, training_arguments=arguments)(folder)
    assert (folder / "config.toml").read_bytes() == before
    with pytest.raises(InvalidInputError, match="max_runs of at least 0"):
        other(tmp_path / "new", max_runs=-1)


def test_unreadable_clip_is_listed_as_failure(tmp_path: Path) -> None:
    run = prepared(tmp_path)
    lost = run.materials.clips["in_domain"][0].id
    (tmp_path / "one" / lost).write_bytes(b"RIFF")
    before, after = run(tmp_path / "run")
    for result in (before, after):
        captions = [m for m in result.measurements if m.measure == "in-domain AUC"]
        assert [m.item for m in captions if m.value is None] == [lost]
        assert next(m.text for m in captions if m.value is None)
        assert len(captions) == 8
    assert items(after, "similarity: audio")


def test_diverging_run_is_a_failure_with_its_cause(tmp_path: Path) -> None:
    overflow = [{"components": [{"kind": "contrastive", "temperature": 1e-40}]}, {}]
    run = prepared(tmp_path, alignment=overflow)
    _, failed, succeeded = run(tmp_path / "run")
    assert failed.measurements == ()
    assert "at step 0: the training has diverged" in failed.failure
    assert succeeded.measurements
    assert run(tmp_path / "run")[1] == failed, "it is not repeated"


def test_model_without_hidden_states_is_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    (tmp_path / "qwen").mkdir()
    (tmp_path / "qwen" / "config.json").write_text('{"model_type": "qwen2_audio"}')
    study_config, text = study(tmp_path)
    other = replace(study_config, model=StudyModel(str(tmp_path / "qwen")))
    with pytest.raises(WeightsError, match=r"needs an LTU"):
        FinetuningRun(other, text)(tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_interrupted_and_parallel_runs_give_the_same_results(tmp_path: Path) -> None:
    run = FinetuningRun(*study(tmp_path))
    expected = run(tmp_path / "whole")
    assert [result.name for result in expected] == ["before", *(r.name for r in run.runs)]
    assert not any(result.failure for result in expected)
    for result in expected[1:]:
        assert len(items(result, "training loss")) == 2
        assert bool(items(result, "novel-class text accuracy")) == bool(result.arm)
        if result.arm:
            targets = {m.item.split()[2] for m in result.measurements if m.text}
            assert targets == {"blick", "dax"}
    (whole,) = [result for result in expected if result.trainable == "all+llm"]
    changes = [m.measure for m in whole.measurements if m.measure.startswith("weight")]
    assert len(changes) == 4

    def stop(event: ProgressEvent) -> None:
        if event.stage.startswith("all+llm--none--none--0: ") and event.done == 1:
            raise StopError

    folder = tmp_path / "parts"
    with pytest.raises(StopError):
        run(folder, stop)
    assert len(list((folder / "runs").glob("*.json"))) == 2  # before, and one run
    assert len(run(folder, max_runs=1)) == 3
    assert without_durations(run(folder, placement=Placement(2))) == without_durations(expected)
