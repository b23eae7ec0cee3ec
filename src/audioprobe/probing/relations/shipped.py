"""Concepts from a file of concepts: by default those that ship with the library."""

from audioprobe.concepts import Concept, Concepts
from audioprobe.concepts.ambiguous_classes import DOUBTFUL, SORTED_WELL, VAGUE
from audioprobe.concepts.concept import like
from audioprobe.probing.relations.concept_set import ConceptSet, ProbeConcept, Target


def from_concepts(concepts: Concepts | None = None) -> ConceptSet:
    """The concepts of a file, without the classes that people would not sort sounds by.

    What people might grant a concept though WordNet does not (a bell, a musical instrument) counts
    as above it: it is neither asked for nor denied.

    Args:
        concepts: None takes those that ship.
    """
    chosen = Concepts.shipped() if concepts is None else concepts
    subjects = tuple(_subject(concept) for concept in chosen)
    return ConceptSet("concepts", chosen.revision, subjects, SORTED_WELL)


def _subject(concept: Concept) -> ProbeConcept:
    hypernyms = tuple(Target(r.id, r.phrase) for r in concept.hypernyms if r.id not in VAGUE)
    doubtful = {name for name, concepts in DOUBTFUL.items() if concept.id in concepts}
    basic = "" if concept.basic is None or concept.basic.id in VAGUE else concept.basic.id
    return ProbeConcept(
        concept.id,
        concept.phrase,
        concept.kind,
        tuple(like(concept.phrase, synonym.name) for synonym in concept.synonyms),
        hypernyms,
        frozenset(rung.id for rung in concept.ancestors) | doubtful,
        basic,
        "" if concept.audioset is None else concept.audioset.name,
    )
