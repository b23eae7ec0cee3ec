"""The training of a recipe can be resumed, and its model is loaded over its base."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.datasets.debian_packages import PACKAGES, lay_out, small_tables
from tests.tiny_ltu import write_base
from tests.tiny_recipe import (
    ARGUMENTS,
    SOURCES,
    StopError,
    adapters_with_and_without_interruption,
    on_yamnet,
    recipe,
)

from audioprobe import LTU, Prompt
from audioprobe.errors import InvalidInputError, TrainingError, WeightsError
from audioprobe.models.ltu.saving import save_adapter
from audioprobe.progress import ProgressEvent
from audioprobe.small_ltu.building import build_scenes
from audioprobe.small_ltu.curriculum import Curriculum
from audioprobe.small_ltu.recipe import RecipeStage, SceneConfig

__all__ = ["small_tables"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("base"), with_sound=False)


@pytest.fixture(scope="module")
def trained(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training")
    Curriculum(recipe(base), folder).train()
    return folder


@pytest.mark.parametrize(
    "where", ["scenes: features 7", "encoder: steps 2", "projector: steps 1", "closed: steps 2"]
)
def test_interrupted_training_reaches_the_same_weights(
    where: str, base: Path, trained: Path, tmp_path: Path
) -> None:
    def stop(event: ProgressEvent) -> None:
        if where == f"{event.stage} {event.done}":
            raise StopError

    with pytest.raises(StopError):
        Curriculum(recipe(base), tmp_path, progress=stop).train()
    adapter = load_file(Curriculum(recipe(base), tmp_path).train() / "adapter.safetensors")
    expected = load_file(trained / "ltu" / "adapter.safetensors")
    assert adapter.keys() == expected.keys()
    assert all(torch.equal(adapter[name], expected[name]) for name in expected)


def test_model_is_loaded_over_its_base_and_answers(trained: Path, base: Path) -> None:
    with pytest.raises(WeightsError, match="not on this machine"):
        LTU.from_pretrained(trained / "ltu")  # the card has only the folder's name
    model = LTU.from_pretrained(trained / "ltu", base=base)
    clip = build_scenes(recipe(base).scenes).clips("test")[0]
    (answer,) = model.generate([Prompt("What is heard?", audio=clip.waveform)])
    assert answer.finish in ("stop", "length")
    assert model.info.options["base_revision"]
    assert model.info.options["sha256"]


def test_each_stage_changes_its_trainable_modules_only(trained: Path, base: Path) -> None:
    files = {
        stage: torch.load(trained / stage / "state.pt", weights_only=True)["weights"]
        for stage in ("projector", "closed")
    }
    assert all("projection" in name for name in files["projector"])
    parts = {
        part: any(part in name for name in files["closed"])
        for part in ("encoder", "projection", "lora_", "embed_tokens")
    }
    assert parts == {"encoder": True, "projection": True, "lora_": True, "embed_tokens": False}


def test_other_recipe_and_overwriting_are_refused(trained: Path, base: Path) -> None:
    with pytest.raises(InvalidInputError, match="another recipe"):
        Curriculum(replace(recipe(base), seed=1), trained)
    curriculum = Curriculum(recipe(base), trained)
    checkpoint = curriculum.init_model(curriculum.features())
    with pytest.raises(InvalidInputError, match="already exists"):
        save_adapter(checkpoint, trained / "ltu", name="again")


def test_base_of_another_size_is_refused(trained: Path, tmp_path: Path) -> None:
    other = write_base(tmp_path / "other", with_sound=False)
    config = json.loads((other / "config.json").read_text())
    config["num_hidden_layers"] += 1
    (other / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match=r"not the base of ltu: num_hidden_layers \d instead of"):
        LTU.from_pretrained(trained / "ltu", base=other)
    config["num_hidden_layers"] -= 1
    (other / "config.json").write_text(json.dumps(config, indent=1))
    with pytest.warns(UserWarning, match="was trained on"):  # of the same sizes, but another one
        LTU.from_pretrained(trained / "ltu", base=other)


def test_missing_recordings_are_refused_at_construction(base: Path, tmp_path: Path) -> None:
    wanted = replace(recipe(base), scenes=SceneConfig(recordings=True))
    with pytest.raises(InvalidInputError, match="fetch-sounds"):
        Curriculum(wanted, tmp_path / "run", recordings=tmp_path)
    assert not (tmp_path / "run").exists()


def test_training_on_a_frozen_encoder_resumes_and_its_model_answers(
    base: Path, tmp_path: Path
) -> None:
    wanted = on_yamnet(recipe(base))

    complete, first, second = adapters_with_and_without_interruption(
        wanted, tmp_path, "closed: steps", 2
    )
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not any("encoder" in name for name in first), "YAMNet's weights are not stored again"
    model = LTU.from_pretrained(complete, base=base)
    assert model.info.options["encoder"] == "YAMNet"
    clip = build_scenes(wanted.scenes).clips("test")[0]
    (answer,) = model.generate([Prompt("What is heard?", audio=clip.waveform)])
    assert answer.finish in ("stop", "length")


def test_held_out_relations_are_not_asked(base: Path, tmp_path: Path) -> None:
    curriculum = Curriculum(replace(recipe(base), held_out=0.3), tmp_path)
    sampler = curriculum.qa_sampler("train", 12)
    stage = RecipeStage(
        name="s", train="lora", arguments=ARGUMENTS, scenes=0, audio_pairs=3, text_pairs=3
    )
    records = {record for step in range(80) for record in sampler.records(stage, step)}
    questions = [r.instruction for r in records if r.task in ("hypernym, text", "synonym, text")]
    assert len(questions) > 10
    held_out = [r for pair in sampler.pairs if pair.role == "held_out" for r in pair.both]
    assert held_out
    for relation in held_out:
        names = (relation.phrase, relation.target_phrase)
        assert not any(all(name in question for name in names) for question in questions)


def test_second_training_in_one_folder_is_refused(base: Path, tmp_path: Path) -> None:
    def train_another(event: ProgressEvent) -> None:
        if event.stage.startswith("scenes"):
            Curriculum(recipe(base), tmp_path).train()

    with pytest.raises(TrainingError, match="another process trains in this folder"):
        Curriculum(recipe(base), tmp_path, progress=train_another).train()


def test_missing_and_leaking_recordings_are_refused_before_training(
    base: Path, tmp_path: Path, small_tables: None
) -> None:
    for name in PACKAGES:
        lay_out(tmp_path / "sounds" / name, name)
    wanted = replace(recipe(base), scenes=SceneConfig(n_train=4, max_sources=1, sources=SOURCES))
    with pytest.raises(InvalidInputError, match=r"dog\.wav \(train\), forest/dog\.wav \(test\)"):
        Curriculum(wanted, tmp_path / "leak", recordings=tmp_path / "sounds").train()
    (tmp_path / "sounds/farm/usr/share/farm/more/dog.wav").unlink()
    with pytest.raises(InvalidInputError, match=r"1 training recordings are missing.*dog\.wav"):
        Curriculum(wanted, tmp_path / "lost", recordings=tmp_path / "sounds").train()
    assert not (tmp_path / "leak/scenes").exists()
