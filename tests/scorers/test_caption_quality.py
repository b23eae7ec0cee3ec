"""Captions near their references score high, those of other clips score what chance gives."""

from pathlib import Path

import numpy as np
import pytest
from tests.scripted import JointLevels, sound

from audioprobe import Clip, Waveform, Windowing
from audioprobe.errors import InvalidInputError
from audioprobe.models.embedders.sentence_transformers import SentenceTransformerEmbedder
from audioprobe.scorers.caption_quality import audio_similarity, caption_quality

REFERENCES = {
    "one": ("A dog barks twice.", "Barking of a dog"),
    "two": ("Heavy rain falls on a roof.",),
    "three": ("A violin plays a slow melody.",),
    "four": ("An engine idles.",),
}
GOOD = {"one": "A dog is barking.", "two": "Rain on a rooftop.", "three": "Someone plays violin."}


@pytest.fixture(scope="module")
def embedder() -> SentenceTransformerEmbedder:
    return SentenceTransformerEmbedder()


def test_good_captions_are_far_above_chance(embedder: SentenceTransformerEmbedder) -> None:
    quality = caption_quality(GOOD, REFERENCES, embedder)
    assert quality.similarity.value is not None
    assert quality.chance is not None
    assert quality.chance.value is not None
    assert quality.similarity.value > 0.6 > 0.3 > quality.chance.value  # noqa: PLR0133 - a chain
    assert quality.missing == ("four",)
    assert quality.similarity.n == 3
    assert list(quality.by_clip) == ["one", "two", "three"]


def test_caption_equal_to_its_reference_scores_one(
    embedder: SentenceTransformerEmbedder,
) -> None:
    quality = caption_quality({"two": REFERENCES["two"][0]}, REFERENCES, embedder)
    assert quality.similarity.value == pytest.approx(1.0, abs=1e-5)
    assert quality.chance is None


def test_missing_references_are_rejected(
    embedder: SentenceTransformerEmbedder,
) -> None:
    with pytest.raises(InvalidInputError, match="both a caption and references"):
        caption_quality({"five": "rain"}, REFERENCES, embedder)
    with pytest.raises(InvalidInputError, match="at least one reference"):
        caption_quality(GOOD, {"one": ()}, embedder)


def test_similarity_with_audio_is_the_cosine_in_the_joint_space(tmp_path: Path) -> None:
    """JointLevels puts a level of 0.1 at 10 degrees, "crow" at 0 and "rain" at 60 degrees."""
    long = Waveform(np.repeat([0.1, 0.3], 800).astype(np.float32), 8000)
    clips = [
        Clip(id="a", waveform=sound(0.1), group="site"),
        Clip(id="b", waveform=long, group="site"),
        Clip(id="c", waveform=sound(0.2)),
        Clip(id="gone", path=tmp_path / "none.wav"),
    ]
    captions = {"a": "a crow", "b": "rain", "gone": "a dog"}
    quality = audio_similarity(captions, clips, JointLevels(), windowing=Windowing(seconds=0.1))
    cosines = np.cos(np.radians([10, 50, 30]))
    assert quality.by_clip == pytest.approx({"a": cosines[0], "b": cosines[1:].mean()})
    assert quality.similarity.value == pytest.approx(np.mean(list(quality.by_clip.values())))
    crossed = [np.cos(np.radians([10, 30])).mean(), np.cos(np.radians(50))]
    assert quality.chance is not None
    assert quality.chance.value == pytest.approx(np.mean(crossed))
    assert quality.missing == ("c",)
    assert list(quality.unreadable) == ["gone"]
    with pytest.raises(InvalidInputError, match="readable audio"):
        audio_similarity({"gone": "a dog"}, clips, JointLevels())
