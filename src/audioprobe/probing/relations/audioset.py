"""AudioSet's ontology as a source of concepts.

An edge of the ontology may say what a thing is (a crow is a bird), what makes a sound (a bark, a
dog), or only where somebody would look for it (rain, water). Only the first kind is asked about.
Which edge is of which kind stands in `audioset_edges.csv`; it was judged by hand and has ids alone,
for the ontology's own text is under CC BY-SA 4.0 and does not ship with the library.
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
from audioprobe.concepts.ontology import Node, Ontology
from audioprobe.errors import InvalidInputError
from audioprobe.io.tables import fingerprint, read_rows
from audioprobe.probing.relations.concept_set import ConceptSet, ProbeConcept, Target

EdgeKind: TypeAlias = Literal["is-a", "made-by", "grouping"]
EDGE_KINDS: tuple[EdgeKind, ...] = get_args(EdgeKind)
Edges: TypeAlias = Mapping[tuple[str, str], EdgeKind]
"""Kinds by the ids of child and parent."""

UNTAGGED = "untagged"
SHIPPED = Path(__file__).parent / "audioset_edges.csv"

FAMILIES: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(("/m/0dgw9r", "/m/04rlf"), "people and music")
)
"""Roots that are one kind, by their ids: people sing, so a song is music and a human sound."""

SAID: Mapping[str, str] = MappingProxyType(
    {
        "/m/0160x5": "a digestive sound",
        "/m/0164x2": "African music",
        "/m/019jd": "a water vehicle",
        "/m/01280g": "a wild animal",
        "/m/015vgc": "Carnatic music",
        "/m/01jg02": "a heart sound",
        "/m/01lyv": "country music",
        "/m/01z5f": "a canid",
        "/m/028sqc": "Asian music",
        "/m/0283d": "drum and bass",
        "/m/02mscn": "Christian music",
        "/m/0319l": "a French horn",
        "/m/03gvt": "a Hammond organ",
        "/m/05148p4": "a keyboard instrument",
        "/m/05fw6t": "children's music",
        "/m/068hy": "a domestic animal",
        "/m/06h7j": "running",
        "/m/06hps": "a rodent",
        "/m/06j64v": "Middle Eastern music",
        "/m/07k1x": "a tool",
        "/m/07pbtc8": "walking",
        "/m/07xzm": "a ukulele",
        "/m/09hlz4": "a respiratory sound",
        "/m/09l8g": "a sound of the human voice",
        "/m/0bmfpc": "UK garage",
        "/m/0bpl036": "human locomotion",
        "/m/0bxl5": "a Rhodes piano",
        "/m/0cdnk": "a roaring cat",
        "/m/0ch8v": "a farm animal",
        "/m/0dgw9r": "a human sound",
        "/m/0dq0md": "Bollywood music",
        "/m/0g293": "Latin American music",
        "/m/0g6b5": "a firework",
        "/m/0j45pbj": "a mallet percussion instrument",
        "/m/0kpv1t": "a genre of music",
        "/m/0l14md": "a percussion instrument",
        "/t/dd00135": "the shouting of children",
    }
)
"""How nodes are said whose names do not fit into a sentence, by their ids."""

# What cannot be counted, by its last word; "-ing" and plurals are told without a list.
_MASS = frozenset({
    "afrobeat", "bluegrass", "capella", "carioca", "cattle", "cumbia", "disco", "dub", "dubstep",
    "electro", "electronica", "fire", "funk", "grunge", "jazz", "jungle", "kwaito", "laughter",
    "metal", "music", "noise", "opera", "rain", "reggae", "rock", "roll", "ska", "speech", "techno",
    "thunder", "timpani", "transport", "wind",
})  # fmt: skip
_COUNTED_ING = frozenset({"ding", "ping", "ring", "string", "wing", "recording"})


def from_ontology(
    ontology: Ontology,
    edges: Edges | str | Path | None = None,
    *,
    phrases: Mapping[str, str] = MappingProxyType({}),
    sorted_well: frozenset[str] | None = frozenset(),
) -> ConceptSet:
    """Nodes that are a kind of something, with what they are a kind of.

    A node's kind is the name of the root above it, or of its family. Whatever is above it by any
    edge is never a wrong answer. The commas in AudioSet's names join now other names, now members,
    so there are no synonyms.

    Args:
        ontology: the whole file or a part.
        edges: kinds of its edges, or a table with the columns child_id, parent_id and kind; None
            takes the one that ships. "is-a" may also join a node with one that lies higher (a bird,
            an animal). Edges without a kind are not asked about.
        phrases: how nodes are said, by their ids; others by their first name, with "a" or "an".
        sorted_well: as in `ConceptSet`. By default no root is: a duck is under fowl and not under
            bird, so wrong answers come from below other roots.

    Raises:
        InvalidInputError: if a table cannot be read, a kind is unknown, nothing is a kind of
            anything, or a node is a kind of itself.
    """
    kinds = _kinds(edges)
    sorts = _only_is_a(ontology, kinds)
    said = {node.id: phrases.get(node.id) or SAID.get(node.id) or _said(node) for node in ontology}
    found = []
    for node in ontology:
        above, sort = ontology.ancestors(node.id), set(sorts.ancestors(node.id))
        hypernyms = tuple(Target(name, said[name]) for name in above if name in sort)
        if hypernyms:
            root = next(name for name in above if not ontology.parents(name))
            kind = FAMILIES.get(root, ontology[root].name.lower())
            phrase, label, also = said[node.id], node.name, _also(ontology, kinds, node)
            up = frozenset(above)
            found.append(
                ProbeConcept(node.id, phrase, kind, (), hypernyms, up, label=label, also=also)
            )
    if not found:
        raise InvalidInputError(
            f"None of {len(ontology)} nodes is a kind of another. Give edges with the kind 'is-a'."
        )
    rows = [f"{node.id}\t{up}" for node in sorts for up in sorts.parents(node.id)]
    return ConceptSet("audioset", fingerprint(rows), tuple(found), sorted_well)


def edge_kinds(ontology: Ontology, edges: Edges | str | Path | None = None) -> dict[str, int]:
    """How many edges of an ontology are of each kind, and how many are untagged.

    Args:
        ontology: the whole file or a part.
        edges: as for `from_ontology`.

    Raises:
        InvalidInputError: as for `from_ontology`.
    """
    kinds = _kinds(edges)
    counts: Counter[str] = Counter(
        kinds.get((child, node.id), UNTAGGED) for node in ontology for child in node.children
    )
    return {kind: counts[kind] for kind in (*EDGE_KINDS, UNTAGGED)}


def read_edges(path: str | Path) -> Edges:
    """A table of kinds.

    Args:
        path: with the columns child_id, parent_id and kind.

    Raises:
        InvalidInputError: if it cannot be read, a kind is unknown, or an edge stands there twice.
    """
    found: dict[tuple[str, str], EdgeKind] = {}
    for row in read_rows(path, ("child_id", "parent_id", "kind")):
        edge = (str(row["child_id"]), str(row["parent_id"]))
        if edge in found:
            raise InvalidInputError(f"{row.place}: {' < '.join(edge)} is there twice.")
        found[edge] = _kind(row["kind"], row.place)
    return found


@cache
def _shipped() -> Edges:
    return read_edges(SHIPPED)


def _kinds(edges: Edges | str | Path | None) -> Edges:
    if edges is None:
        return _shipped()
    if isinstance(edges, (str, Path)):
        return read_edges(edges)
    return {edge: _kind(kind, " < ".join(edge)) for edge, kind in edges.items()}


def _kind(kind: object, where: str) -> EdgeKind:
    for known in EDGE_KINDS:
        if kind == known:
            return known
    raise InvalidInputError(f"{where}: expected {' or '.join(EDGE_KINDS)}, got {kind!r}.")


def _only_is_a(ontology: Ontology, kinds: Edges) -> Ontology:
    """The same nodes with those below them that are a kind of them.

    A table may know nodes that this ontology lacks, or that lie elsewhere in it: not asked about.
    """
    known = {node.id for node in ontology}
    children: dict[str, list[str]] = {}
    for (child, parent), kind in kinds.items():
        if kind == "is-a" and child in known and parent in ontology.ancestors(child):
            children.setdefault(parent, []).append(child)
    return Ontology(replace(node, children=tuple(children.get(node.id, ()))) for node in ontology)


def _also(ontology: Ontology, kinds: Edges, node: Node) -> tuple[str, ...]:
    """Names of what lies above by any edge, and of the sounds that it makes."""
    made = [child for child in node.children if kinds.get((child, node.id)) == "made-by"]
    return tuple(ontology[name].name for name in (*ontology.ancestors(node.id), *made))


def _said(node: Node) -> str:
    """The first of its names, in lower case, with an article where it can be counted."""
    name = re.sub(r"\s*\(.*?\)", "", node.name.split(",")[0].split("(")[0]).strip().lower()
    last = name.split()[-1] if name else ""
    plural = last.endswith("s") and not last.endswith(("ss", "us", "is"))
    gerund = last.endswith("ing") and last not in _COUNTED_ING
    return name if plural or gerund or last in _MASS else with_article(name)
