"""What an embedder does not read of a text is said: of captions counted, of labels refused."""

from pathlib import Path

import pytest
from tests.scripted import CharacterEmbedder, ScriptedModel, sound

from audioprobe import CaptionClassifier, EmbeddingScorer, SentenceTransformerEmbedder
from audioprobe.errors import InvalidInputError
from audioprobe.models.embedders.cached import CachedEmbedder
from audioprobe.protocols import TextLimit
from audioprobe.results.scores import NOT_SCORED
from audioprobe.types import Response

LIMIT = 256  # word pieces of all-MiniLM-L6-v2, the two around a text included
AROUND = 4  # the beginning, "sound", "of", and the end
LONG = "crow " * 300


@pytest.fixture(scope="module")
def embedder() -> SentenceTransformerEmbedder:
    return SentenceTransformerEmbedder()


def test_tokens_beyond_the_limit_are_counted(
    embedder: SentenceTransformerEmbedder, tmp_path: Path
) -> None:
    texts = ["crow", "crow " * (LIMIT - 2), "crow " * (LIMIT - 1), LONG]
    assert embedder.excess_tokens(texts) == [0, 0, 1, 302 - LIMIT]
    cached = CachedEmbedder(embedder, tmp_path / "store.sqlite")
    assert cached.excess_tokens(texts) == [0, 0, 1, 302 - LIMIT]
    assert not isinstance(CharacterEmbedder(), TextLimit)
    unknown = CachedEmbedder(CharacterEmbedder(), tmp_path / "store.sqlite")
    assert unknown.excess_tokens(texts) is None
    scorer = EmbeddingScorer(embedder)
    assert scorer.excess_tokens([LONG]) == [300 + AROUND - LIMIT]
    assert EmbeddingScorer(CharacterEmbedder()).excess_tokens([LONG]) is None


def test_label_beyond_the_token_limit_is_rejected(
    embedder: SentenceTransformerEmbedder,
) -> None:
    with pytest.raises(InvalidInputError, match=f"is {300 + AROUND - LIMIT} tokens longer"):
        EmbeddingScorer(embedder).score(["a crow"], ["crow", LONG])


def test_result_counts_captions_beyond_the_token_limit(
    embedder: SentenceTransformerEmbedder,
) -> None:
    model = ScriptedModel(
        lambda prompt: Response(LONG if prompt.audio and prompt.audio.samples[0] > 0.15 else "rain")
    )
    classifier = CaptionClassifier(model, EmbeddingScorer(embedder))
    result = classifier([sound(0.1), sound(0.2)], ["crow", "rain"])
    excess = {caption.clip_id: caption.details.get(NOT_SCORED) for caption in result.captions}
    assert excess == {"waveform-1": None, "waveform-2": 300 + AROUND - LIMIT}
    assert "1 of 2 captions longer than the scorer reads, the first of waveform-2" in (
        result.summary()
    )
    assert f"{NOT_SCORED}: {300 + AROUND - LIMIT}" in result.to_csv()
    again = CaptionClassifier(model, EmbeddingScorer(CharacterEmbedder())).rescore(result)
    assert not any(NOT_SCORED in caption.details for caption in again.captions)
