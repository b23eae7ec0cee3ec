"""The small LTU in the package: size, model card, accuracy on held-out synthetic clips."""

import hashlib
import json

import pytest
from tests.processes import ROOT

from audioprobe import LTU, LikelihoodClassifier, Prompt, Synthetic
from audioprobe.audio.windowing import read_waveform
from audioprobe.datasets.recordings import Recordings
from audioprobe.io.json_codec import from_json
from audioprobe.models.ltu.checkpoint import ADAPTER, CARD
from audioprobe.models.ltu.shipped import MINI
from audioprobe.small_ltu.curriculum import RECIPE
from audioprobe.small_ltu.measures import EvaluationResult
from audioprobe.small_ltu.recipe import Recipe, read_recipe
from audioprobe.training.examples import CAPTION_QUESTION, LABELS_QUESTION

SOURCES = ("crow", "siren", "church-bell", "rain", "cricket", "snare-drum")


@pytest.fixture(scope="module")
def mini() -> LTU:
    return LTU.from_pretrained("mini")


def test_adapter_is_small_and_has_the_hash_of_its_card(mini: LTU) -> None:
    digest = hashlib.sha256((MINI / ADAPTER).read_bytes()).hexdigest()
    assert (MINI / ADAPTER).stat().st_size <= 20e6
    assert json.loads((MINI / CARD).read_text())["origin"]["sha256"] == digest
    assert mini.info.options["sha256"] == digest


def test_stored_recipe_is_the_shipped_recipe() -> None:
    made_by = from_json(Recipe, (MINI / RECIPE).read_text(encoding="utf-8"))
    assert made_by == read_recipe("mini")


def test_readme_has_the_limits_and_every_measure() -> None:
    card = (MINI / "README.md").read_text(encoding="utf-8")
    assert "does not replace LTU-13B" in card
    assert "audioprobe train-ltu mini" in card
    for path in sorted((MINI / "evaluation").glob("*.json")):
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


def test_mini_responses_do_not_depend_on_the_batch(mini: LTU) -> None:
    scenes = Synthetic(n_clips=2, max_sources=1, palette=SOURCES).clips("test")
    prompts = [Prompt(CAPTION_QUESTION, audio=scene.waveform) for scene in scenes]
    alone = [next(iter(mini.generate([prompt]))).text for prompt in prompts]
    assert [answer.text for answer in mini.generate(prompts)] == alone


def test_stored_study_names_the_shipped_model(mini: LTU) -> None:
    manifest = json.loads((ROOT / "studies/finetuning/manifest.json").read_text("utf-8"))
    assert manifest["pinned"]["model"]["revision"] == mini.info.revision
