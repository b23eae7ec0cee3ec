"""The shipped concepts: well-formed and consistent with WordNet and AudioSet."""

import csv
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from tests.data.wordnet.excerpt import synsets

from audioprobe import Concept, Concepts, Recordings
from audioprobe.concepts import WordNet, disagreements
from audioprobe.concepts.collection import SHIPPED, UNCERTAIN_NEGATIVES
from audioprobe.concepts.wordnet import find_folder
from audioprobe.errors import InvalidInputError

DATA = Path(__file__).parents[1] / "data"
README = " ".join(SHIPPED.with_name("README.md").read_text("utf-8").split())
CONCEPTS = Concepts.shipped()
EXCERPT = WordNet(DATA / "wordnet")


def _wordnets() -> list[WordNet]:
    """The excerpt, and a complete WordNet 3.0 if one is installed."""
    try:
        installed = WordNet(find_folder())
    except InvalidInputError:
        return [EXCERPT]
    return [EXCERPT, installed] if installed.version == "3.0" else [EXCERPT]


def _edited(tmp_path: Path, old: str, new: str) -> Concepts:
    text = SHIPPED.read_text("utf-8")
    assert text.count(old) == 1, old
    file = tmp_path / "edited.toml"
    file.write_text(text.replace(old, new), "utf-8")
    return Concepts.from_file(file)


@pytest.mark.parametrize("wordnet", _wordnets(), ids=lambda w: w.folder.name)
def test_concepts_agree_with_wordnet(wordnet: WordNet) -> None:
    assert wordnet.version == "3.0"
    assert disagreements(CONCEPTS, wordnet) == ()
    for concept in CONCEPTS:
        path = [concept.synset, *(hypernym.synset for hypernym in concept.hypernyms)]
        for lower, upper in pairwise(path):
            assert upper in wordnet.ancestors(lower), concept


def test_excerpt_has_exactly_the_needed_synsets() -> None:
    lines = (DATA / "wordnet" / "data.noun").read_text("utf-8").splitlines()
    assert {line[:8] for line in lines if line[:2] != "  "} == synsets(CONCEPTS, EXCERPT)


@pytest.mark.parametrize(
    ("old", "new", "difference"),
    [
        (
            "04224395",
            "10601840",
            "siren: warning-device (02694426) is not an ancestor of 10601840",
        ),  # nymph
        (
            "02049088",
            "10271451",
            "loon: seabird (02021795) is not an ancestor of 10271451",
        ),  # an idler
        ("02049088", "10271451", "loon: the synonym 'diver' is marked 'wordnet', but is not"),
        ("04224395", "04224396", "siren: there is no synset 04224396"),
        ('"a container"', '"a box"', "container: 'box' is not a word of 03094503 (container)"),
        ('lemma = "high hat"\n', "", "hi-hat: 'hi-hat' is not a word of 03518829"),
        ('wordnet = ["raptor"]', 'curated = ["raptor"]', "'raptor' is marked 'curated', but is a"),
        ('curated = ["lorry"]', 'wordnet = ["lorry"]', "'lorry' is marked 'wordnet', but is not"),
        ('other_hypernyms = ["car"]\n', "", "ambulance: the ancestor car (02958343) is not listed"),
    ],
)
def test_disagreement_with_wordnet_is_reported(
    tmp_path: Path, old: str, new: str, difference: str
) -> None:
    assert difference in "\n".join(disagreements(_edited(tmp_path, old, new), EXCERPT))


@pytest.mark.parametrize(
    ("id_", "first", "meant"),
    [
        ("grouse", "flesh of any of various grouse", "popular game bird"),
        ("siren", "a sea nymph", "an acoustic device"),
        ("loon", "a worthless lazy fellow", "diving bird"),
        ("crane", "United States writer", "large long-necked wading bird"),
        ("seal", "fastener consisting of", "marine mammals"),
        ("organ", "structural and functional unit", "wind instrument"),
        ("thunder", "a deep prolonged loud noise", "along the path of a bolt of lightning"),
    ],
)
def test_first_sense_of_a_word_is_another_thing(id_: str, first: str, meant: str) -> None:
    concept = CONCEPTS[id_]
    default, *others = EXCERPT.senses(concept.lemma)
    assert concept.synset in others
    assert first in EXCERPT.synset(default).gloss
    assert meant in EXCERPT.synset(concept.synset).gloss


def test_readme_and_page_state_the_current_counts() -> None:
    other = sum(EXCERPT.senses(c.lemma)[0] != c.synset for c in CONCEPTS)
    synonyms = [s.source for c in CONCEPTS for s in c.synonyms]
    page = (Path(__file__).parents[2] / "docs" / "concepts.md").read_text("utf-8")
    assert f"{len(CONCEPTS)} concepts" in README
    assert f"{len(CONCEPTS)} concepts ship with the library" in page
    assert f"For {other} of them the first noun sense is another one" in README
    n, n_wordnet, n_ours = len(synonyms), synonyms.count("wordnet"), synonyms.count("curated")
    n_have = sum(bool(c.synonyms) for c in CONCEPTS)
    stated = f"are {n}, of which {n_wordnet} are in WordNet and {n_ours} are ours, for {n_have}"
    assert stated in README
    assert f"{sum(c.audioset is not None for c in CONCEPTS)} have a class of AudioSet" in README
    assert f"({', '.join(CONCEPTS.kinds)})" in README


@pytest.mark.parametrize("concept", CONCEPTS, ids=lambda c: c.id)
def test_concept_is_well_formed(concept: Concept) -> None:
    assert concept.id == concept.name.lower().replace(" ", "-")
    assert (concept.basic is None) == (concept.id == "cash-register")  # in WordNet, a box
    if concept.basic is not None:
        assert concept.hypernyms.count(concept.basic) == 1
    assert concept.ancestors.issuperset(concept.hypernyms)
    assert concept.synset not in {hypernym.synset for hypernym in concept.ancestors}


def test_articles_fit() -> None:
    for thing in [*CONCEPTS, *CONCEPTS.hypernyms]:
        article = thing.phrase.removesuffix(thing.name).strip()
        if article != "the":
            assert article in ("", "an" if thing.name[0] in "aeio" else "a"), thing


def test_audioset_classes_are_those_of_its_table() -> None:
    with (DATA / "audioset" / "class_labels_indices.csv").open(encoding="utf-8") as stream:
        names = {row["mid"]: row["display_name"] for row in csv.DictReader(stream)}
    assert len(names) == 527
    classes = [concept.audioset for concept in CONCEPTS if concept.audioset]
    assert len({c.id for c in classes}) == len(classes)
    for known in classes:
        assert names[known.id] == known.name


def test_glosses_in_comments_are_those_of_the_synsets() -> None:
    comments = re.findall(r'^synset = "(\d+)"  # (.*)$', SHIPPED.read_text("utf-8"), re.MULTILINE)
    assert len(comments) == len(CONCEPTS)
    for offset, gloss in comments:
        assert EXCERPT.synset(offset).gloss.startswith(gloss.removesuffix(" ...")), offset


def test_uncertain_negatives_are_known_and_not_ancestors() -> None:
    named = {c.id for c in CONCEPTS} | {hypernym.id for hypernym in CONCEPTS.hypernyms}
    for target, concepts in UNCERTAIN_NEGATIVES.items():
        assert target in named
        for concept in concepts:
            assert target not in {hypernym.id for hypernym in CONCEPTS[concept].ancestors}, concept
            assert target != concept


def test_names_are_found_in_any_case() -> None:
    assert CONCEPTS.named("french HORN") is CONCEPTS["french-horn"]


def test_labels_of_the_recordings_are_concepts() -> None:
    labels = set(Recordings().labels) - {"record scratch"}  # not a noun of WordNet
    assert {CONCEPTS.named(label).name for label in labels} == labels


def test_sources_of_the_edansa_labels_are_concepts() -> None:
    sources = (
        "vehicle truck car aircraft helicopter jet machine flare bird shorebird loon raptor "
        "seabird duck goose swan grouse ptarmigan songbird raven crow mammal canine insect fly "
        "rain stream wind"
    )
    for source in sources.split():
        assert source in CONCEPTS.named(source).names


def test_neither_numpy_nor_torch_is_loaded() -> None:
    code = (
        "import sys; from audioprobe import Concepts; Concepts.shipped(); "
        "assert not {'numpy', 'torch'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
