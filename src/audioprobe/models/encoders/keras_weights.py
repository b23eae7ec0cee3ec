"""Read the weights that Keras 2 saved as HDF5 (`save_weights`); needs the extra `keras`."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from audioprobe.errors import WeightsError
from audioprobe.io.tensorflow_checkpoint import Variable


def read_layers(file: Path) -> list[dict[str, Variable]]:
    """Return a list with one dict per layer that has weights: arrays, keyed by variable name.

    The list has the order of the layers. A name is the last part of the name in the file, without
    ":0": "kernel" for "conv/kernel:0".

    Raises:
        WeightsError: if the file is not HDF5, or has no names of layers and weights.
    """
    try:
        with h5py.File(file, "r") as content:
            root: Any = content.get("model_weights", content)
            groups = [root[_text(name)] for name in root.attrs["layer_names"]]
            layers = [
                {
                    _text(name).rpartition("/")[2].partition(":")[0]: np.asarray(group[_text(name)])
                    for name in group.attrs["weight_names"]
                }
                for group in groups
            ]
    except (OSError, KeyError) as error:
        raise WeightsError(
            f"{file}: expected weights that Keras 2 saved as HDF5 ({error})."
        ) from error
    return [layer for layer in layers if layer]


def _text(name: bytes | str) -> str:
    """Convert a name to text; h5py returns some names as bytes."""
    return name.decode() if isinstance(name, bytes) else name
