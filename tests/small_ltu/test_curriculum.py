"""A whole curriculum, on a tiny LLaMA: it goes on where it was stopped, and its model loads."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.datasets.debian_packages import PACKAGES, lay_out, small_tables
from tests.tiny_ltu import write_base
from tests.tiny_recipe import PLAN, SOURCES, recipe

from audioprobe import LTU, Prompt
from audioprobe.errors import InvalidInputError, TrainingError, WeightsError
from audioprobe.models.ltu.adapters import save_adapter
from audioprobe.progress import ProgressEvent
from audioprobe.small_ltu.curriculum import Curriculum, scenes_of
from audioprobe.small_ltu.recipe import RecipeAudio, RecipeStage
from audioprobe.small_ltu.relations import Relation

__all__ = ["small_tables"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("base"), with_sound=False)


@pytest.fixture(scope="module")
def trained(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training")
    Curriculum(recipe(base), folder).train()
    return folder


class StopError(Exception):
    """Whatever may end a training."""


@pytest.mark.parametrize(
    "where", ["scenes: spectrograms 7", "encoder: steps 2", "projector: steps 1", "closed: steps 2"]
)
def test_stopped_anywhere_it_reaches_the_same_weights(
    where: str, base: Path, trained: Path, tmp_path: Path
) -> None:
    def stop(event: ProgressEvent) -> None:
        if where == f"{event.stage} {event.done}":
            raise StopError

    with pytest.raises(StopError):
        Curriculum(recipe(base), tmp_path, progress=stop).train()
    found = load_file(Curriculum(recipe(base), tmp_path).train() / "adapter.safetensors")
    expected = load_file(trained / "ltu" / "adapter.safetensors")
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_the_model_loads_over_its_base_and_answers(trained: Path, base: Path) -> None:
    with pytest.raises(WeightsError, match="not on this machine"):
        LTU.from_pretrained(trained / "ltu")  # the card knows a folder by its name alone
    model = LTU.from_pretrained(trained / "ltu", base=base)
    clip = scenes_of(recipe(base).sounds).clips("test")[0]
    (answer,) = model.generate([Prompt("What is heard?", audio=clip.waveform)])
    assert answer.finish in ("stop", "length")
    assert model.info.options["base_revision"]
    assert model.info.options["sha256"]


def test_every_stage_changes_what_it_trains_and_nothing_else(trained: Path, base: Path) -> None:
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


def test_a_folder_is_of_one_recipe_and_a_model_is_not_overwritten(
    trained: Path, base: Path
) -> None:
    with pytest.raises(InvalidInputError, match="another recipe"):
        Curriculum(replace(recipe(base), seed=1), trained)
    curriculum = Curriculum(recipe(base), trained)
    files = curriculum.begin(curriculum.teach_encoder(curriculum.pool()))
    with pytest.raises(InvalidInputError, match="is there already"):
        save_adapter(files, trained / "ltu", name="again")


def test_a_model_on_a_base_of_another_size_is_refused(trained: Path, tmp_path: Path) -> None:
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


def test_recordings_that_are_not_there_are_told_at_once(base: Path, tmp_path: Path) -> None:
    wanted = replace(recipe(base), sounds=RecipeAudio(recordings=True))
    with pytest.raises(InvalidInputError, match="fetch-sounds"):
        Curriculum(wanted, tmp_path / "run", recordings=tmp_path)
    assert not (tmp_path / "run").exists()


def test_nothing_held_out_is_asked(base: Path, tmp_path: Path) -> None:
    """Neither in sound what is for words alone, nor anywhere what is for neither."""
    made = Curriculum(replace(recipe(base), held_out=0.3), tmp_path)
    material = made.material("train", 12)
    stage = RecipeStage("s", ("lora",), PLAN, scenes=0, pairs=3, words=3)
    asked = {record for n in range(80) for record in material.records(stage, n)}
    held: list[Relation] = [r for pair in material.pairs for r in pair if r.holding == "unseen"]
    assert held
    in_words = [
        record for record in asked if record.task in ("hypernym in words", "synonym in words")
    ]
    assert len(in_words) > 10
    for relation in held:
        words = (relation.concept.phrase, relation.phrase)
        assert not any(all(w in record.instruction for w in words) for record in in_words)


def test_two_trainings_in_one_folder_are_refused_from_the_first_scene(
    base: Path, tmp_path: Path
) -> None:
    def begin_another(event: ProgressEvent) -> None:
        if event.stage.startswith("scenes"):
            Curriculum(recipe(base), tmp_path).train()

    with pytest.raises(TrainingError, match="another process trains in this folder"):
        Curriculum(recipe(base), tmp_path, progress=begin_another).train()


def test_missing_and_leaking_recordings_are_refused_before_the_first_scene(
    base: Path, tmp_path: Path, small_tables: None
) -> None:
    for name in PACKAGES:
        lay_out(tmp_path / "sounds" / name, name)
    wanted = replace(recipe(base), sounds=RecipeAudio(n_train=4, most=1, sources=SOURCES))
    with pytest.raises(InvalidInputError, match=r"dog\.wav \(train\), forest/dog\.wav \(test\)"):
        Curriculum(wanted, tmp_path / "leak", recordings=tmp_path / "sounds").train()
    (tmp_path / "sounds/farm/usr/share/farm/more/dog.wav").unlink()
    with pytest.raises(
        InvalidInputError, match=r"1 recordings to train with are missing.*dog\.wav"
    ):
        Curriculum(wanted, tmp_path / "lost", recordings=tmp_path / "sounds").train()
    assert not (tmp_path / "leak/scenes").exists()
