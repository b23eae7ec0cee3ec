"""Concept files: what is read, and what is refused."""

from pathlib import Path

import pytest

from audioprobe import Concepts
from audioprobe.errors import InvalidInputError

FILE = """
[hypernyms]
animal = { phrase = "an animal", synset = "00015388" }
instrument = { phrase = "a musical instrument", synset = "03800933" }
stringed = { phrase = "a stringed instrument", synset = "04338517", hypernyms = ["instrument"] }
percussion = { phrase = "a percussion instrument", synset = "03915437", hypernyms = ["instrument"] }

[concepts.bird]
phrase = "a bird"
synset = "01503061"
kind = "animal"
hypernyms = ["animal"]
basic = "animal"

[concepts.owl]
phrase = "an owl"
synset = "01621127"
kind = "animal"
hypernyms = ["bird", "animal"]
basic = "bird"
synonyms.wordnet = ["hooter"]
synonyms.curated = ["night bird"]
audioset = { id = "/m/09d5_", name = "Owl" }

[concepts.piano]
phrase = "a piano"
synset = "03928116"
kind = "instrument"
hypernyms = ["percussion", "instrument"]
basic = "instrument"
other_hypernyms = ["stringed"]

[concepts.rain]
phrase = "rain"
synset = "11501381"
lemma = "rainfall"
kind = "weather"
"""


def _concepts(folder: Path, old: str = "", new: str = "") -> Concepts:
    assert old in FILE
    file = folder / "mine.toml"
    file.write_text(FILE.replace(old, new, 1) if old else FILE, "utf-8")
    return Concepts.from_file(file)


def test_concept_fields_are_read(tmp_path: Path) -> None:
    owl = _concepts(tmp_path)["owl"]
    assert (owl.phrase, owl.name, owl.synset, owl.kind) == ("an owl", "owl", "01621127", "animal")
    assert owl.names == ("owl", "hooter", "night bird")
    assert [synonym.source for synonym in owl.synonyms] == ["wordnet", "curated"]
    assert [hypernym.phrase for hypernym in owl.hypernyms] == ["a bird", "an animal"]
    assert owl.basic is owl.hypernyms[0]
    assert owl.audioset is not None
    assert (owl.audioset.id, owl.audioset.name) == ("/m/09d5_", "Owl")


def test_optional_fields_default_to_none_or_empty(tmp_path: Path) -> None:
    rain = _concepts(tmp_path)["rain"]
    assert (rain.phrase, rain.name, rain.lemma) == ("rain", "rain", "rainfall")
    assert (rain.hypernyms, rain.ancestors, rain.synonyms) == ((), frozenset(), ())
    assert rain.basic is None
    assert rain.audioset is None


def test_ancestors_include_hypernyms_outside_the_chain(tmp_path: Path) -> None:
    concepts = _concepts(tmp_path)
    assert {hypernym.id for hypernym in concepts["piano"].ancestors} == {
        "percussion",
        "stringed",
        "instrument",
    }
    assert {hypernym.id for hypernym in concepts["owl"].ancestors} == {"bird", "animal"}
    # The remaining ancestors follow from the nearest hypernym.
    short = _concepts(tmp_path, 'hypernyms = ["bird", "animal"]', 'hypernyms = ["bird"]')
    assert short["owl"].ancestors == concepts["owl"].ancestors


def test_concepts_are_found_by_id_name_and_hypernym(tmp_path: Path) -> None:
    concepts = _concepts(tmp_path)
    assert [concept.id for concept in concepts] == ["bird", "owl", "piano", "rain"]
    assert len(concepts) == 4
    assert "owl" in concepts
    assert "animal" not in concepts  # a hypernym only
    assert concepts.named("Night Bird") is concepts["owl"]
    assert concepts.kinds == ("animal", "instrument", "weather")
    assert concepts.hyponyms("animal") == (concepts["bird"], concepts["owl"])
    assert concepts.hyponyms("bird") == (concepts["owl"],)
    assert concepts.hyponyms("stringed") == (concepts["piano"],)
    assert {hypernym.id for hypernym in concepts.hypernyms} == {
        "animal",
        "bird",
        "instrument",
        "percussion",
        "stringed",
    }


def test_unknown_names_are_refused_with_a_suggestion(tmp_path: Path) -> None:
    concepts = _concepts(tmp_path)
    with pytest.raises(InvalidInputError, match=r"id of a concept, got 'pianno'.*'piano'"):
        concepts["pianno"]
    with pytest.raises(InvalidInputError, match=r"name of a concept, got 'hoot'.*'hooter'"):
        concepts.named("hoot")
    with pytest.raises(InvalidInputError, match="id of a hypernym, got 'owl'"):
        concepts.hyponyms("owl")


def test_revision_changes_with_the_file(tmp_path: Path) -> None:
    revision = _concepts(tmp_path).revision
    assert _concepts(tmp_path).revision == revision
    assert _concepts(tmp_path, "an owl", "the owl").revision != revision
    assert len(revision) == 16


REFUSED = [
    ("[hypernyms]", "[hypernym]", "hypernym: Extra inputs are not permitted"),
    (FILE, "concepts = 1", "concepts: Input should be a valid dictionary, got 1"),
    (FILE, "[hypernyms]", "concepts: Field required"),
    (FILE, "[concepts]", "concepts: Dictionary should have at least 1 item"),
    (FILE, "[concepts]\nowl = 1", "concepts.owl: Input should be a valid dictionary"),
    ('kind = "weather"', "", "concepts.rain.kind: Field required"),
    ('kind = "weather"', 'kind = "weather"\nbasis = "x"', "concepts.rain.basis: Extra inputs"),
    ("11501381", "1501381", "concepts.rain.synset: String should match pattern"),
    ("11501381", "03928116", "'rain' has the synset '03928116', which 'piano' already has"),
    ('"an owl"', '" an owl"', "concepts.owl.phrase: expected a non-empty text"),
    ('"an owl"', "3", "concepts.owl.phrase: Input should be a valid string, got 3"),
    ('"an owl"', '""', "concepts.owl.phrase: expected a non-empty text"),
    ('"an owl"', '"a bird"', "'owl' has the name 'bird', which 'bird' already has"),
    ('"night bird"', '"Piano"', "'piano' has the name 'piano', which 'owl' already has"),
    ('"night bird"', '"animal"', "'owl' has the name 'animal', which 'animal' already has"),
    ('"night bird"', '"owl"', "'owl' has the name 'owl', which 'owl' already has"),
    ('["hooter"]', '"hooter"', "concepts.owl.synonyms.wordnet: Input should be a valid list"),
    ("synonyms.wordnet", "synonyms.thesaurus", "synonyms.thesaurus: Extra inputs"),
    ('name = "Owl"', 'title = "Owl"', "concepts.owl.audioset.name: Field required"),
    ("/m/09d5_", "09d5_", "concepts.owl.audioset.id: String should match pattern"),
    ("[concepts.rain]", "[concepts.Rain]", "String should match pattern"),
    ("[concepts.rain]", "[concepts.stringed]", "'stringed' is both a hypernym and a concept"),
    ('"bird", "animal"]', '"brid", "animal"]', "'owl' has the unknown hypernym 'brid'"),
    ('["bird", "animal"]', '["animal", "bird"]', "'bird' is not a hypernym of 'animal'"),
    ('["bird", "animal"]', '["bird", "bird"]', "owl.hypernyms: expected each item once"),
    ('["animal"]', '["animal", "owl"]', "'bird' is its own hypernym"),
    ('basic = "bird"', "", "'owl' has the basic level None, not one of"),
    ('basic = "bird"', 'basic = "instrument"', "'owl' has the basic level 'instrument', not one"),
    ('kind = "weather"', 'kind = "weather"\nbasic = "animal"', "'rain' has the basic level"),
    ('other_hypernyms = ["stringed"]', "", "'stringed' is not a hypernym of any concept"),
    ("[hypernyms]", "[hypernyms", "Cannot read"),
]


@pytest.mark.parametrize(
    ("old", "new", "message"), REFUSED, ids=[message for *_, message in REFUSED]
)
def test_invalid_file_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        _concepts(tmp_path, old, new)
    assert message in str(caught.value)
    assert "mine.toml" in str(caught.value)


def test_unreadable_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"Cannot read .*none\.toml"):
        Concepts.from_file(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b'a = "\xe9"')
    with pytest.raises(InvalidInputError, match=r"Cannot read .*latin\.toml"):
        Concepts.from_file(tmp_path / "latin.toml")
