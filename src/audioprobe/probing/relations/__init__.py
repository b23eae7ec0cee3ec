"""Load the concepts of a probe from files, tables, label hierarchies, WordNet or AudioSet."""

from audioprobe.probing.relations.audioset import count_edge_kinds, from_ontology, read_edges
from audioprobe.probing.relations.concept_set import (
    ConceptSet,
    ProbeConcept,
    Target,
    from_concepts,
)
from audioprobe.probing.relations.sources import from_hierarchy, from_table, from_wordnet

__all__ = [
    "ConceptSet",
    "ProbeConcept",
    "Target",
    "count_edge_kinds",
    "from_concepts",
    "from_hierarchy",
    "from_ontology",
    "from_table",
    "from_wordnet",
    "read_edges",
]
