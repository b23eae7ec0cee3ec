"""Nouns of WordNet's database files and of a lexicon of `wn`, by the same builder."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import wn

from audioprobe.concepts.wordnet import WnLexicon, WordNet
from audioprobe.errors import InvalidInputError
from audioprobe.probing import balanced_pairs
from audioprobe.probing.relations.sources import ABSTRACT, from_wordnet

FILES = WordNet(Path(__file__).parents[2] / "data" / "wordnet")
NOUNS = {  # word: (synset, hypernym, gloss)
    "organism": ("1", "", "a living thing"),
    "animal": ("2", "1", "an organism that moves"),
    "bird": ("3", "2", "an animal with feathers"),
    "crow": ("4", "3", "a black bird with a raucous call"),
    "instrument": ("5", "", "what is played"),
    "violin": ("6", "5", "a bowed instrument"),
    "fiddle": ("6", "5", ""),
    "fox": ("7", "2", "a canine with a bushy tail"),
}


def write_lexicon(path: Path) -> Path:
    entries: list[str] = []
    synsets: dict[str, str] = {}
    for word, (number, hypernym, gloss) in NOUNS.items():
        entries.append(_entry(word, [number]))
        link = f'<SynsetRelation relType="hypernym" target="toy-{hypernym}-n"/>' if hypernym else ""
        synsets.setdefault(number, f"<Definition>{gloss}</Definition>{link}")
    entries.append(_entry("bay", ["8", "9"]))
    synsets |= {"8": "<Definition>a horse</Definition>", "9": "<Definition>water</Definition>"}
    body = "".join(
        f'<Synset id="toy-{n}-n" ili="" partOfSpeech="n">{inner}</Synset>'
        for n, inner in synsets.items()
    )
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE LexicalResource SYSTEM '
        '"http://globalwordnet.github.io/schemas/WN-LMF-1.0.dtd">\n<LexicalResource '
        'xmlns:dc="http://purl.org/dc/elements/1.1/"><Lexicon id="toy" label="Toy" language="en" '
        'email="nobody@example.org" license="CC0" version="1">'
        f"{''.join(entries)}{body}</Lexicon></LexicalResource>",
        encoding="utf-8",
    )
    return path


def _entry(word: str, numbers: list[str]) -> str:
    senses = "".join(f'<Sense id="toy-{word}-{n}" synset="toy-{n}-n"/>' for n in numbers)
    lemma = f'<Lemma writtenForm="{word}" partOfSpeech="n"/>'
    return f'<LexicalEntry id="toy-{word}">{lemma}{senses}</LexicalEntry>'


@pytest.fixture(scope="module")
def lexicon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WnLexicon]:
    folder = tmp_path_factory.mktemp("wn")
    config = vars(wn)["config"]  # the package does not export it to type checkers
    before = config.data_directory
    config.data_directory = folder
    wn.add(write_lexicon(folder / "toy.xml"), progress_handler=None)
    yield WnLexicon("toy:1")
    config.data_directory = before


def test_concepts_from_files_have_synonyms_and_hypernyms() -> None:
    concepts = from_wordnet(["violin", "crow#1"], FILES)
    violin, crow = concepts.concepts
    assert concepts.name == "wordnet"
    assert (violin.phrase, violin.synonyms) == ("a violin", ("a fiddle",))
    phrases = [hypernym.phrase for hypernym in crow.hypernyms]
    assert phrases[:4] == ["a corvine bird", "an oscine", "a passerine", "a bird"]
    assert "an animal" in phrases
    assert not {phrase.split(" ", 1)[1] for phrase in phrases} & ABSTRACT
    assert "00001740" in crow.ancestors  # an entity: an ancestor, but not asked about


def test_concepts_from_a_lexicon_have_synonyms_and_hypernyms(lexicon: WnLexicon) -> None:
    concepts = from_wordnet(["crow", "violin", "fox"], lexicon)
    crow, violin, _ = concepts.concepts
    assert (concepts.name, concepts.revision) == ("wn", "toy:1")
    assert [hypernym.phrase for hypernym in crow.hypernyms] == ["a bird", "an animal"]
    assert "toy-1-n" in crow.ancestors
    assert violin.synonyms == ("a fiddle",)
    pairs = balanced_pairs(concepts, "hypernym").pairs
    assert sum(pair.holds for pair in pairs) * 2 == len(pairs)


def test_pins_by_number_and_by_id_are_the_same_sense(lexicon: WnLexicon) -> None:
    by_number, by_id = (from_wordnet([w], FILES) for w in ("grouse#2", "grouse#01795088"))
    assert by_number == by_id
    assert any(hypernym.phrase == "a bird" for hypernym in by_id.concepts[0].hypernyms)
    assert from_wordnet(["bay#2"], lexicon) == from_wordnet(["bay#toy-9-n"], lexicon)


def test_a_word_of_several_senses_needs_a_pin_and_the_message_lists_them(
    lexicon: WnLexicon,
) -> None:
    with pytest.raises(InvalidInputError, match=r"2 senses(.|\n)*grouse#1(.|\n)*flesh(.|\n)*#2"):
        from_wordnet(["grouse"], FILES)
    with pytest.raises(InvalidInputError, match=r"2 senses(.|\n)*a horse(.|\n)*water"):
        from_wordnet(["bay"], lexicon)
    with pytest.raises(InvalidInputError, match="received the unknown sense '9'"):
        from_wordnet(["grouse#9"], FILES)


def test_unknown_words_synsets_and_lexicons_are_refused(lexicon: WnLexicon) -> None:
    with pytest.raises(InvalidInputError, match="no noun 'krakenish'"):
        from_wordnet(["krakenish"], FILES)
    with pytest.raises(InvalidInputError, match="no noun 'krakenish'"):
        from_wordnet(["krakenish"], lexicon)
    with pytest.raises(InvalidInputError, match=r"wn has no lexicon 'none:1'. Download it"):
        WnLexicon("none:1")
    assert "toy-99-n" not in lexicon
    with pytest.raises(InvalidInputError, match="toy:1 has no synset 'toy-99-n'"):
        lexicon.synset("toy-99-n")


def test_phrases_replace_the_default_article() -> None:
    concepts = from_wordnet(["crow#1", "violin", "rain#1"], FILES, phrases={"rain": "rain"})
    assert concepts.concepts[2].phrase == "rain"
    pairs = balanced_pairs(concepts, "hypernym").pairs
    birds = {pair.phrase: pair.holds for pair in pairs if pair.target_phrase == "a bird"}
    assert birds.pop("a crow")
    assert not any(birds.values())
