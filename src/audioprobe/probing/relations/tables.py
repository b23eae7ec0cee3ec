"""Relations of one's own: a table of concepts and what lies above them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from audioprobe.concepts.concept import with_article, without_article
from audioprobe.errors import InvalidInputError
from audioprobe.graph import ancestors_with_depth
from audioprobe.io.tables import fingerprint, read_rows
from audioprobe.metrics.hierarchy import Hierarchy
from audioprobe.probing.relations.concept_set import ConceptSet, ProbeConcept, Target

HYPERNYM, SYNONYM = "hypernym", "synonym"


def from_table(path: str | Path) -> ConceptSet:
    """Concepts of a CSV, TSV, JSONL or Parquet file.

    Two columns are a concept and a class above it, in this order, whatever they are called. With a
    column "relation" beside "concept" and "target", a row may be "hypernym" or "synonym". A class
    may have classes above it in turn; one that has something above it is asked about, too. Several
    classes above a concept are its hypernyms level by level.

    Args:
        path: of the table. "a crow" and "weather" are taken as they stand, for only who writes them
            knows which take an article; names, in the report, are without it.

    Raises:
        InvalidInputError: if it cannot be read, has other columns or relations, or a concept lies
            above itself; names the circle.
    """
    rows = read_rows(path)
    triples = [_triple(row, row.place) for row in rows]
    parents: dict[str, list[str]] = {}
    synonyms: dict[str, list[str]] = {}
    for concept, relation, target in triples:
        parents.setdefault(concept, [])
        if relation == SYNONYM:
            synonyms.setdefault(concept, []).append(target)
        else:
            parents[concept].append(target)
    revision = fingerprint("\t".join(triple) for triple in triples)
    return ConceptSet(Path(path).name, revision, _subjects(parents, synonyms))


def from_hierarchy(
    name: str, hierarchy: Hierarchy, phrases: Mapping[str, str] | None = None
) -> ConceptSet:
    """The labels of a data set with a hierarchy, such as EDANSA's.

    Args:
        name: of the source.
        hierarchy: of the labels.
        phrases: how labels are said, with their articles; others get "a" or "an".

    Raises:
        InvalidInputError: if two labels are said alike.
    """
    said = {label: (phrases or {}).get(label, with_article(label)) for label in hierarchy.labels}
    alike = sorted(phrase for phrase, n in Counter(said.values()).items() if n > 1)
    if alike:
        raise InvalidInputError(f"{name}: two labels are said alike: {alike[0]!r}.")
    parents: dict[str, list[str]] = {said[label]: [] for label in hierarchy.labels}
    for label, above in hierarchy.edges:
        parents[said[label]].append(said[above])
    revision = fingerprint(f"{a}\t{b}" for a, above in parents.items() for b in above)
    found = _subjects(parents, {})
    named = tuple(replace(s, label=label) for s, label in zip(found, said, strict=True))
    return ConceptSet(name, revision, named)


def _triple(row: Mapping[str, object], where: str) -> tuple[str, str, str]:
    if {"concept", "target"} <= set(row):
        values = (row["concept"], row.get("relation") or HYPERNYM, row["target"])
    elif len(row) == 2:
        concept, target = row.values()
        values = (concept, HYPERNYM, target)
    else:
        raise InvalidInputError(
            f"{where}: expected two columns, or concept, relation and target; got {', '.join(row)}."
        )
    concept, relation, target = (str(value or "").strip() for value in values)
    if not concept or not target or relation not in (HYPERNYM, SYNONYM):
        raise InvalidInputError(
            f"{where}: expected a concept, {HYPERNYM!r} or {SYNONYM!r}, and a target; got "
            f"{concept!r}, {relation!r} and {target!r}."
        )
    return concept, relation, target


def _subjects(
    parents: Mapping[str, Sequence[str]], synonyms: Mapping[str, Sequence[str]]
) -> tuple[ProbeConcept, ...]:
    found = []
    for concept in parents:
        hypernyms = tuple(Target(_id(phrase), phrase) for phrase in _climbed(concept, parents))
        above = frozenset(rung.id for rung in hypernyms)
        names = tuple(synonyms.get(concept, ()))
        found.append(ProbeConcept(_id(concept), concept, "", names, hypernyms, above))
    return tuple(found)


def _climbed(concept: str, parents: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Everything above a concept, level by level."""
    steps = ancestors_with_depth(concept, lambda node: parents.get(node, ()))
    if concept in steps:
        way = [concept]
        for n in range(steps[concept] - 1, 0, -1):  # from above it down to it
            below = (node for node in steps if steps[node] == n)
            way.append(next(node for node in below if way[-1] in parents[node]))
        circle = " < ".join([concept, *way[::-1]])
        raise InvalidInputError(f"{concept} lies above itself: {circle}.")
    return tuple(steps)


def _id(phrase: str) -> str:
    return without_article(phrase).replace(" ", "-")
