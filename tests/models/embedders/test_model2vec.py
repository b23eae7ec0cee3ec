"""Static embeddings equal those of model2vec for a model that model2vec wrote."""

from pathlib import Path

import numpy as np
import pytest
from model2vec import StaticModel
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

from audioprobe import EmbeddingScorer
from audioprobe.errors import InvalidInputError, WeightsError
from audioprobe.models.embedders.model2vec import Model2VecEmbedder
from audioprobe.testing import check_embedder

PIECES = ["crow", "rain", "a", "calls", "the", "dog", "##s", "bark", "sound", "of", "."]
LETTERS = [mark + chr(n) for n in range(97, 123) for mark in ("", "##")]
WORDS = list(dict.fromkeys(["[PAD]", "[UNK]", "[SEP]", "[", "]", "sep", *PIECES, *LETTERS]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizer = Tokenizer(models.WordPiece({w: n for n, w in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.add_special_tokens([AddedToken("[SEP]", special=True)])
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    vectors = np.random.default_rng(0).normal(size=(len(WORDS), 6)).astype(np.float32)
    path = tmp_path_factory.mktemp("static")
    StaticModel(vectors, tokenizer, normalize=True).save_pretrained(path)
    return path


def test_vectors_equal_those_of_model2vec(folder: Path) -> None:
    texts = ["A crow calls.", "rain", "dogs bark", "Ω crow", "the rain " * 40]
    embedder = Model2VecEmbedder(str(folder))
    np.testing.assert_array_equal(
        embedder.embed(texts), StaticModel.from_pretrained(folder).encode(texts)
    )
    check_embedder(embedder)
    assert embedder.embed([]).shape == (0, 6)
    assert embedder.info.revision
    assert embedder.info == Model2VecEmbedder(str(folder)).info


def test_end_of_a_long_text_counts(folder: Path) -> None:
    start = "rain " * 600
    first, second = Model2VecEmbedder(str(folder)).embed([f"{start} crow crow", start])
    assert not np.array_equal(first, second)
    same = StaticModel.from_pretrained(folder).encode([f"{start} crow crow", start])
    np.testing.assert_array_equal(*same)  # model2vec's default ignores it


def test_special_tokens_are_ordinary_text(folder: Path) -> None:
    embedder = Model2VecEmbedder(str(folder))
    np.testing.assert_array_equal(*embedder.embed(["[SEP] crow", "[ sep ] crow"]))


def test_scorer_prefers_the_label_in_the_caption(folder: Path) -> None:
    scorer = EmbeddingScorer(Model2VecEmbedder(str(folder)))
    scores = scorer.score(["A crow calls.", "the rain"], ["crow", "rain"])
    assert scores.argmax(axis=1).tolist() == [0, 1]
    with pytest.raises(InvalidInputError, match="zero or not finite"):
        EmbeddingScorer(Model2VecEmbedder(str(folder)), template="{}").score(["Ω"], ["rain"])


def test_damaged_models_are_named(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        content = file.read_bytes()
        (tmp_path / file.name).write_bytes(content[:99] if "safetensors" in file.name else content)
    with pytest.raises(WeightsError, match="expected a model2vec model"):
        Model2VecEmbedder(str(tmp_path)).embed(["crow"])
    (tmp_path / "config.json").unlink()
    with pytest.raises(WeightsError):
        Model2VecEmbedder(str(tmp_path)).embed(["crow"])
    with pytest.raises(WeightsError):
        Model2VecEmbedder(str(tmp_path / "none"))
