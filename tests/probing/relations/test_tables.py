"""Concepts from tables of relations, and from the label hierarchy of a data set."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioprobe.datasets.edansa import EDANSA_PHRASES, edansa_parents
from audioprobe.errors import InvalidInputError
from audioprobe.metrics.hierarchy import Hierarchy
from audioprobe.probing.questions import balanced_pairs
from audioprobe.probing.relations.sources import from_hierarchy, from_table


def write_table(folder: Path, text: str) -> Path:
    path = folder / "mine.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_two_columns_are_a_concept_and_its_hypernym(tmp_path: Path) -> None:
    concept_set = from_table(
        write_table(tmp_path, "word,class\na grouse,a bird\na bird,an animal\na fox,an animal\n")
    )
    assert [concept.id for concept in concept_set.concepts] == ["grouse", "bird", "fox"]
    grouse = concept_set.concepts[0]
    assert [hypernym.phrase for hypernym in grouse.hypernyms] == ["a bird", "an animal"]
    assert grouse.ancestors == {"bird", "animal"}
    pairs = balanced_pairs(concept_set, "hypernym").pairs
    assert {(p.concept, p.target, p.holds) for p in pairs} == {
        ("grouse", "bird", True),
        ("fox", "bird", False),
    }


def test_several_parents_are_ordered_level_by_level(tmp_path: Path) -> None:
    text = "concept,relation,target\na dog,hypernym,a canine\na dog,hypernym,a pet\n"
    text += "a canine,hypernym,an animal\na dog,synonym,a hound\n"
    dog = from_table(write_table(tmp_path, text)).concepts[0]
    assert [hypernym.id for hypernym in dog.hypernyms] == ["canine", "pet", "animal"]
    assert dog.synonyms == ("a hound",)


def test_cycles_and_other_columns_are_refused(tmp_path: Path) -> None:
    cycle = write_table(tmp_path, "a,b\na crow,a bird\na bird,a thing\na thing,a crow\n")
    with pytest.raises(InvalidInputError, match="a crow < a bird < a thing < a crow"):
        from_table(cycle)
    with pytest.raises(InvalidInputError, match=r"row 2: expected two columns"):
        from_table(write_table(tmp_path, "a,b,c\n1,2,3\n"))
    with pytest.raises(InvalidInputError, match="'hyponym'"):
        from_table(write_table(tmp_path, "concept,relation,target\na,hyponym,b\n"))


def test_labels_of_edansa_have_phrases_and_hypernyms() -> None:
    concept_set = from_hierarchy("edansa", Hierarchy(edansa_parents()), EDANSA_PHRASES)
    assert {concept.label for concept in concept_set.concepts} == set(
        Hierarchy(edansa_parents()).labels
    )
    by_label = {concept.label: concept for concept in concept_set.concepts}
    grouse = by_label["grouse or ptarmigan"]
    assert [hypernym.phrase for hypernym in grouse.hypernyms] == ["a bird", "an animal"]
    assert by_label["rain"].phrase == "rain"
    assert by_label["truck"].hypernyms[-1].phrase == "something made by people"
    pairs = balanced_pairs(concept_set, "hypernym").pairs
    assert sum(pair.holds for pair in pairs) * 2 == len(pairs)


def test_labels_with_equal_phrases_are_refused() -> None:
    labels = Hierarchy({"a": (), "b": ()})
    with pytest.raises(
        InvalidInputError, match="mine: expected one phrase per label, got 'a thing' for two labels"
    ):
        from_hierarchy("mine", labels, {"a": "a thing", "b": "a thing"})


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=12))
def test_no_concept_is_its_own_ancestor(edges: list[tuple[int, int]]) -> None:
    upwards = {(a, b) for a, b in edges if a < b}
    labels = {str(n) for edge in upwards for n in edge}
    tree = Hierarchy({n: [str(b) for a, b in sorted(upwards) if str(a) == n] for n in labels})
    for concept in from_hierarchy("some", tree).concepts:
        assert concept.id not in concept.ancestors
        assert concept.ancestors == {hypernym.id for hypernym in concept.hypernyms}
        assert concept.ancestors == {str(n) for n in tree.ancestors(concept.id)}
