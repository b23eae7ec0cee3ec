"""Concepts: sound sources such as "crow", with names, hypernyms and AudioSet classes.

A concept is one sense of a word. The shipped concepts are everyday sound sources, each linked to a
synset of WordNet 3.0. `README.md` in this folder describes how they were chosen.
"""

from audioprobe.concepts.collection import Concepts
from audioprobe.concepts.concept import (
    AudioSetClass,
    Concept,
    Hypernym,
    Synonym,
    with_article,
    with_article_of,
    without_article,
)
from audioprobe.concepts.edansa import (
    EDANSA_PHRASES,
    EdansaLabel,
    edansa_labels,
    edansa_parents,
)
from audioprobe.concepts.ontology import Ontology, OntologyNode
from audioprobe.concepts.wordnet import Synset, WordNet
from audioprobe.concepts.wordnet_agreement import disagreements

__all__ = [
    "EDANSA_PHRASES",
    "AudioSetClass",
    "Concept",
    "Concepts",
    "EdansaLabel",
    "Hypernym",
    "Ontology",
    "OntologyNode",
    "Synonym",
    "Synset",
    "WordNet",
    "disagreements",
    "edansa_labels",
    "edansa_parents",
    "with_article",
    "with_article_of",
    "without_article",
]
