"""Data sets: published data sets, shipped recordings, and the user's own folders and tables.

Import `Synthetic` from `audioprobe.datasets.synthetic`, which takes longer to import.
"""

from audioprobe.datasets.audioset import AudioSet
from audioprobe.datasets.debian import DebianSounds
from audioprobe.datasets.edansa import EDANSA
from audioprobe.datasets.freesound import ESC50, FSD50K, UrbanSound8K
from audioprobe.datasets.in_memory import Folder, InMemoryDataset
from audioprobe.datasets.leakage import duplicates, refuse_leaks
from audioprobe.datasets.manifest import Manifest
from audioprobe.datasets.near_copies import (
    NearCopies,
    NearCopy,
    near_copies,
    near_copies_between_splits,
)
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
    "NearCopies",
    "NearCopy",
    "Recordings",
    "RelabelledDataset",
    "UrbanSound8K",
    "duplicates",
    "near_copies",
    "near_copies_between_splits",
    "read_mapping",
    "refuse_leaks",
]
