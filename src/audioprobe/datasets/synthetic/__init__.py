"""Synthetic audio scenes with known sound sources, such as a dog and rain."""

from audioprobe.datasets.synthetic.blocks import SAMPLE_RATE
from audioprobe.datasets.synthetic.dataset import Synthetic
from audioprobe.datasets.synthetic.palettes import (
    SOURCES,
    BlendedPalette,
    Palette,
    ProceduralPalette,
    RecordedPalette,
)
from audioprobe.datasets.synthetic.scenes import Scene, SceneSource

__all__ = [
    "SAMPLE_RATE",
    "SOURCES",
    "BlendedPalette",
    "Palette",
    "ProceduralPalette",
    "RecordedPalette",
    "Scene",
    "SceneSource",
    "Synthetic",
]
