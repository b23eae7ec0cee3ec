"""The labels of EDANSA as concepts: what they say in a sentence about a sound."""

from collections.abc import Mapping
from types import MappingProxyType

from audioprobe.datasets.edansa.taxonomy import edansa_hierarchy
from audioprobe.probing.relations.concept_set import ConceptSet
from audioprobe.probing.relations.tables import from_hierarchy

SAID: Mapping[str, str] = MappingProxyType(
    {
        "animal sound": "an animal",
        "human-made sound": "something made by people",
        "machinery": "machinery",
        "rain": "rain",
        "running water": "running water",
        "silence": "silence",
        "wind": "wind",
        "wind, rain or water": "weather or water",
    }
)
"""How labels are said that take no article, or name a sound and not what makes it."""


def from_edansa() -> ConceptSet:
    """The 28 labels with what lies above them in the taxonomy.

    A clip of the data set has all labels that lie above its own ones; it is of a concept if
    everything else that it is labelled with lies above that.
    """
    return from_hierarchy("edansa", edansa_hierarchy(), SAID)
