"""The transparent baseline: what it finds and what it does not, in plain sight."""

import pytest

from audioprobe.errors import InvalidInputError
from audioprobe.scorers.keyword import KeywordScorer
from audioprobe.testing import check_scorer


@pytest.mark.parametrize(
    ("caption", "label", "score"),
    [
        ("Crows call in the distance.", "crow", 1.0),
        ("A crow.", "crows", 1.0),
        ("A crowd cheers.", "crow", 0.0),
        ("CHURCH BELLS ring", "church bell", 1.0),
        ("A bell rings.", "church bell", 0.5),
        ("Two boxes and a dish", "box", 1.0),
        ("Bells of churches", "church", 1.0),
        ("Dishes clatter", "dish", 1.0),
        ("axes", "axe", 1.0),
        ("flies", "fly", 1.0),
        ("two buses", "bus", 1.0),
        ("an ache", "aches", 1.0),
        ("Brewer's blackbird", "brewer", 1.0),
        ("a bee", "be", 0.0),
        ("Glass breaks.", "glass", 1.0),
        ("Krähen rufen", "KRÄHEN", 1.0),
        ("There is no rain.", "rain", 1.0),
        ("!!!", "rain", 0.0),
    ],
)
def test_score_is_the_share_of_label_words_in_the_caption(
    caption: str, label: str, score: float
) -> None:
    assert KeywordScorer().score([caption], [label])[0, 0] == score


@pytest.mark.parametrize("label", ["!!!", "___", "...", "♪", " - "])
def test_label_without_words_is_rejected_unless_a_synonym_has_one(label: str) -> None:
    with pytest.raises(InvalidInputError, match="no word"):
        KeywordScorer().score([], ["rain", label])
    scorer = KeywordScorer(synonyms={label: ["?", "loud rain"]})
    assert scorer.score(["rain"], [label]).tolist() == [[0.5]]


def test_best_synonym_counts() -> None:
    scorer = KeywordScorer(synonyms={"crow": ["corvid", "carrion bird"]})
    assert scorer.score(["a corvid", "a bird", "a dog"], ["crow"]).tolist() == [[1.0], [0.5], [0.0]]
    assert scorer.info != KeywordScorer().info


def test_keyword_scorer_satisfies_the_contract() -> None:
    check_scorer(KeywordScorer())


def test_empty_caption_is_rejected() -> None:
    with pytest.raises(InvalidInputError, match="empty captions"):
        KeywordScorer().score([""], ["crow"])
