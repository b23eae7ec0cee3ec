"""Sources of sound as concepts: one sense each, what they are called, what they are a kind of.

The concepts that ship are everyday sources, pinned to senses of WordNet 3.0 and linked to the
classes of AudioSet; `README.md` in this folder says how they were chosen and where they come from.
"""

from audioprobe.concepts.collection import Concepts
from audioprobe.concepts.concept import AudioSetClass, Concept, Hypernym, Synonym
from audioprobe.concepts.wordnet import Synset, WordNet
from audioprobe.concepts.wordnet_agreement import disagreements

__all__ = [
    "AudioSetClass",
    "Concept",
    "Concepts",
    "Hypernym",
    "Synonym",
    "Synset",
    "WordNet",
    "disagreements",
]
