"""Choice of learning rates, budgets, and recipes of arms."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.experiments.architectures.tiny_architectures import (
    ARMS,
    arm,
    copied,
    materials,
    recipe,
    settings,
    write_recipe,
)
from transformers import AutoTokenizer

from audioprobe.concepts import Concepts
from audioprobe.errors import InvalidInputError, TrainingError
from audioprobe.experiments.architectures.config import Arm, recipe_of
from audioprobe.experiments.architectures.materials import ArmMaterials
from audioprobe.experiments.architectures.tag_texts import captioned
from audioprobe.experiments.architectures.training import ArmTrainer, arm_recipe, trial_arm
from audioprobe.models.causal_lm.loading import plain_folder
from audioprobe.models.ltu.trainable import LTUPrompts
from audioprobe.models.tool_agent.text_protocol import answer_text, step_prompt
from audioprobe.progress import ProgressEvent
from audioprobe.small_ltu.questions import QASampler
from audioprobe.small_ltu.recipe import read_recipe
from audioprobe.tool_calls import ToolCall
from audioprobe.training.examples import encode_record
from audioprobe.training.trainer import training_lock
from audioprobe.weights import resolve

COMPUTE = {"name": "compute", **ARMS["cross-attention"], "budget": "compute"}


def study(tiny: ArmMaterials, folder: Path, *names: str, **changes: object) -> ArmMaterials:
    """Return the data of a study of some arms in a folder of its own."""
    return materials(
        settings(Path(tiny.config.recipe), *names, **changes), copied(tiny, folder / "study")
    )


def trainer(made: ArmMaterials, name: str = "linear", seed: int = 0) -> ArmTrainer:
    return ArmTrainer(made, made.config.arm(name), seed)


def plant(made: ArmMaterials, losses: dict[str, float | None], name: str = "linear") -> Path:
    """Store losses of trials."""
    path = made.folder / "rates" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(losses))
    return path


@pytest.mark.parametrize(
    ("losses", "rate"),
    [
        ({"1.0": 2.0, "3.0": 1.0}, 3.0),
        ({"1.0": 1.0, "3.0": 2.0}, 1.0),
        ({"1.0": 1.0, "3.0": 1.0}, 1.0),  # a tie
        ({"3.0": 1.0, "1.0": 1.0}, 1.0),
        ({"1.0": None, "3.0": 9.0}, 3.0),  # the first diverged
    ],
)
def test_rate_with_the_lowest_validation_loss_is_chosen(
    tiny: ArmMaterials, tmp_path: Path, losses: dict[str, float | None], rate: float
) -> None:
    made = study(tiny, tmp_path, "linear")
    plant(made, losses)
    chosen = trainer(made, seed=5)
    assert chosen.rate == rate
    assert chosen.rate_losses() == {float(factor): loss for factor, loss in losses.items()}
    of_arm = chosen.recipe
    assert of_arm.alignment is not None
    assert of_arm.alignment.arguments.learning_rate == pytest.approx(1e-3 * rate)
    assert [stage.connector_rate for stage in of_arm.stages] == [1.0, rate]
    assert {stage.arguments.learning_rate for stage in of_arm.stages} == {1e-3}


@pytest.mark.parametrize("seed", [0, 3])
def test_questions_of_a_training_are_counted(tiny: ArmMaterials, tmp_path: Path, seed: int) -> None:
    made = trainer(study(tiny, tmp_path, "blind"), "blind", seed)
    (stage,) = made.recipe.stages[1:]
    n_scenes, held_out = len(tiny.training_features), tiny.recipe.held_out
    sampler = QASampler(tiny.scenes, "train", n_scenes, held_out=held_out, seed=seed)
    numbers = (seed * 1_000_000, seed * 1_000_000 + 1)  # of two steps
    assert made.n_questions() == sum(len(sampler.records(stage, n)) for n in numbers) > 0


def test_divergence_at_all_rates_is_an_error(tiny: ArmMaterials, tmp_path: Path) -> None:
    made = study(tiny, tmp_path, "linear")
    plant(made, {"1.0": None, "3.0": None})
    with pytest.raises(TrainingError, match="'linear': the training diverged at all"):
        _ = trainer(made).rate


@pytest.mark.parametrize("name", ["blind", "cascade", "controller", "true-tags"])
def test_arms_without_connector_have_no_trials(tiny: ArmMaterials, name: str) -> None:
    made = trainer(tiny, name)
    assert (made.rate, made.rate_losses()) == (1.0, {})
    assert made.recipe.alignment is None
    assert made.recipe.stages[1].train == "lora"


def test_trials_are_stored_and_resumed_and_a_diverged_one_has_no_loss(
    tiny: ArmMaterials, tmp_path: Path
) -> None:
    factors = [1.0, 1e30]
    made = study(tiny, tmp_path, "linear", rates={"factors": factors, "steps": 1, "n_scenes": 3})
    events: list[ProgressEvent] = []
    losses = trainer(replace(made, progress=events.append), seed=2).rate_losses()
    assert losses.keys() == set(factors)
    assert losses[1e30] is None
    assert isinstance(losses[1.0], float)
    assert trainer(made).rate == 1.0
    path = made.folder / "rates" / "linear.json"
    assert json.loads(path.read_text()) == {"1.0": losses[1.0], "1e+30": None}
    assert not any((made.folder / "rate-trials").iterdir())
    assert not (made.folder / "training" / "shared-2").exists()  # trials have the first seed
    plant(made, {"1e+30": None})
    events.clear()
    assert trainer(replace(made, progress=events.append)).rate_losses() == losses
    assert {event.stage.split(":")[0] for event in events} <= {"linear-0", "features, validation"}


def test_recipe_without_shared_stages_has_trials(tiny: ArmMaterials, tmp_path: Path) -> None:
    path = write_recipe(tmp_path, stages=tiny_stages()[1:])
    rates = {"factors": [1.0], "steps": 1, "n_scenes": 3}
    made = materials(settings(path, "linear", rates=rates), copied(tiny, tmp_path / "study"))
    losses = trainer(made).rate_losses()
    assert isinstance(losses[1.0], float)
    assert not (made.folder / "training").exists()


def test_folder_in_use_does_not_mean_divergence(tiny: ArmMaterials, tmp_path: Path) -> None:
    made = study(tiny, tmp_path, "linear")
    shared = made.folder / "training" / "shared-0" / "ltu"
    folder = made.folder / "rate-trials" / "linear-0-1"
    for path in (shared, shared.parent / "text", folder):
        path.mkdir(parents=True)
    with training_lock(folder), pytest.raises(TrainingError, match="another process"):
        _ = trainer(made).rate
    assert not (made.folder / "rates" / "linear.json").exists()


def test_arms_that_differ_in_budget_share_trials(tiny: ArmMaterials, tmp_path: Path) -> None:
    arms = [{"name": "linear"}, {"name": "cross-attention", **ARMS["cross-attention"]}, COMPUTE]
    made = study(tiny, tmp_path, arms=arms)
    config = made.config
    trials = {a.name: trial_arm(config, a) for a in config.arms}
    assert {name: a and a.name for name, a in trials.items()} == {
        "linear": "linear",
        "cross-attention": "cross-attention",
        "compute": "cross-attention",
    }
    plant(made, {"1.0": 2.0, "3.0": 1.0}, "cross-attention")
    assert trainer(made, "compute").rate == 3.0


def test_equal_compute_gives_cheaper_arms_more_steps(tiny: ArmMaterials, tmp_path: Path) -> None:
    stages: list[dict[str, Any]] = tiny_stages()
    stages[1]["arguments"]["steps"] = 100
    path = write_recipe(tmp_path, stages=stages)
    arms = [{"name": "linear"}, {"name": "equal", **ARMS["cross-attention"]}, COMPUTE]
    made = materials(settings(path, arms=arms), copied(tiny, tmp_path / "study"))
    for name in ("linear", "equal"):
        plant(made, {"1.0": 1.0, "3.0": 2.0}, name)
    n_steps = {
        name: [stage.arguments.steps for stage in trainer(made, name).recipe.stages]
        for name in ("linear", "equal", "compute")
    }
    assert n_steps["linear"] == n_steps["equal"] == [2, 100]
    assert n_steps["compute"][0] == 2
    assert 102 <= n_steps["compute"][1] <= 120


def tiny_stages() -> list[dict[str, Any]]:
    return list(recipe(Path("base"))["stages"])


@pytest.mark.parametrize("name", ARMS)
def test_recipes_differ_in_connector_modules_and_rate_alone(tiny: ArmMaterials, name: str) -> None:
    made = arm_recipe(tiny.recipe, arm(name), 3, 2.0)
    assert made.seed == 3
    assert made.connector == arm(name).connector
    for before, after in zip(tiny.recipe.stages, made.stages, strict=True):
        assert after.arguments == replace(before.arguments, seed=3)
        fields = ("name", "scenes", "questions_per_scene", "text_pairs", "plain_captions", "tasks")
        assert all(getattr(after, field) == getattr(before, field) for field in fields)
    assert made.stages[0] == replace(
        tiny.recipe.stages[0], arguments=replace(tiny.recipe.stages[0].arguments, seed=3)
    )
    fields = ("base", "scenes", "encoder", "lora", "held_out", "codebook")
    assert all(getattr(made, field) == getattr(tiny.recipe, field) for field in fields)


def test_language_model_has_a_rate_of_its_own(tiny: ArmMaterials) -> None:
    recipe = arm_recipe(tiny.recipe, Arm(name="slow", language_rate=0.5), 0, 3.0)
    rates = [(s.arguments.learning_rate, s.connector_rate) for s in recipe.stages]
    assert rates == [(1e-3, 1.0), (5e-4, 6.0)]  # the rate of the connector is the product


def test_all_weights_can_be_trained(tiny: ArmMaterials) -> None:
    recipes = [
        arm_recipe(tiny.recipe, Arm(name="all", train="llm"), 0, 1.0),
        arm_recipe(tiny.recipe, Arm(name="all", train="llm", input="tags"), 0, 1.0),
    ]
    assert [[s.train for s in r.stages] for r in recipes] == [
        ["lora", "projector+llm"],
        ["lora", "llm"],
    ]


@pytest.mark.parametrize("name", ["cascade", "controller"])
def test_long_captions_and_results_of_tools_do_not_truncate_answers(
    tiny: ArmMaterials, name: str
) -> None:
    shipped = read_recipe("architectures")
    prompts = LTUPrompts(AutoTokenizer.from_pretrained(plain_folder(resolve(shipped.base))))
    stage = arm_recipe(shipped, arm(name), 0, 1.0).stages[-1]
    phrases = sorted((concept.phrase for concept in Concepts.shipped()), key=len)[-5:]
    caption = ", ".join(f"{phrase} (0.99)" for phrase in phrases)
    sampler = QASampler(tiny.scenes, "train", 16, held_out=0.2, seed=0)
    records = [r for step in range(20) for r in sampler.records(stage, step) if r.audio_id]
    for record in records:
        (written,) = captioned([record], lambda _: caption)
        if name == "controller":
            call = ToolCall(tool="tags", result=caption)
            text, answer = step_prompt(record.instruction, [call]), answer_text(record.output)
            written = replace(record, instruction=text, output=answer)
        example = encode_record(written, prompts, max_tokens=stage.max_tokens)
        assert example.ids[-1] == prompts.eos_token_id


def test_recipe_without_audio_is_refused(tmp_path: Path) -> None:
    path = write_recipe(tmp_path, stages=tiny_stages()[:1])
    with pytest.raises(InvalidInputError, match="a stage about audio"):
        recipe_of(materials(settings(path), tmp_path).config)
