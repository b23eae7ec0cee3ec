"""Local embeddings: the real MiniLM, offline."""

from pathlib import Path

import numpy as np
import pytest

from audioprobe.errors import InvalidInputError, WeightsError
from audioprobe.models.embedders.sentence_transformers import SentenceTransformerEmbedder
from audioprobe.scorers.embedding import EmbeddingScorer
from audioprobe.testing import check_embedder
from audioprobe.weights import resolve


@pytest.fixture(scope="module")
def minilm() -> SentenceTransformerEmbedder:
    return SentenceTransformerEmbedder()


def test_contract_holds_and_width_is_384(
    minilm: SentenceTransformerEmbedder,
) -> None:
    check_embedder(minilm)
    assert minilm.embed([]).shape == (0, 384)
    assert minilm.embed(["a"]).shape == (1, 384)


def test_similar_texts_are_nearer_than_different_ones(minilm: SentenceTransformerEmbedder) -> None:
    crow, raven, piano = minilm.embed(["a crow calls", "a raven croaks", "a piano is played"])
    assert crow @ raven > crow @ piano


def test_batch_size_does_not_change_vectors(minilm: SentenceTransformerEmbedder) -> None:
    texts = [f"{'word ' * n}end" for n in range(1, 30, 4)]
    single = SentenceTransformerEmbedder(batch_size=1)
    np.testing.assert_allclose(single.embed(texts), minilm.embed(texts), atol=1e-6)
    assert single.info == minilm.info


def test_special_tokens_are_ordinary_text(minilm: SentenceTransformerEmbedder) -> None:
    marked, spelled = minilm.embed(["a crow [SEP] calls [MASK]", "a crow [ SEP ] calls [ MASK ]"])
    np.testing.assert_allclose(marked, spelled, atol=1e-6)


def test_lone_surrogates_are_refused_with_their_position(
    minilm: SentenceTransformerEmbedder,
) -> None:
    with pytest.raises(InvalidInputError, match=r"positions \[1\]"):
        minilm.embed(["a crow", "a\ud800"])
    with pytest.raises(InvalidInputError, match="surrogates"):
        EmbeddingScorer(minilm).score(["a\ud800"], ["crow"])


def test_missing_damaged_and_other_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such folder"):
        SentenceTransformerEmbedder(str(tmp_path / "none"))
    with pytest.raises(WeightsError, match=r"no modules\.json"):
        SentenceTransformerEmbedder(str(tmp_path)).embed(["a"])
    source = resolve("sentence-transformers/all-MiniLM-L6-v2").folder
    for file in source.rglob("*"):
        if file.is_file():
            target = tmp_path / file.relative_to(source)
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(file.read_bytes()[:100_000])
    with pytest.raises(WeightsError, match="may be incomplete"):
        SentenceTransformerEmbedder(str(tmp_path)).embed(["a"])
