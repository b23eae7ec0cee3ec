"""The small LTU that ships: whole, light, known by its card, and able to hear what it learned."""

import hashlib
import json

import pytest

from audioprobe import LTU, LikelihoodClassifier, Prompt, Synthetic
from audioprobe.audio.windowing import read_waveform
from audioprobe.datasets.recordings import Recordings
from audioprobe.io.json_codec import from_json
from audioprobe.models.ltu.checkpoint import ADAPTER, MINI
from audioprobe.models.ltu.model_card import CARD
from audioprobe.small_ltu.curriculum import RECIPE
from audioprobe.small_ltu.evaluation.results import EvaluationResult
from audioprobe.small_ltu.recipe import Recipe, read_recipe
from audioprobe.training.questions import CAPTION_QUESTION, LABELS_QUESTION

SOURCES = ("crow", "siren", "church-bell", "rain", "cricket", "snare-drum")


@pytest.fixture(scope="module")
def mini() -> LTU:
    return LTU.from_pretrained("mini")


def test_it_is_light_and_its_hash_is_that_of_its_card(mini: LTU) -> None:
    digest = hashlib.sha256((MINI / ADAPTER).read_bytes()).hexdigest()
    assert (MINI / ADAPTER).stat().st_size <= 20e6
    assert json.loads((MINI / CARD).read_text())["origin"]["sha256"] == digest
    assert mini.info.options["sha256"] == digest


def test_it_was_made_by_the_recipe_that_ships() -> None:
    made_by = from_json(Recipe, (MINI / RECIPE).read_text(encoding="utf-8"))
    assert made_by == read_recipe("mini")


def test_its_card_tells_what_it_is_not_and_how_well_it_hears() -> None:
    card = (MINI / "README.md").read_text(encoding="utf-8")
    assert "no substitute for LTU-13B" in card
    assert "audioprobe train mini" in card
    for path in sorted((MINI / "evaluation").glob("*.json")):
        for measure in from_json(EvaluationResult, path.read_text(encoding="utf-8")).measures:
            assert str(measure.estimate) in card.replace("\\", ""), (path.stem, measure.name)


def test_it_tells_familiar_sources_apart_that_it_never_heard(mini: LTU) -> None:
    scenes = Synthetic(n_clips=30, most=1, palette=SOURCES, seed=123)
    classifier = LikelihoodClassifier(mini, question=LABELS_QUESTION, template="Labels: {}")
    result = classifier(scenes.clips("test"), scenes.labels)
    auc = result.evaluate().auc.value
    assert auc is not None
    assert auc > 0.85


def test_it_captions_recordings_in_words(mini: LTU) -> None:
    heard = [read_waveform(clip) for clip in Recordings().clips()[:3]]
    answers = list(mini.generate([Prompt(CAPTION_QUESTION, audio=sound) for sound in heard]))
    assert all(answer.text.startswith("Audio caption:") for answer in answers)
    assert all(answer.finish == "stop" for answer in answers)


def test_it_answers_the_same_alone_and_in_a_batch(mini: LTU) -> None:
    scenes = Synthetic(n_clips=3, most=1, palette=SOURCES).clips("test")
    prompts = [Prompt(CAPTION_QUESTION, audio=scene.waveform) for scene in scenes]
    alone = [next(iter(mini.generate([prompt]))).text for prompt in prompts]
    assert [answer.text for answer in mini.generate(prompts)] == alone
