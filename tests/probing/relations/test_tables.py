"""Relations of one's own, from tables and from the hierarchy of a data set."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioprobe.concepts.edansa import EDANSA_PHRASES, edansa_parents
from audioprobe.errors import InvalidInputError
from audioprobe.metrics.hierarchy import Hierarchy
from audioprobe.probing.pairs import balanced_pairs
from audioprobe.probing.relations.tables import from_hierarchy, from_table


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_two_columns_are_a_concept_and_what_lies_above_it(tmp_path: Path) -> None:
    found = from_table(
        written(tmp_path, "word,class\na grouse,a bird\na bird,an animal\na fox,an animal\n")
    )
    assert [subject.id for subject in found.concepts] == ["grouse", "bird", "fox"]
    grouse = found.concepts[0]
    assert [rung.phrase for rung in grouse.hypernyms] == ["a bird", "an animal"]
    assert grouse.ancestors == {"bird", "animal"}
    pairs = balanced_pairs(found, "hypernym").pairs
    assert {(p.concept, p.target, p.holds) for p in pairs} == {
        ("grouse", "bird", True),
        ("fox", "bird", False),
    }


def test_synonyms_and_several_parents_are_taken_level_by_level(tmp_path: Path) -> None:
    text = "concept,relation,target\na dog,hypernym,a canine\na dog,hypernym,a pet\n"
    text += "a canine,hypernym,an animal\na dog,synonym,a hound\n"
    dog = from_table(written(tmp_path, text)).concepts[0]
    assert [rung.id for rung in dog.hypernyms] == ["canine", "pet", "animal"]
    assert dog.synonyms == ("a hound",)


def test_a_circle_is_shown_and_other_columns_are_refused(tmp_path: Path) -> None:
    circle = written(tmp_path, "a,b\na crow,a bird\na bird,a thing\na thing,a crow\n")
    with pytest.raises(InvalidInputError, match="a crow < a bird < a thing < a crow"):
        from_table(circle)
    with pytest.raises(InvalidInputError, match=r"row 2: expected two columns"):
        from_table(written(tmp_path, "a,b,c\n1,2,3\n"))
    with pytest.raises(InvalidInputError, match="'hyponym'"):
        from_table(written(tmp_path, "concept,relation,target\na,hyponym,b\n"))


def test_edansa_is_asked_with_its_own_classes() -> None:
    found = from_hierarchy("edansa", Hierarchy(edansa_parents()), EDANSA_PHRASES)
    assert {subject.label for subject in found.concepts} == set(Hierarchy(edansa_parents()).labels)
    by_label = {subject.label: subject for subject in found.concepts}
    grouse = by_label["grouse or ptarmigan"]
    assert [rung.phrase for rung in grouse.hypernyms] == ["a bird", "an animal"]
    assert by_label["rain"].phrase == "rain"
    assert by_label["truck"].hypernyms[-1].phrase == "something made by people"
    pairs = balanced_pairs(found, "hypernym").pairs
    assert sum(pair.holds for pair in pairs) * 2 == len(pairs)


def test_labels_that_are_said_alike_are_refused() -> None:
    alike = Hierarchy({"a": (), "b": ()})
    with pytest.raises(InvalidInputError, match="mine: two labels have the phrase 'a thing'"):
        from_hierarchy("mine", alike, {"a": "a thing", "b": "a thing"})


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=12))
def test_no_concept_is_ever_above_itself(edges: list[tuple[int, int]]) -> None:
    upwards = {(a, b) for a, b in edges if a < b}
    labels = {str(n) for edge in upwards for n in edge}
    tree = Hierarchy({n: [str(b) for a, b in sorted(upwards) if str(a) == n] for n in labels})
    for subject in from_hierarchy("some", tree).concepts:
        assert subject.id not in subject.ancestors
        assert subject.ancestors == {rung.id for rung in subject.hypernyms}
        assert subject.ancestors == {str(n) for n in tree.ancestors(subject.id)}
