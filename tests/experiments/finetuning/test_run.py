"""A run of a study: every training is kept, and a run that was stopped ends the same."""

import json
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import tomli_w
from tests.experiments.finetuning.tiny_study import CONCEPTS, study

from audioprobe.errors import InvalidInputError, WeightsError
from audioprobe.experiments.finetuning.config import StudyModel, parse_study
from audioprobe.experiments.finetuning.run import FinetuningRun
from audioprobe.experiments.finetuning.run_result import RunResult
from audioprobe.experiments.finetuning.storage import read_record
from audioprobe.progress import ProgressEvent


class StopError(Exception):
    """Whatever may end a run."""


def told(findings: list[RunResult]) -> list[RunResult]:
    """Without how long it took."""
    return [replace(one, seconds=0.0) for one in findings]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[FinetuningRun, Path, list[RunResult]]:
    home = tmp_path_factory.mktemp("study")
    run = FinetuningRun(*study(home))
    return run, home, run(home / "run")


def test_every_training_leaves_its_findings(
    made: tuple[FinetuningRun, Path, list[RunResult]],
) -> None:
    run, home, found = made
    assert [one.name for one in found] == ["before", *(cell.name for cell in run.cells)]
    assert all(not one.failure for one in found)
    for one in found[1:]:
        assert len(one.losses) == 2
        assert any(part.absolute > 0 for part in one.drift)
        assert one.measured is not None
        if one.transfer:
            assert {a.target for a in one.measured.quiz} == {"blick", "dax"}
            continue
        heard = one.measured.heard
        assert {name: len(c.clips) for name, c in heard.items()} == dict.fromkeys(heard, 8)
        assert set(heard["inside"].labels) == set(CONCEPTS)
        assert {a.condition for a in one.measured.probe} == {"text", "audio"}
        assert len(one.measured.texts) == 3
        assert {len(layers) for layers in one.similarity.values()} == {3}
    assert not list((home / "run" / "training").glob("*"))
    whole = [one for one in found if one.trained == "all+llm"]
    assert {part.part for part in whole[0].drift} == {"encoder", "projector", "lora", "llm"}


def test_the_same_findings_however_they_come_about(
    made: tuple[FinetuningRun, Path, list[RunResult]], tmp_path: Path
) -> None:
    """Stopped in the middle of a training and between two, then two at once."""
    run, _, expected = made

    def stop(event: ProgressEvent) -> None:
        if (event.stage, event.done) == ("all+llm--none--none--0: steps", 1):
            raise StopError

    with pytest.raises(StopError):
        run(tmp_path, stop)
    assert sum(1 for _ in (tmp_path / "cells").glob("*.json")) == 2  # before, and one training
    assert len(run(tmp_path, most=1)) == 3
    assert told(run(tmp_path, n_workers=2)) == told(expected)


def test_a_finished_run_trains_nothing_again(
    made: tuple[FinetuningRun, Path, list[RunResult]],
) -> None:
    run, home, expected = made
    stages: list[str] = []
    assert run(home / "run", lambda what, *_: stages.append(what)) == expected
    assert not any("training" in what for what in stages)


def test_what_others_compare_with_is_computed_anew_where_it_was_not_taken_along(
    made: tuple[FinetuningRun, Path, list[RunResult]], tmp_path: Path
) -> None:
    """Findings alone are carried from one machine to the next: nothing that they hold changes."""
    run, home, expected = made
    folder = Path(shutil.copytree(home / "run", tmp_path / "run"))
    (folder / "before.npz").unlink()
    last = folder / "cells" / "all+llm--none--none--0.json"
    last.unlink()
    found = run(folder)
    assert found[0] == expected[0]
    assert told(found) == told(expected)


def test_a_study_is_read_from_its_folder_alone(
    made: tuple[FinetuningRun, Path, list[RunResult]], tmp_path: Path
) -> None:
    run, home, expected = made
    record = read_record(home / "run")
    assert record.study == run.config
    assert list(record.findings) == expected
    assert record.in_sound == run.materials.halves
    folder = Path(shutil.copytree(home / "run", tmp_path / "run"))
    (folder / "cells" / f"{run.cells[1].name}.json").unlink()
    assert list(read_record(folder).findings) == [expected[0], expected[1], *expected[3:]]
    cell = folder / "cells" / f"{run.cells[2].name}.json"
    cell.write_bytes(cell.read_bytes()[:-9])
    with pytest.raises(InvalidInputError, match="Remove the file, and the same command trains"):
        read_record(folder)
    (folder / "cells" / "before.json").unlink()
    with pytest.raises(InvalidInputError, match="nothing was measured yet"):
        read_record(folder)


def test_a_clip_that_cannot_be_read_is_counted_and_the_study_goes_on(tmp_path: Path) -> None:
    wanted = study(tmp_path)
    lost = FinetuningRun(*wanted).materials.clips["inside"][0].id
    (tmp_path / "one" / lost).write_bytes(b"RIFF")
    found = FinetuningRun(*wanted)(tmp_path / "run", most=1)
    for one in found:
        assert one.measured is not None
        inside = one.measured.heard["inside"]
        assert [clip for clip, _ in inside.failures] == [lost]
        assert len(inside.clips) == 7
    assert set(found[1].similarity) == {"text", "sound"}


def test_a_training_that_diverges_is_a_finding_with_its_cause(tmp_path: Path) -> None:
    """A tie that overflows at once; the trainings after it go on."""
    wild = [{"parts": [{"kind": "contrastive", "temperature": 1e-40}]}, {}]
    once = [{"parts": "projector+lora", "learning_rate": 1e-3}]
    run = FinetuningRun(*study(tmp_path, trained=once, holding=[{}], alignment=wild))
    _, failed, *_ = found = run(tmp_path / "run", most=2)
    assert failed.measured is None
    assert failed.losses == ()
    assert "at step 0: the training has diverged" in failed.failure
    assert found[2].measured is not None
    assert run(tmp_path / "run", most=1)[1] == failed, "it is not tried again"


def test_a_model_that_shows_no_states_is_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    (tmp_path / "qwen").mkdir()
    (tmp_path / "qwen" / "config.json").write_text('{"model_type": "qwen2_audio"}')
    config, text = study(tmp_path)
    other = replace(config, model=StudyModel(str(tmp_path / "qwen")))
    with pytest.raises(WeightsError, match=r"needs an LTU: .*hidden states.*no converted LTU"):
        FinetuningRun(other, text)(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def changed(folder: Path, **tables: object) -> FinetuningRun:
    """A run by the configuration of another, but for these."""
    text = (folder / "config.toml").read_text(encoding="utf-8")
    text = tomli_w.dumps({**tomllib.loads(text), **tables})
    return FinetuningRun(parse_study(text, "changed"), text)


def test_a_study_can_grow_and_keeps_what_was_trained(
    made: tuple[FinetuningRun, Path, list[RunResult]], tmp_path: Path
) -> None:
    _, home, expected = made
    folder = Path(shutil.copytree(home / "run", tmp_path / "run"))
    grown = changed(folder, seeds=[0, 1])
    found = grown(folder, most=1)
    assert found[: len(expected)] == expected
    assert [one.seed for one in found[len(expected) :]] == [1]
    assert read_record(folder).study == grown.config
    shrunk = changed(folder, seeds=[1])
    assert shrunk(folder, most=1)[1] == found[-1]


def test_a_folder_of_another_study_is_refused(
    made: tuple[FinetuningRun, Path, list[RunResult]], tmp_path: Path
) -> None:
    _, home, _ = made
    before = (home / "run" / "config.toml").read_bytes()
    other = FinetuningRun(*study(tmp_path, seeds=[7]))
    with pytest.raises(InvalidInputError, match=r"another configuration \(taught differs\)"):
        other(home / "run")
    faster = {"steps": 2, "learning_rate": 1e-3, "warmup_steps": 1, "save_every": 1}
    with pytest.raises(InvalidInputError, match=r"\(projector\+lora--none--none--0 is another st"):
        changed(home / "run", plan=faster)(home / "run")
    assert (home / "run" / "config.toml").read_bytes() == before
    with pytest.raises(InvalidInputError, match="workers of at least 1"):
        other(tmp_path / "new", n_workers=0)


def test_the_manifest_says_what_all_rests_on(
    made: tuple[FinetuningRun, Path, list[RunResult]],
) -> None:
    _, home, _ = made
    pinned = json.loads((home / "run" / "manifest.json").read_text())["pinned"]
    assert pinned["model"]["options"]["base"] == "base"
    assert set(pinned["clips"]) == {"taught", "inside", "outside", "earlier", "rehearsed"}
    assert set(pinned["texts"]) == {"rehearsal", "evaluation"}
