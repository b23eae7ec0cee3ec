"""Data sets: published ones, shipped recordings, and folders and tables of the user.

`Synthetic`, whose import takes longer, is in `audioprobe.datasets.synthetic`.
"""

from audioprobe.datasets.audioset import AudioSet
from audioprobe.datasets.debian import DebianSounds
from audioprobe.datasets.edansa import EDANSA
from audioprobe.datasets.folder import Folder
from audioprobe.datasets.freesound import ESC50, FSD50K, UrbanSound8K
from audioprobe.datasets.in_memory import InMemoryDataset
from audioprobe.datasets.leakage import duplicates, refuse_leaks
from audioprobe.datasets.manifest import Manifest
from audioprobe.datasets.recordings import Recordings
from audioprobe.datasets.relabelled import RelabelledDataset, read_mapping

__all__ = [
    "EDANSA",
    "ESC50",
    "FSD50K",
    "AudioSet",
    "DebianSounds",
    "Folder",
    "InMemoryDataset",
    "Manifest",
    "Recordings",
    "RelabelledDataset",
    "UrbanSound8K",
    "duplicates",
    "read_mapping",
    "refuse_leaks",
]
