"""The reader of WordNet's noun files: known answers, and damaged files."""

import os
from pathlib import Path

import pytest

from audioprobe.concepts import WordNet, wordnet
from audioprobe.concepts.wordnet import DATA, INDEX
from audioprobe.errors import InvalidInputError

EXCERPT = Path(__file__).parents[1] / "data" / "wordnet"
NOTICE = "  1 WordNet 3.0 Copyright 2006 by Princeton University.  All rights reserved.  \n"
# An instance, two words, both kinds of hypernym pointers and one that is neither.
RIVER = (
    "00000001 15 n 02 Blue_River 0 Old_Blue 1 003 @i 00000002 n 0000 ~ 00000009 n 0000 "
    "@ 00000003 n 0000 | a river; once blue  \n"
)
STREAM = "00000002 17 n 0a a 0 b 0 c 0 d 0 e 0 f 0 g 0 h 0 i 0 j 0 001 @ 00000003 n 0000 | ten  \n"
THING = "00000003 03 n 01 thing 0 000 | what is  \n"
WORDS = "blue_river n 1 2 @i ~ 1 0 00000001  \nblue n 2 1 @ 2 1 00000003 00000001  \n"


def _files(folder: Path, data: str = RIVER + STREAM + THING, index: str = WORDS) -> Path:
    (folder / DATA).write_text(NOTICE + data, "utf-8")
    (folder / INDEX).write_text(NOTICE + index, "utf-8")
    return folder


def test_a_synset_has_words_hypernyms_and_gloss(tmp_path: Path) -> None:
    nouns = WordNet(_files(tmp_path))
    river = nouns.synset("00000001")
    assert river.id == "00000001"
    assert river.words == ("Blue River", "Old Blue")
    assert river.hypernyms == ("00000002", "00000003")
    assert river.gloss == "a river; once blue"
    assert len(nouns.synset("00000002").words) == 10  # the count is hexadecimal
    assert nouns.version == "3.0"
    assert "00000001" in nouns
    assert "00000009" not in nouns


def test_senses_come_in_the_order_of_the_index(tmp_path: Path) -> None:
    nouns = WordNet(_files(tmp_path))
    assert nouns.senses("Blue River") == ("00000001",)
    assert nouns.senses("blue") == ("00000003", "00000001")
    assert nouns.senses("red") == ()


def test_ancestors_come_once_and_the_nearest_first() -> None:
    nouns = WordNet(EXCERPT)
    names = [nouns.synset(offset).words[0] for offset in nouns.ancestors("02084071")]
    assert names[:2] == ["canine", "domestic animal"]  # a dog has two parents
    assert names[-1] == "entity"
    assert len(set(names)) == len(names)
    assert names.index("animal") < names.index("mammal")  # by way of the domestic animal


def test_ancestors_end_even_if_a_damaged_file_goes_in_circles(tmp_path: Path) -> None:
    circle = THING.replace(" 000 |", " 001 @ 00000001 n 0000 |")
    nouns = WordNet(_files(tmp_path, data=RIVER + STREAM + circle))
    assert nouns.ancestors("00000001") == ("00000002", "00000003", "00000001")


@pytest.mark.parametrize(
    "line",
    [
        RIVER.replace(" | ", " "),  # no gloss
        RIVER.replace(" n 02 ", " v 02 "),  # a verb
        RIVER.replace(" n 02 ", " n xx "),  # no number of words
        RIVER.replace(" n 02 ", " n 03 "),  # fewer words than stated
        RIVER.replace(" n 02 Blue_River 0 Old_Blue 1 ", " n 00 "),  # no word
        RIVER.replace(" 003 ", " 004 "),  # fewer pointers than stated
        RIVER.replace(" 003 ", " 002 "),  # more pointers than stated
        RIVER[:60] + "\n",  # cut short
        "00000001\n",
    ],
)
def test_a_damaged_synset_is_refused(tmp_path: Path, line: str) -> None:
    nouns = WordNet(_files(tmp_path, data=line + THING))
    with pytest.raises(InvalidInputError, match=r"data\.noun is damaged.*00000001"):
        nouns.synset("00000001")


@pytest.mark.parametrize("line", ["blue n\n", "blue n 2 1 @ 2 1 00000003\n", "blue n two 1 @\n"])
def test_a_damaged_line_of_the_index_is_refused(tmp_path: Path, line: str) -> None:
    nouns = WordNet(_files(tmp_path, index=line))
    with pytest.raises(InvalidInputError, match=r"index\.noun is damaged.*'blue n"):
        nouns.senses("blue")


def test_a_file_that_lacks_an_ancestor_is_refused(tmp_path: Path) -> None:
    nouns = WordNet(_files(tmp_path, data=RIVER + THING))
    with pytest.raises(InvalidInputError, match="no noun synset '00000002'"):
        nouns.ancestors("00000001")


def test_files_that_are_not_wordnets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"Cannot read .*data\.noun"):
        WordNet(tmp_path)
    with pytest.raises(InvalidInputError, match="expected WordNet's data"):
        WordNet(_files(tmp_path, data=""))
    (tmp_path / DATA).write_text(THING, "utf-8")  # no notice: of which version is it?
    with pytest.raises(InvalidInputError, match="states the version"):
        WordNet(tmp_path)
    (tmp_path / DATA).write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidInputError, match="Cannot read"):
        WordNet(tmp_path)


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without WordNet."""
    for variable in ("WNSEARCHDIR", "WNHOME", "NLTK_DATA"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(wordnet, "USUAL_FOLDERS", ())
    monkeypatch.setattr(wordnet, "NLTK_FOLDERS", ())


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize(
    ("variable", "inside"),
    [("WNSEARCHDIR", ""), ("WNHOME", "dict"), ("NLTK_DATA", "corpora/wordnet")],
)
def test_folders_named_in_the_environment_are_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, inside: str
) -> None:
    (tmp_path / inside).mkdir(parents=True, exist_ok=True)
    several = [str(tmp_path / "empty"), str(tmp_path)] if variable == "NLTK_DATA" else []
    monkeypatch.setenv(variable, os.pathsep.join(several) or str(tmp_path))
    with pytest.raises(InvalidInputError, match=r"not found.*wordnet-base"):
        WordNet()
    _files(tmp_path / inside)
    assert WordNet().folder == tmp_path / inside


@pytest.mark.usefixtures("nowhere")
def test_usual_folders_are_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wordnet, "USUAL_FOLDERS", ("/nowhere", str(_files(tmp_path))))
    assert WordNet().folder == tmp_path
