"""Load concepts from AudioSet's ontology.

An edge of the ontology joins a node (a class of sounds) with its parent. There are three kinds of
edges: "is-a" (a crow is a bird), "made-by" (a bark is made by a dog), and "grouping" (rain is
listed under water). A probe asks about "is-a" edges only. `audioset_edges.csv` lists the kind of
each edge, assigned by hand. `audioset_phrases.csv` lists phrases for nodes whose names do not fit
into a sentence. Both tables contain ids instead of names, because the names have the licence CC
BY-SA 4.0 and do not ship with the library.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args

from audioprobe.concepts.concept import with_article
from audioprobe.concepts.ontology import Ontology, OntologyNode
from audioprobe.errors import InvalidInputError
from audioprobe.io.tables import read_rows
from audioprobe.probing.relations.concept_set import ConceptSet, ProbeConcept, Target
from audioprobe.texts import fingerprint

EdgeKind: TypeAlias = Literal["is-a", "made-by", "grouping"]
EDGE_KINDS: tuple[EdgeKind, ...] = get_args(EdgeKind)
Edges: TypeAlias = Mapping[tuple[str, str], EdgeKind]
"""Kind of each edge, by the ids of child and parent."""

UNTAGGED = "untagged"
SHIPPED_EDGES = Path(__file__).parent / "audioset_edges.csv"
SHIPPED_PHRASES = Path(__file__).parent / "audioset_phrases.csv"

MERGED_KINDS: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(("/m/0dgw9r", "/m/04rlf"), "people and music")
)
"""Kind of the concepts below two root nodes, by node id: a song is music and a human sound."""

# Last words of names that have no article, in addition to plurals and words in "-ing".
_UNCOUNTABLE = frozenset({
    "afrobeat", "bluegrass", "capella", "carioca", "cattle", "cumbia", "disco", "dub", "dubstep",
    "electro", "electronica", "fire", "funk", "grunge", "jazz", "jungle", "kwaito", "laughter",
    "metal", "music", "noise", "opera", "rain", "reggae", "rock", "roll", "ska", "speech", "techno",
    "thunder", "timpani", "transport", "wind",
})  # fmt: skip
_COUNTABLE_ING = frozenset({"ding", "ping", "ring", "string", "wing", "recording"})


def from_ontology(
    ontology: Ontology,
    edges: Edges | str | Path | None = None,
    *,
    phrases: Mapping[str, str] = MappingProxyType({}),
    closed_world_kinds: frozenset[str] | None = frozenset(),
) -> ConceptSet:
    """Return the nodes with an "is-a" edge to a parent as concepts.

    The hypernyms of a concept are its ancestors by "is-a" edges; ancestors by other edges are
    neither true nor false of it. The kind of a concept is the name of its root node (see
    `MERGED_KINDS`). Concepts have no synonyms, because a comma in a name of AudioSet may separate
    synonyms or different members of a class.

    Args:
        ontology: AudioSet's ontology or a part of it.
        edges: kind of each edge, or a table with the columns child_id, parent_id and kind; None
            uses the shipped table. An "is-a" edge may skip levels (from "bird" to "animal"). Edges
            that are not listed are ignored.
        phrases: phrase for a node in a sentence, keyed by node id. The default is the first name of
            the node, with "a" or "an" if it is countable.
        closed_world_kinds: see `ConceptSet`. The default is empty, because the ontology is
            incomplete (it has "duck" under "fowl", not under "bird").

    Raises:
        InvalidInputError: if a table cannot be read, a kind is unknown, there is no "is-a" edge, or
            the "is-a" edges form a cycle.
    """
    kinds = _edge_kinds(edges)
    taxonomy = _only_is_a(ontology, kinds)
    known = _shipped_phrases() | dict(phrases)
    phrase_of = {node.id: known.get(node.id) or _phrase(node) for node in ontology}
    concepts = []
    for node in ontology:
        ancestors, is_a = ontology.ancestors(node.id), set(taxonomy.ancestors(node.id))
        hypernyms = tuple(Target(name, phrase_of[name]) for name in ancestors if name in is_a)
        if hypernyms:
            root = next(name for name in ancestors if not ontology.parents(name))
            concepts.append(
                ProbeConcept(
                    id=node.id,
                    phrase=phrase_of[node.id],
                    kind=MERGED_KINDS.get(root, ontology[root].name.lower()),
                    hypernyms=hypernyms,
                    ancestors=frozenset(ancestors),
                    label=node.name,
                    extra_labels=_extra_labels(ontology, kinds, node),
                )
            )
    if not concepts:
        raise InvalidInputError(
            f"Expected edges of kind 'is-a', got none between the {len(ontology)} nodes of the "
            "ontology. Pass `edges` with this kind."
        )
    rows = [f"{node.id}\t{parent}" for node in taxonomy for parent in taxonomy.parents(node.id)]
    return ConceptSet("audioset", fingerprint(rows), tuple(concepts), closed_world_kinds)


def count_edge_kinds(ontology: Ontology, edges: Edges | str | Path | None = None) -> dict[str, int]:
    """Return the number of edges of each kind; edges that are not listed count as "untagged".

    Args:
        ontology: AudioSet's ontology or a part of it.
        edges: see `from_ontology`.

    Raises:
        InvalidInputError: if the table cannot be read, or a kind is unknown.
    """
    kinds = _edge_kinds(edges)
    counts: Counter[str] = Counter(
        kinds.get((child, node.id), UNTAGGED) for node in ontology for child in node.children
    )
    return {kind: counts[kind] for kind in (*EDGE_KINDS, UNTAGGED)}


def read_edges(path: str | Path) -> Edges:
    """Read a table with the columns child_id, parent_id and kind.

    Raises:
        InvalidInputError: if the table cannot be read, a kind is unknown, or an edge occurs twice.
    """
    edges: dict[tuple[str, str], EdgeKind] = {}
    for row in read_rows(path, ("child_id", "parent_id", "kind")):
        edge = (str(row["child_id"]), str(row["parent_id"]))
        if edge in edges:
            raise InvalidInputError(
                f"{row.place}: the edge {' < '.join(edge)} occurs twice. Remove one."
            )
        edges[edge] = _check_kind(row["kind"], row.place)
    return edges


@cache
def _shipped_edges() -> Edges:
    return read_edges(SHIPPED_EDGES)


@cache
def _shipped_phrases() -> dict[str, str]:
    rows = read_rows(SHIPPED_PHRASES, ("id", "phrase"))
    return {str(row["id"]): str(row["phrase"]) for row in rows}


def _edge_kinds(edges: Edges | str | Path | None) -> Edges:
    if edges is None:
        return _shipped_edges()
    if isinstance(edges, (str, Path)):
        return read_edges(edges)
    return {edge: _check_kind(kind, " < ".join(edge)) for edge, kind in edges.items()}


def _check_kind(kind: object, where: str) -> EdgeKind:
    """Return `kind`; raise `InvalidInputError` if it is not one of `EDGE_KINDS`."""
    for known in EDGE_KINDS:
        if kind == known:
            return known
    raise InvalidInputError(
        f"{where}: expected an edge of kind {', '.join(EDGE_KINDS)}; got {kind!r}."
    )


def _only_is_a(ontology: Ontology, kinds: Edges) -> Ontology:
    """Return the ontology without the edges of other kinds than "is-a"; all nodes remain."""
    known = {node.id for node in ontology}
    children: dict[str, list[str]] = {}
    for (child, parent), kind in kinds.items():
        if kind == "is-a" and child in known and parent in ontology.ancestors(child):
            children.setdefault(parent, []).append(child)
    return Ontology(replace(node, children=tuple(children.get(node.id, ()))) for node in ontology)


def _extra_labels(ontology: Ontology, kinds: Edges, node: OntologyNode) -> tuple[str, ...]:
    """Return the names of all ancestors of a node, and of the sounds that it makes.

    These sounds are child nodes with a "made-by" edge, such as "Bark" for "Dog".
    """
    sounds = [child for child in node.children if kinds.get((child, node.id)) == "made-by"]
    return tuple(ontology[name].name for name in (*ontology.ancestors(node.id), *sounds))


def _phrase(node: OntologyNode) -> str:
    """Return the first name of a node in lower case, with "a" or "an" if it is countable."""
    name = re.sub(r"\s*\(.*?\)", "", node.name.split(",")[0].split("(")[0]).strip().lower()
    last = name.split()[-1] if name else ""
    plural = last.endswith("s") and not last.endswith(("ss", "us", "is"))
    gerund = last.endswith("ing") and last not in _COUNTABLE_ING
    return name if plural or gerund or last in _UNCOUNTABLE else with_article(name)
