"""What each arm receives of the audio, in training and in the evaluation."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.experiments.architectures.tiny_architectures import (
    ARMS,
    N_SCENES,
    arm,
    copied,
    materials,
    settings,
)

from audioprobe import Prompt, Waveform
from audioprobe.audio.windowing import read_waveform
from audioprobe.concepts import Concepts
from audioprobe.errors import InvalidInputError
from audioprobe.experiments.architectures.inputs import captioner_of, rewrite_of
from audioprobe.experiments.architectures.materials import ArmMaterials
from audioprobe.experiments.architectures.tag_texts import (
    KnownLabels,
    WithoutAudio,
    clip_probabilities,
)
from audioprobe.experiments.architectures.tool_plans import (
    SceneTagger,
    SceneTools,
    agent_tools,
    plan_of,
)
from audioprobe.experiments.architectures.training import arm_recipe
from audioprobe.metrics.label_metrics import roc_auc
from audioprobe.models.cascade import Cascade
from audioprobe.models.encoders.linear_head import fit_linear_head
from audioprobe.models.scripted import Scripted
from audioprobe.models.tool_agent.agent import ToolAgent
from audioprobe.models.tool_agent.text_controllers import PlannedController
from audioprobe.models.tool_agent.text_protocol import answer_text, parse_step
from audioprobe.small_ltu.questions import FIRST, LAST, PRESENCE, QASampler
from audioprobe.tool_calls import CallRequest
from audioprobe.training.examples import CAPTION_QUESTION, LABELS_QUESTION, QARecord

TOOLS = {"presence": "presence", "order": "order", "loudness": "loudness", "number": "count"}
"""Tool that a task needs; all other tasks need the list of labels."""


def sampler(tiny: ArmMaterials, seed: int = 0) -> QASampler:
    held_out = tiny.recipe.held_out
    return QASampler(tiny.scenes, "train", N_SCENES, held_out=held_out, seed=seed)


def questions(tiny: ArmMaterials, n_steps: int = 2, seed: int = 0) -> list[QARecord]:
    """Return the questions of the first steps of the stage about audio."""
    drawn = sampler(tiny, seed)
    return [r for step in range(n_steps) for r in drawn.records(tiny.recipe.stages[1], step)]


def scene(tiny: ArmMaterials, row: int) -> Waveform:
    return read_waveform(tiny.scenes.clips("train")[row])


@pytest.mark.parametrize("seed", [0, 1])
def test_all_arms_of_a_seed_have_the_same_clips_questions_and_order(
    tiny: ArmMaterials, seed: int
) -> None:
    recipes = [arm_recipe(tiny.recipe, arm(name), seed, 1.0) for name in ARMS]
    drawn = []
    for recipe in recipes:
        made = QASampler(tiny.scenes, "train", N_SCENES, held_out=recipe.held_out, seed=recipe.seed)
        stage = recipe.stages[1]
        first = stage.arguments.seed * 1_000_000
        drawn.append([made.records(stage, first + step) for step in range(3)])
    assert all(records == drawn[0] for records in drawn)
    assert any(record.audio_id for record in drawn[0][0])


def test_other_seeds_have_other_questions_and_roles(tiny: ArmMaterials) -> None:
    roles = [[pair.role for pair in sampler(tiny, seed).pairs] for seed in range(3)]
    assert len({tuple(of_seed) for of_seed in roles}) == 3
    assert questions(tiny, seed=0) != questions(tiny, seed=1)


@pytest.mark.parametrize("name", [name for name in ARMS if "input" in ARMS[name]])
def test_rewritten_questions_keep_order_and_answers(tiny: ArmMaterials, name: str) -> None:
    records = questions(tiny)
    rewrite = rewrite_of(arm(name), tiny)
    assert rewrite is not None
    written = list(rewrite(records))
    assert not any(record.audio_id for record in written)
    final = [r for r in written if not r.output.startswith("CALL ")]
    assert len(final) == len(records)
    for before, after in zip(records, final, strict=True):
        assert after.task == before.task
        assert after.instruction.endswith(before.instruction)
        is_step = name == "controller" and before.audio_id
        assert after.output == (answer_text(before.output) if is_step else before.output)
        if not before.audio_id:
            assert after == before


@pytest.mark.parametrize("name", ["linear", "codes", "cross-attention"])
def test_arms_with_audio_tokens_have_the_questions_unchanged(tiny: ArmMaterials, name: str) -> None:
    assert rewrite_of(arm(name), tiny) is None


def test_blind_arm_has_the_questions_alone(tiny: ArmMaterials) -> None:
    rewrite = rewrite_of(arm("blind"), tiny)
    assert rewrite is not None
    records = questions(tiny)
    assert [r.instruction for r in rewrite(records)] == [r.instruction for r in records]


def test_true_tags_name_the_labels_of_the_scene_and_no_others(tiny: ArmMaterials) -> None:
    rewrite = rewrite_of(arm("true-tags"), tiny)
    assert rewrite is not None
    phrases = {concept.name: concept.phrase for concept in Concepts.shipped()}
    clips = tiny.scenes.clips("train")
    for row in range(0, N_SCENES, 2):
        record = QARecord(instruction="What is it?", output="It.", audio_id=str(row))
        (written,) = rewrite([record])
        caption = written.instruction.splitlines()[1]
        expected = {f"{phrases[label]} (1.00)" for label in clips[row].labels or ()}
        assert set(caption.split(", ")) == expected


def test_true_tags_of_the_evaluation_read_as_in_training(tiny: ArmMaterials) -> None:
    rewrite = rewrite_of(arm("true-tags"), tiny)
    assert rewrite is not None
    clips = tiny.scenes.clips("train")
    truth = {scene(tiny, row).digest(): clips[row].labels or () for row in (0, 1)}
    known = KnownLabels(tiny.tagger.labels, tiny.tagger.phrases, truth)
    for row in (0, 1):
        (written,) = rewrite([QARecord(instruction="Q?", output="A.", audio_id=str(row))])
        assert prompt_of_cascade(captioner_of(known), scene(tiny, row)) == written.instruction


def prompt_of_cascade(captioner: object, waveform: Waveform) -> str:
    """Return the prompt that the reasoner of a cascade receives."""
    received: list[str] = []

    def answer(prompt: Prompt) -> str:
        received.append(prompt.text)
        return "yes"

    list(Cascade(captioner, Scripted(answer)).generate([Prompt("Q?", waveform)]))  # type: ignore[arg-type]
    return received[0]


def test_known_labels_refuse_an_unknown_clip(tiny: ArmMaterials) -> None:
    known = KnownLabels(["Crow"], ["a crow"], {"0": ["Crow"]})
    with pytest.raises(InvalidInputError, match="one of 1 clips with known labels"):
        list(known.tag([scene(tiny, 0)]))


@pytest.mark.slow
def test_captions_of_the_training_are_out_of_fold(tiny: ArmMaterials, tmp_path: Path) -> None:
    """Labels that are random, but can be learnt by heart from random features."""
    folder = copied(tiny, tmp_path / "planted")
    rng = np.random.default_rng(0)
    paths = [folder / "features" / "train" / f"{name}.npy" for name in ("features", "labels")]
    features, labels = map(np.load, paths)
    features = rng.normal(size=features.shape).astype(features.dtype)
    labels = rng.permutation(np.arange(labels.size) % 2).reshape(labels.shape).astype(labels.dtype)
    np.save(paths[0], features)
    np.save(paths[1], labels)
    (folder / "out-of-fold-logits.npy").unlink()
    planted = materials(settings(Path(tiny.config.recipe)), folder)
    frames, is_even = features.astype(np.float32), np.arange(N_SCENES) % 2 == 0
    logits = planted.out_of_fold_logits
    out_of_fold = np.stack([clip_probabilities(rows) for rows in logits])  # nothing is repeated
    assert 0.1 < (auc(labels[is_even], out_of_fold[is_even])) < 0.9
    other = fit_linear_head(frames[~is_even], labels[~is_even], seed=0)
    by_heart = np.stack([other.clip_logits(clip) for clip in frames[~is_even]])
    assert auc(labels[~is_even], by_heart) == 1
    for row in np.flatnonzero(is_even):  # exactly the head of the other half
        expected = other.frame_logits(frames[row]).astype(np.float16)
        np.testing.assert_array_equal(logits[row], expected.astype(np.float32))
    rewrite = rewrite_of(arm("cascade"), planted)
    assert rewrite is not None
    (written,) = rewrite([QARecord(instruction="Q?", output="A.", audio_id="0")])
    caption = captioner_of(planted.tagger).describe(out_of_fold[0]).text
    assert written.instruction.splitlines()[1] == caption


def auc(labels: npt.NDArray[np.uint8], scores: npt.NDArray[np.floating]) -> float:
    value = roc_auc(labels.ravel() == 1, scores.ravel())
    assert value is not None
    return value


def test_logits_are_stored_once(tiny: ArmMaterials) -> None:
    path = tiny.folder / "out-of-fold-logits.npy"
    written = path.stat().st_mtime_ns
    again = materials(settings(Path(tiny.config.recipe)), tiny.folder)
    np.testing.assert_array_equal(again.out_of_fold_logits, tiny.out_of_fold_logits)
    assert path.stat().st_mtime_ns == written


def test_pooling_of_clips_is_that_of_the_tagger(tiny: ArmMaterials) -> None:
    (direct,) = tiny.tagger.tag([scene(tiny, 0)])
    (frames,) = tiny.tagger.tag_frames([scene(tiny, 0)])
    logits = np.log(frames.astype(np.float64)) - np.log1p(-frames.astype(np.float64))
    np.testing.assert_allclose(clip_probabilities(logits), direct, atol=1e-4)


def test_plans_match_every_training_question(tiny: ArmMaterials) -> None:
    tasks = set()
    for record in questions(tiny, n_steps=150):
        if not record.audio_id:
            continue
        (request,) = plan_of(record.instruction)
        tasks.add(record.task)
        assert request.tool == TOOLS.get(record.task, "tags"), record
        if record.task == "presence":
            phrase = request.arguments["sound"]
            assert any(text.format(phrase) == record.instruction for text in PRESENCE)
    assert {*TOOLS, "caption", "labels", "open"} <= tasks


@given(st.sampled_from([concept.phrase for concept in Concepts.shipped()]))
def test_plan_of_presence_names_the_sound(phrase: str) -> None:
    for text in PRESENCE:
        assert plan_of(text.format(phrase)) == (CallRequest("presence", {"sound": phrase}),)


@pytest.mark.parametrize("text", [CAPTION_QUESTION, LABELS_QUESTION, "Can you hear?", ""])
def test_other_questions_need_the_list_of_labels(text: str) -> None:
    assert plan_of(text) == (CallRequest("tags"),)


def test_tools_give_two_examples_per_question_that_the_protocol_parses(
    tiny: ArmMaterials,
) -> None:
    records = [record for record in questions(tiny, n_steps=4) if record.audio_id]
    written = SceneTools(tiny)(records)
    assert len(written) == 2 * len(records)
    for record, call, answer in zip(records, written[::2], written[1::2], strict=True):
        assert call.instruction == f"QUESTION {record.instruction}"
        assert (parse_step(call.output),) == plan_of(record.instruction)
        assert parse_step(answer.output) == record.output
        first, result, last = answer.instruction.splitlines()
        assert (first, last) == (call.output, call.instruction)
        assert result.startswith('RESULT "')
        assert "failed" not in result


def test_results_of_tools_read_in_the_evaluation_as_in_training(tiny: ArmMaterials) -> None:
    tagger, received = SceneTagger(tiny), []

    def answer(prompt: Prompt) -> str:
        received.append(prompt.text)
        return "ANSWER yes"

    controller = PlannedController(plan_of, Scripted(answer), name="plan", style="short")
    agent = ToolAgent(controller, agent_tools(tagger))
    records = [record for record in questions(tiny) if record.audio_id]
    for record in records:
        waveform = scene(tiny, int(record.audio_id))
        tagger.add(waveform, int(record.audio_id))
        list(agent.generate([Prompt(record.instruction, waveform)]))
    expected = [record.instruction for record in SceneTools(tiny)(records)[1::2]]
    assert received == expected


def test_tools_of_a_training_scene_have_out_of_fold_probabilities(tiny: ArmMaterials) -> None:
    tagger = SceneTagger(tiny)
    for row in range(6):
        tagger.add(scene(tiny, row), row)
        (clip,) = tagger.tag([scene(tiny, row)])
        (frames,) = tagger.tag_frames([scene(tiny, row)])
        (of_test,) = tiny.tagger.tag_frames([scene(tiny, row)])
        assert frames.shape == of_test.shape  # without repetitions, which have no time
        logits = tiny.out_of_fold_logits[row, : len(frames)]
        np.testing.assert_array_equal(clip, clip_probabilities(logits))
        np.testing.assert_allclose(frames, 1 / (1 + np.exp(-logits)), rtol=1e-5)
    assert tagger.info.options["n_scenes"] == N_SCENES


def test_last_sound_of_a_training_scene_is_not_the_first(
    tiny: ArmMaterials, tmp_path: Path
) -> None:
    """A planted scene: the first label at its begin, the second at its end, then a repetition."""
    folder = copied(tiny, tmp_path / "planted")
    labels = tiny.tagger.phrases
    logits = np.load(folder / "out-of-fold-logits.npy")
    lengths = [len(tiny.scene_logits(row)) for row in range(N_SCENES)]
    row = next(n for n, length in enumerate(lengths) if 1 < length < logits.shape[1])
    n_frames = lengths[row]
    logits[row] = -9
    logits[row, :, 1] = np.where(np.arange(logits.shape[1]) == n_frames - 1, 9, -9)
    logits[row, 0, :2] = logits[row, n_frames:, :2] = 9, -9
    np.save(folder / "out-of-fold-logits.npy", logits)
    tools = SceneTools(materials(settings(Path(tiny.config.recipe)), folder))
    records = [QARecord(instruction=q, output="It.", audio_id=str(row)) for q in (FIRST, LAST)]
    results = [record.instruction.splitlines()[1] for record in tools(records)[1::2]]
    assert results == [f'RESULT "{labels[0]}"', f'RESULT "{labels[1]}"']


def test_a_model_without_audio_does_not_depend_on_the_clip(tiny: ArmMaterials) -> None:
    received: list[tuple[str, Waveform | None]] = []

    def answer(prompt: Prompt) -> str:
        received.append((prompt.text, prompt.audio))
        return "A"

    model = WithoutAudio(Scripted(answer))
    prompts = [Prompt("Q?", scene(tiny, row)) for row in (0, 1)] + [Prompt("Q?")]
    assert [response.text for response in model.generate(prompts)] == ["A"] * 3
    assert received == [("Q?", None)] * 3
    values = [*model.log_likelihood(prompts, ["Yes.", "No."])]
    assert values[0] == values[1] == values[2]
    assert model.info.parts["model"].name == "scripted"
