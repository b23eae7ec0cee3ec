"""A lexicon of the package `wn`, added from a small file of its format."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import wn

from audioprobe.concepts.wn_lexicon import WnLexicon
from audioprobe.errors import InvalidInputError
from audioprobe.probing.pairs import balanced_pairs
from audioprobe.probing.relations.wordnet import from_wordnet

NOUNS = {  # word: (synset, above it, gloss)
    "organism": ("1", "", "a living thing"),
    "animal": ("2", "1", "an organism that moves"),
    "bird": ("3", "2", "an animal with feathers"),
    "crow": ("4", "3", "a black bird with a raucous call"),
    "instrument": ("5", "", "what is played"),
    "violin": ("6", "5", "a bowed instrument"),
    "fiddle": ("6", "5", ""),
    "fox": ("7", "2", "a canine with a bushy tail"),
}


def lexicon_file(folder: Path) -> Path:
    entries: list[str] = []
    synsets: dict[str, str] = {}
    for word, (number, above, gloss) in NOUNS.items():
        entries.append(_entry(word, [number]))
        link = f'<SynsetRelation relType="hypernym" target="toy-{above}-n"/>' if above else ""
        synsets.setdefault(number, f"<Definition>{gloss}</Definition>{link}")
    entries.append(_entry("bay", ["8", "9"]))
    synsets |= {"8": "<Definition>a horse</Definition>", "9": "<Definition>water</Definition>"}
    body = "".join(
        f'<Synset id="toy-{n}-n" ili="" partOfSpeech="n">{inner}</Synset>'
        for n, inner in synsets.items()
    )
    path = folder / "toy.xml"
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


@pytest.fixture(scope="module", autouse=True)
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("wn")
    config = vars(wn)["config"]  # the package does not export it to type checkers
    before = config.data_directory
    config.data_directory = folder
    wn.add(lexicon_file(folder), progress_handler=None)
    yield
    config.data_directory = before


def test_concepts_have_names_and_everything_above_them() -> None:
    found = from_wordnet(["crow", "violin", "fox"], WnLexicon("toy:1"))
    assert (found.name, found.revision) == ("wn", "toy:1")
    crow, violin, _ = found.concepts
    assert [rung.phrase for rung in crow.hypernyms] == ["a bird", "an animal"]
    assert "toy-1-n" in crow.ancestors  # an organism is abstract: neither asked nor denied
    assert violin.synonyms == ("a fiddle",)
    pairs = balanced_pairs(found, "hypernym").pairs
    assert sum(pair.holds for pair in pairs) * 2 == len(pairs)


def test_a_word_of_several_senses_is_asked_back_and_can_be_pinned() -> None:
    with pytest.raises(InvalidInputError, match=r"2 senses(.|\n)*a horse(.|\n)*water"):
        from_wordnet(["bay"], WnLexicon("toy:1"))
    by_number, by_id = (
        from_wordnet([word], WnLexicon("toy:1")) for word in ("bay#2", "bay#toy-9-n")
    )
    assert by_number == by_id


def test_unknown_lexica_words_and_synsets_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"wn has no lexicon 'none:1'. Download it"):
        WnLexicon("none:1")
    with pytest.raises(InvalidInputError, match="no noun 'krakenish'"):
        from_wordnet(["krakenish"], WnLexicon("toy:1"))
    assert "toy-99-n" not in WnLexicon("toy:1")
    with pytest.raises(InvalidInputError, match="toy:1 has no synset 'toy-99-n'"):
        WnLexicon("toy:1").synset("toy-99-n")
