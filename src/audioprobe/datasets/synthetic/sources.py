"""All synthesised sources."""

from collections.abc import Mapping
from types import MappingProxyType

from audioprobe.datasets.synthetic.animals import ANIMALS
from audioprobe.datasets.synthetic.blocks import Source
from audioprobe.datasets.synthetic.instruments import INSTRUMENTS
from audioprobe.datasets.synthetic.machines import MACHINES
from audioprobe.datasets.synthetic.nature import NATURE

SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        source.__name__.replace("_", "-"): source
        for source in (*ANIMALS, *NATURE, *MACHINES, *INSTRUMENTS)
    }
)
