"""Classes of WordNet that differ from those that people use for sounds."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

_DATA = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))

AMBIGUOUS_CLASSES: frozenset[str] = frozenset(_DATA["classes"])
"""Ids of hypernyms that people would also accept for concepts outside their branch of WordNet; no
question asks for them."""

CLOSED_WORLD_KINDS: frozenset[str] = frozenset(_DATA["closed_world_kinds"])
"""Kinds in which WordNet's classes are those of people: what is not listed as a hypernym is false.
In other kinds this does not hold: for WordNet, a train is not a vehicle."""

UNCERTAIN_NEGATIVES: Mapping[str, frozenset[str]] = MappingProxyType(
    {name: frozenset(ids) for name, ids in _DATA["uncertain_negatives"].items()}
)
"""Ids of the concepts for which "no" cannot be scored as correct, by the id of the class or concept
that is asked for."""
