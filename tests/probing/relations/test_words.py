"""Nouns of WordNet: the right ladders, and a question back where a word has several senses."""

from pathlib import Path

import pytest

from audioprobe.concepts.wordnet import WordNet
from audioprobe.errors import InvalidInputError
from audioprobe.probing.pairs import balanced_pairs
from audioprobe.probing.relations.wordnet import ABSTRACT, from_wordnet

NOUNS = WordNet(Path(__file__).parents[2] / "data" / "wordnet")


def test_a_word_has_its_names_and_everything_above_it() -> None:
    violin, crow = from_wordnet(["violin", "crow#1"], NOUNS).concepts
    assert violin.phrase == "a violin"
    assert violin.synonyms == ("a fiddle",)
    said = [rung.phrase for rung in crow.hypernyms]
    assert said[:4] == ["a corvine bird", "an oscine", "a passerine", "a bird"]
    assert "an animal" in said
    assert not {phrase.split(" ", 1)[1] for phrase in said} & ABSTRACT
    assert "00001740" in crow.ancestors  # an entity is above it, and never a wrong answer


def test_pins_by_number_and_by_offset_are_the_same_sense() -> None:
    one, other = (from_wordnet([w], NOUNS).concepts for w in ("grouse#2", "grouse#01795088"))
    assert one == other
    assert any(rung.phrase == "a bird" for rung in one[0].hypernyms)


def test_without_a_pin_the_glosses_are_shown() -> None:
    with pytest.raises(InvalidInputError, match=r"2 senses(.|\n)*grouse#1(.|\n)*flesh(.|\n)*#2"):
        from_wordnet(["grouse"], NOUNS)
    with pytest.raises(InvalidInputError, match="'9' is none of the senses"):
        from_wordnet(["grouse#9"], NOUNS)
    with pytest.raises(InvalidInputError, match="no noun 'krakenish'"):
        from_wordnet(["krakenish"], NOUNS)


def test_words_can_be_said_otherwise_and_asked_about() -> None:
    found = from_wordnet(["crow#1", "violin", "rain#1"], NOUNS, phrases={"rain": "rain"})
    assert found.concepts[2].phrase == "rain"
    pairs = balanced_pairs(found, "hypernym").pairs
    bird = {p.phrase: p.holds for p in pairs if p.target_phrase == "a bird"}
    assert bird.pop("a crow")
    assert not any(bird.values())
