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


def test_it_keeps_the_contract_and_has_the_published_width(
    minilm: SentenceTransformerEmbedder,
) -> None:
    check_embedder(minilm)
    assert minilm.embed([]).shape == (0, 384)
    assert minilm.embed(["a"]).shape == (1, 384)


def test_meaning_is_near_and_its_opposite_far(minilm: SentenceTransformerEmbedder) -> None:
    crow, raven, piano = minilm.embed(["a crow calls", "a raven croaks", "a piano is played"])
    assert crow @ raven > crow @ piano


def test_the_batch_size_changes_no_answer(minilm: SentenceTransformerEmbedder) -> None:
    texts = [f"{'word ' * n}end" for n in range(1, 30)]
    one = SentenceTransformerEmbedder(batch_size=1)
    np.testing.assert_allclose(one.embed(texts), minilm.embed(texts), atol=1e-6)
    assert one.info == minilm.info


def test_special_tokens_are_text(minilm: SentenceTransformerEmbedder) -> None:
    marked, spelled = minilm.embed(["a crow [SEP] calls [MASK]", "a crow [ SEP ] calls [ MASK ]"])
    np.testing.assert_allclose(marked, spelled, atol=1e-6)


def test_what_is_not_unicode_is_refused_with_its_position(
    minilm: SentenceTransformerEmbedder,
) -> None:
    with pytest.raises(InvalidInputError, match=r"positions \[1\]"):
        minilm.embed(["a crow", "a\ud800"])
    with pytest.raises(InvalidInputError, match="surrogates"):
        EmbeddingScorer(minilm).score(["a\ud800"], ["crow"])


def test_missing_truncated_and_foreign_weights_are_refused(tmp_path: Path) -> None:
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
