"""Concepts: sound sources such as "crow", with names, hypernyms and AudioSet classes.

A concept is one sense of a word. The shipped concepts are everyday sound sources; each has a synset
(a set of words with one meaning) of WordNet 3.0. `README.md` in this folder describes how they were
chosen.
"""

from audioprobe.concepts.collection import Concepts, disagreements
from audioprobe.concepts.concept import (
    AudioSetClass,
    Concept,
    Hypernym,
    Synonym,
    with_article,
    with_article_of,
    without_article,
)
from audioprobe.concepts.ontology import Ontology, OntologyNode
from audioprobe.concepts.wordnet import Synset, WnLexicon, WordNet

__all__ = [
    "AudioSetClass",
    "Concept",
    "Concepts",
    "Hypernym",
    "Ontology",
    "OntologyNode",
    "Synonym",
    "Synset",
    "WnLexicon",
    "WordNet",
    "disagreements",
    "with_article",
    "with_article_of",
    "without_article",
]
