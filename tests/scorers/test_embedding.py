"""Similarity of captions and labels, for known vectors and texts beyond the token limit."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.scripted import CharacterEmbedder, ScriptedModel, sound

from audioprobe import CaptionClassifier, EmbeddingScorer, SentenceTransformerEmbedder
from audioprobe.errors import InvalidInputError
from audioprobe.models.embedders.cached import CachedEmbedder
from audioprobe.results.scores import NOT_SCORED
from audioprobe.testing import check_scorer
from audioprobe.texts import TextLimit
from audioprobe.types import ComponentInfo, FloatArray, Response


class Letters:
    """Counts of letters: an embedder that can be computed by head."""

    info = ComponentInfo("embedder", "letters")

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def embed(self, texts: Sequence[str]) -> FloatArray:
        self.asked.append(list(texts))
        rows = [[1.0 + text.count(letter) for letter in "abcdefgh"] for text in texts]
        return np.array(rows, dtype=np.float32).reshape(len(texts), 8)


class Zero(Letters):
    def embed(self, texts: Sequence[str]) -> FloatArray:
        return np.zeros((len(texts), 3))


class Short(Letters):
    def embed(self, texts: Sequence[str]) -> FloatArray:
        return np.ones((len(texts) // 2, 3))


def cosine(first: str, second: str) -> float:
    a, b = Letters().embed([first, second]).astype(float)
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


words = st.text("abcdefgh ", min_size=1, max_size=10).filter(str.strip)


@given(captions=st.lists(words, max_size=6), labels=st.lists(words, min_size=1, unique=True))
def test_scores_are_cosines_of_the_templated_texts(captions: list[str], labels: list[str]) -> None:
    scores = EmbeddingScorer(Letters(), template="a {} h").score(captions, labels)
    expected = [
        [cosine(f"a {caption.strip()} h", f"a {label} h") for label in labels]
        for caption in captions
    ]
    np.testing.assert_allclose(scores, np.reshape(expected, scores.shape), atol=1e-6)


@given(st.dictionaries(words, st.lists(words, max_size=3), min_size=1, max_size=4))
def test_synonyms_are_pooled_by_max_or_mean(synonyms: dict[str, list[str]]) -> None:
    labels = list(synonyms)
    for pooling, pool in (("max", np.max), ("mean", np.mean)):
        scorer = EmbeddingScorer(Letters(), template="{}", synonyms=synonyms, pooling=pooling)  # type: ignore[arg-type]
        expected = [
            pool([cosine("bad", w) for w in dict.fromkeys([label, *synonyms[label]])])
            for label in labels
        ]
        np.testing.assert_allclose(scorer.score(["bad"], labels)[0], expected, atol=1e-6)


def test_each_distinct_text_is_embedded_once_and_labels_once_per_list() -> None:
    embedder = Letters()
    scorer = EmbeddingScorer(embedder, template="{}")
    scorer.score([], ["a", "b"])
    scorer.score(["c", "c", "d"], ["a", "b"])
    scorer.score(["d"], ["a", "b"])
    assert embedder.asked == [["a", "b"], ["c", "d"], ["d"]]


def test_sentence_embeddings_satisfy_the_contract_and_rank_the_right_label_first() -> None:
    scorer = EmbeddingScorer.local()
    check_scorer(scorer)
    scores = scorer.score(["The sound of a carrion crow."], ["crow", "drum", "bell"])
    assert scores.argmax() == 0


def test_braces_in_captions_are_plain_text() -> None:
    scorer = EmbeddingScorer(Letters(), template="{}")
    scores = scorer.score(["{0.__class__} {} %s"], ["a"])
    assert scores.shape == (1, 1)


def test_ten_thousand_labels_are_scored() -> None:
    labels = [f"label {n}" for n in range(10_000)]
    assert EmbeddingScorer(Letters()).score(["a"], labels).shape == (1, 10_000)


@pytest.mark.parametrize(
    ("captions", "labels", "words"),
    [
        (["a"], [], "at least one label"),
        (["a"], ["b", " "], "empty label"),
        (["a"], ["b", "b"], "more than once"),
        (["a", ""], ["b"], "the first at position 1"),
        ("abc", ["b"], "list of texts"),
        (["a"], "abc", "list of texts"),
    ],
)
def test_invalid_captions_and_labels_are_rejected(
    captions: Sequence[str], labels: Sequence[str], words: str
) -> None:
    with pytest.raises(InvalidInputError, match=words):
        EmbeddingScorer(Letters()).score(captions, labels)


@pytest.mark.parametrize(
    ("embedder", "words"), [(Zero(), "zero or not finite"), (Short(), "Expected one row for each")]
)
def test_invalid_embeddings_are_rejected(embedder: Letters, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        EmbeddingScorer(embedder).score(["a", "b"], ["c", "d"])


def test_invalid_options_are_rejected() -> None:
    with pytest.raises(InvalidInputError, match="must be a list"):
        EmbeddingScorer(Letters(), synonyms={"crow": "raven"})
    with pytest.raises(InvalidInputError, match="exactly once"):
        EmbeddingScorer(Letters(), template="sound of")
    with pytest.raises(InvalidInputError, match="pooling"):
        EmbeddingScorer(Letters(), pooling="sum")  # type: ignore[arg-type]


def test_info_has_all_options_that_change_a_score() -> None:
    plain = EmbeddingScorer(Letters())
    assert plain.info.parts["embedder"].name == "letters"
    others = [
        EmbeddingScorer(Letters(), template="{}"),
        EmbeddingScorer(Letters(), pooling="mean"),
        EmbeddingScorer(Letters(), synonyms={"crow": ["raven"]}),
        EmbeddingScorer(Letters(), compat="ltu"),
    ]
    assert all(other.info != plain.info for other in others)


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
    several = EmbeddingScorer(embedder, template=["{}", "sound of {}", "of {}"])
    assert several.excess_tokens(["crow", LONG]) == [0, 300 + AROUND - LIMIT]
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


def test_vectors_of_templates_are_averaged() -> None:
    """Captions and names are unit means over templates; names are pooled by their scores."""
    templates, synonyms = ["{} h", "ab {}"], {"c": ["dd"]}
    scores = EmbeddingScorer(Letters(), template=templates, synonyms=synonyms).score(
        ["bad", "cab"], ["c", "e"]
    )

    def direction(name: str) -> FloatArray:
        rows = Letters().embed([template.format(name) for template in templates]).astype(float)
        mean = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).mean(axis=0)
        unit: FloatArray = mean / np.linalg.norm(mean)
        return unit

    for row, caption in zip(scores, ["bad", "cab"], strict=True):
        names = [direction(name) @ direction(caption) for name in ("c", "dd", "e")]
        np.testing.assert_allclose(row, [max(names[:2]), names[2]], atol=1e-6)
