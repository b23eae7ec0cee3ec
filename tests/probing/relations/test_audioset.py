"""AudioSet's ontology as a source of concepts: only "is-a" edges are asked about."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from audioprobe.concepts.ontology import Ontology, OntologyNode
from audioprobe.errors import InvalidInputError
from audioprobe.probing.clips import clips_by_concept
from audioprobe.probing.questions import balanced_pairs
from audioprobe.probing.relations.audioset import (
    SHIPPED_EDGES,
    Edges,
    count_edge_kinds,
    from_ontology,
    read_edges,
)
from audioprobe.types import Clip

# Ids and names as AudioSet has them; children, shortened.
CHILDREN: dict[tuple[str, str], Sequence[str]] = {
    ("/m/0jbk", "Animal"): ("/m/015p6", "/m/068hy", "/m/01280g"),
    ("/m/01280g", "Wild animals"): ("/m/015p6", "/m/07r_k2n"),
    ("/m/068hy", "Domestic animals, pets"): ("/m/0bt9lr",),
    ("/m/015p6", "Bird"): ("/m/04s8yn", "/m/0h0rv"),
    ("/m/04s8yn", "Crow"): ("/m/07r04",),
    ("/m/07r04", "Caw"): (),
    ("/m/0h0rv", "Pigeon, dove"): (),
    ("/m/07r_k2n", "Yip"): (),
    ("/m/0bt9lr", "Dog"): (),
    ("/t/dd00041", "Sounds of things"): ("/m/07yv9",),
    ("/m/07yv9", "Vehicle"): ("/m/012f08",),
    ("/m/012f08", "Motor vehicle (road)"): ("/m/0k4j",),
    ("/m/0k4j", "Car"): (),
}


def ontology() -> Ontology:
    return Ontology(
        OntologyNode(name_id, name, "", tuple(children))
        for (name_id, name), children in CHILDREN.items()
    )


EDGES: Edges = {
    ("/m/015p6", "/m/0jbk"): "is-a",
    ("/m/015p6", "/m/01280g"): "grouping",
    ("/m/01280g", "/m/0jbk"): "is-a",
    ("/m/0bt9lr", "/m/068hy"): "is-a",
    ("/m/068hy", "/m/0jbk"): "is-a",
    ("/m/04s8yn", "/m/015p6"): "is-a",
    ("/m/0h0rv", "/m/015p6"): "is-a",
    ("/m/07r04", "/m/04s8yn"): "made-by",
    ("/m/012f08", "/m/07yv9"): "is-a",
    ("/m/0k4j", "/m/012f08"): "is-a",
    ("/m/07yv9", "/t/dd00041"): "grouping",
}


def test_hypernyms_follow_is_a_edges_and_ancestors_follow_all_edges() -> None:
    concepts = {concept.id: concept for concept in from_ontology(ontology(), EDGES).concepts}
    crow = concepts["/m/04s8yn"]
    assert crow.phrase == "a crow"
    assert [hypernym.phrase for hypernym in crow.hypernyms] == ["a bird", "an animal"]
    assert "/m/01280g" in crow.ancestors  # a grouping: an ancestor, but no hypernym
    assert "/m/07r04" not in concepts  # a caw is made by a crow
    assert "/m/07r_k2n" not in concepts  # its edge has no kind
    car = [hypernym.phrase for hypernym in concepts["/m/0k4j"].hypernyms]
    assert car == ["a motor vehicle", "a vehicle"]
    assert concepts["/m/0bt9lr"].hypernyms[0].phrase == "a domestic animal"  # a shipped phrase


def test_false_pairs_come_from_other_roots() -> None:
    pairs = balanced_pairs(from_ontology(ontology(), EDGES), "hypernym").pairs
    kinds = {c.id: c.kind for c in from_ontology(ontology(), EDGES).concepts}
    by_target: dict[str, list[bool]] = {}
    for pair in pairs:
        by_target.setdefault(pair.target, []).append(pair.holds)
        if not pair.holds:
            assert kinds[pair.concept] != {"/m/0jbk": "animal"}.get(pair.target, "")
    assert by_target
    assert all(sum(holds) * 2 == len(holds) for holds in by_target.values())


def test_clips_are_assigned_by_the_labels_of_the_data_set() -> None:
    clips = [
        Clip(id="1", path=Path("1.wav"), labels=("Pigeon, dove",)),
        Clip(id="2", path=Path("2.wav"), labels=("Motor vehicle (road)",)),
    ]
    # Labels above a crow by any edge, and its sound; a yip is not a sound of a crow.
    labels = ("Animal", "Wild animals", "Bird", "Crow", "Caw"), ("Animal", "Crow", "Yip")
    clips += [
        Clip(id=f"{3 + n}", path=Path("3.wav"), labels=names) for n, names in enumerate(labels)
    ]
    clips.append(
        Clip(
            id="5",
            path=Path("5.wav"),
            labels=("Sounds of things", "Vehicle", "Motor vehicle (road)"),
        )
    )
    assigned = clips_by_concept(clips, from_ontology(ontology(), EDGES))
    assert set(assigned.by_concept) == {"/m/04s8yn", "/m/0h0rv", "/m/012f08"}
    assert [clip.id for clip in assigned.by_concept["/m/04s8yn"]] == ["3"]
    assert [clip.id for clip in assigned.by_concept["/m/012f08"]] == ["2", "5"]
    assert set(assigned.unassigned) == {"4"}


def test_edges_are_counted_by_kind(tmp_path: Path) -> None:
    counts = count_edge_kinds(ontology(), EDGES)
    assert counts == {"is-a": 8, "made-by": 1, "grouping": 2, "untagged": 1}
    path = tmp_path / "edges.csv"
    rows = [f"{child},{parent},{kind}" for (child, parent), kind in EDGES.items()]
    path.write_text("\n".join(["child_id,parent_id,kind", *rows]), encoding="utf-8")
    assert from_ontology(ontology(), path) == from_ontology(ontology(), EDGES)


def test_the_shipped_table_is_complete() -> None:
    shipped = read_edges(SHIPPED_EDGES)
    counts = {kind: sum(k == kind for k in shipped.values()) for kind in set(shipped.values())}
    assert counts == {"is-a": 283, "made-by": 113, "grouping": 310}
    phrases = {concept.phrase for concept in from_ontology(ontology()).concepts}
    assert {"a crow", "a pigeon", "a dog", "a car"} <= phrases


def test_invalid_edges_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidInputError, match="expected an edge of kind is-a, made-by, grouping; got 'isa'"
    ):
        from_ontology(ontology(), {("/m/04s8yn", "/m/015p6"): "isa"})  # type: ignore[dict-item]
    with pytest.raises(InvalidInputError, match="got none between the 13 nodes"):
        from_ontology(ontology(), {("/m/07r04", "/m/04s8yn"): "made-by"})
    path = tmp_path / "edges.csv"
    path.write_text("child_id,parent_id,kind\na,b,is-a\na,b,grouping\n", encoding="utf-8")
    with pytest.raises(InvalidInputError, match="row 3: the edge a < b occurs twice"):
        read_edges(path)
