"""Captions near their references score high, those of other clips score what chance gives."""

import pytest

from audioprobe.errors import InvalidInputError
from audioprobe.models.embedders.sentence_transformers import SentenceTransformerEmbedder
from audioprobe.scorers.embedding import caption_quality

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
