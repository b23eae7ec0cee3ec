"""The small LTUs in the package: size, model card, accuracy on clips outside the training."""

import hashlib
import json

import pytest
from tests.processes import ROOT

from audioprobe import LTU, CaptionClassifier, LikelihoodClassifier, Prompt, Synthetic
from audioprobe.audio.windowing import read_waveform
from audioprobe.datasets.recordings import Recordings
from audioprobe.io.json_codec import from_json
from audioprobe.models.ltu.checkpoint import ADAPTER
from audioprobe.models.ltu.shipped import shipped_models
from audioprobe.small_ltu.building import RECIPE
from audioprobe.small_ltu.measures import EvaluationResult
from audioprobe.small_ltu.recipe import Recipe, read_recipe
from audioprobe.training.examples import CAPTION_QUESTION, LABELS_QUESTION

MODELS = shipped_models()
SOURCES = ("crow", "siren", "church-bell", "rain", "cricket", "snare-drum")


@pytest.fixture(scope="module")
def mini() -> LTU:
    return LTU.from_pretrained("mini")


def test_mini_and_its_predecessor_are_shipped() -> None:
    assert set(MODELS) == {"mini", "mini-v1"}


@pytest.mark.parametrize("name", MODELS)
def test_adapter_is_small_and_has_the_hash_of_its_card(name: str) -> None:
    adapter = MODELS[name] / ADAPTER
    digest = hashlib.sha256(adapter.read_bytes()).hexdigest()
    assert adapter.stat().st_size <= 10e6
    info = LTU.from_pretrained(name).info
    assert info.options["sha256"] == digest
    assert info.name == f"LTU {name}"


@pytest.mark.parametrize("name", MODELS)
def test_stored_recipe_is_the_shipped_recipe(name: str) -> None:
    made_by = from_json(Recipe, (MODELS[name] / RECIPE).read_text(encoding="utf-8"))
    assert made_by == read_recipe(name)


@pytest.mark.parametrize("name", MODELS)
def test_readme_has_the_limits_and_every_measure(name: str) -> None:
    folder = MODELS[name]
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "does not replace LTU-13B" in card
    assert f"audioprobe train-ltu {name} " in card
    for path in sorted((folder / "evaluation").glob("*.json")):
        for measure in from_json(EvaluationResult, path.read_text(encoding="utf-8")).measures:
            assert str(measure.estimate) in card.replace("\\", ""), (path.stem, measure.name)


def test_label_likelihoods_rank_held_out_synthetic_clips(mini: LTU) -> None:
    scenes = Synthetic(n_clips=12, max_sources=1, palette=SOURCES, seed=123)
    classifier = LikelihoodClassifier(mini, question=LABELS_QUESTION, template="Labels: {}")
    result = classifier(scenes.clips("test"), scenes.labels)
    auc = result.evaluate().auc.value
    assert auc is not None
    assert auc > 0.85


def test_captions_of_recordings_have_the_trained_format(mini: LTU) -> None:
    clips = [read_waveform(clip) for clip in Recordings().clips()[:3]]
    answers = list(mini.generate([Prompt(CAPTION_QUESTION, audio=sound) for sound in clips]))
    assert all(answer.text.startswith("Audio caption:") for answer in answers)
    assert all(answer.finish == "stop" for answer in answers)


def test_captions_rank_the_labels_of_the_shipped_recordings(mini: LTU) -> None:
    recordings = Recordings()
    result = CaptionClassifier(mini)(recordings.clips(), labels=recordings.labels)
    auc = result.evaluate().auc
    assert auc.low is not None
    assert auc.low > 0.55


def test_mini_responses_do_not_depend_on_the_batch(mini: LTU) -> None:
    scenes = Synthetic(n_clips=2, max_sources=1, palette=SOURCES).clips("test")
    questions = (CAPTION_QUESTION, "Can you hear a crow?", "Can you hear rain?")
    prompts = [Prompt(text, audio=scene.waveform) for scene in scenes for text in questions]
    alone = [next(iter(mini.generate([prompt]))).text for prompt in prompts]
    assert [answer.text for answer in mini.generate(prompts)] == alone


def test_stored_study_names_its_model() -> None:
    manifest = json.loads((ROOT / "studies/finetuning/manifest.json").read_text("utf-8"))
    assert manifest["pinned"]["model"]["revision"] == LTU.from_pretrained("mini-v1").info.revision
