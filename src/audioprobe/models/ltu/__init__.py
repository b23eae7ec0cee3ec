"""LTU and LTU-AS ("Listen, Think, and Understand"): loading, use, conversion, training.

Names are loaded on first use: importing this package loads neither torch nor transformers, and
Whisper's modelling code is imported only for an LTU-AS.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from audioprobe.models.ltu.adapters import expand_lora, save_adapter
    from audioprobe.models.ltu.checkpoint import LTUCheckpoint, init_ltu, load_ltu
    from audioprobe.models.ltu.conversion import convert_ltu, save_ltu
    from audioprobe.models.ltu.model import LTU
    from audioprobe.models.ltu.network import LTUConfig, LTUNetwork
    from audioprobe.models.ltu.trainable import LTUPrompts, TrainableLTU
    from audioprobe.models.ltu.whisper_frontend import WhisperFrontend

__all__ = [
    "LTU",
    "LTUCheckpoint",
    "LTUConfig",
    "LTUNetwork",
    "LTUPrompts",
    "TrainableLTU",
    "WhisperFrontend",
    "convert_ltu",
    "expand_lora",
    "init_ltu",
    "load_ltu",
    "save_adapter",
    "save_ltu",
]

_MODULES = {
    "adapters": ("expand_lora", "save_adapter"),
    "checkpoint": ("LTUCheckpoint", "init_ltu", "load_ltu"),
    "conversion": ("convert_ltu", "save_ltu"),
    "model": ("LTU",),
    "network": ("LTUConfig", "LTUNetwork"),
    "trainable": ("LTUPrompts", "TrainableLTU"),
    "whisper_frontend": ("WhisperFrontend",),
}


def __getattr__(name: str) -> object:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
