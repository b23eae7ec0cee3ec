"""Classes for which WordNet and everyday language disagree."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

_DATA = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))

AMBIGUOUS_CLASSES: frozenset[str] = frozenset(_DATA["classes"])
"""Ids of hypernyms that people also use for concepts that WordNet does not list below them.

No question asks about these hypernyms.
"""

CLOSED_WORLD_KINDS: frozenset[str] = frozenset(_DATA["closed_world_kinds"])
"""Kinds of concepts for which WordNet's classes agree with everyday language.

In these kinds, a class that is not a hypernym of a concept is a wrong answer. In other kinds it may
be right: in WordNet, a train is not a vehicle.
"""

UNCERTAIN_NEGATIVES: Mapping[str, frozenset[str]] = MappingProxyType(
    {name: frozenset(ids) for name, ids in _DATA["uncertain_negatives"].items()}
)
"""Concepts for which the answer "no" cannot be scored as correct, because it may be wrong.

The keys are ids of the class or concept in the question, the values are ids of concepts.
"""
