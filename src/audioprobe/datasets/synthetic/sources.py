"""The synthesised sources, by the ids of their concepts."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from audioprobe.datasets.synthetic.animals import ANIMALS
from audioprobe.datasets.synthetic.instruments import INSTRUMENTS
from audioprobe.datasets.synthetic.machines import MACHINES
from audioprobe.datasets.synthetic.nature import NATURE
from audioprobe.types import Float64Array

Source = Callable[[np.random.Generator, int], Float64Array]
"""Draws the parameters of a source and renders a number of samples, at any level."""

SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        source.__name__.replace("_", "-"): source
        for source in (*ANIMALS, *NATURE, *MACHINES, *INSTRUMENTS)
    }
)
