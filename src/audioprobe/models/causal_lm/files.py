"""Files of models as data: nothing in them is executed, nothing missing is overlooked."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from audioprobe.errors import WeightsError

# In this order: where a folder holds the same weights twice, safetensors are read.
_WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The flat dictionary of a checkpoint file.

    Raises:
        WeightsError: if it is missing, damaged, or no dictionary of tensors.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such file. Expected weights (.safetensors, .bin).")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (SafetensorError, RuntimeError, OSError, ValueError, EOFError) as error:
        raise WeightsError(f"{path}: could not be read ({error!s:.200}). Get it again.") from error
    except Exception as error:  # the unpickler's own class is private
        raise WeightsError(
            f"{path}: holds something other than tensors and was not opened ({error!s:.200})."
        ) from error
    if not isinstance(content, dict) or not all(isinstance(v, Tensor) for v in content.values()):
        raise WeightsError(f"{path}: expected a flat dictionary of tensors.")
    return content


def read_folder(folder: Path) -> dict[str, Tensor]:
    """All tensors of a model's folder, whose weights may be in several files.

    Raises:
        WeightsError: if there are none, or a file that an index names is missing or damaged.
    """
    for pattern in _WEIGHTS:
        files = sorted(folder.glob(pattern))
        if not files:
            continue
        _refuse_gaps(folder, {file.name for file in files}, f"{pattern}.index.json")
        tensors: dict[str, Tensor] = {}
        for file in files:
            tensors |= read_tensors(file)
        return tensors
    raise WeightsError(f"{folder}: holds no weights ({', '.join(_WEIGHTS)}).")


def read_json(path: Path, expected: str) -> dict[str, Any]:
    """A JSON object.

    Args:
        path: of the file.
        expected: what its folder should be, for the message.

    Raises:
        WeightsError: if it is missing, damaged, or no object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: not readable ({error}). Expected {expected}.") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path}: expected a JSON object.")
    return content


def _refuse_gaps(folder: Path, present: set[str], index: str) -> None:
    for path in sorted(folder.glob(index)):
        named = read_json(path, "an index of weights").get("weight_map", {})
        missing = sorted(set(named.values()) - present)
        if missing:
            raise WeightsError(
                f"{folder}: {path.name} names {', '.join(missing)}, which is not there. Get the "
                "missing files of this model."
            )
