"""Read weights and configurations from a model folder; pickled code is never executed."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoConfig, PreTrainedConfig, modeling_gguf_pytorch_utils
from transformers.utils import logging as transformers_logging

from audioprobe.errors import InvalidInputError, WeightsError
from audioprobe.weights import refuse_differences

Config = TypeVar("Config", bound=PreTrainedConfig)

DTYPES = ("float32", "bfloat16", "float16")
"""Supported data types of weights, which use 4, 2 and 2 bytes per parameter."""

# If a folder contains the weights in both formats, the safetensors files are read.
_WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")


def dtype_of(name: str) -> torch.dtype:
    """Return the torch data type with a name in `DTYPES`.

    Raises:
        InvalidInputError: if the name is not in `DTYPES`.
    """
    if name not in DTYPES:
        raise InvalidInputError(f"dtype must be one of {', '.join(DTYPES)}, got {name!r}.")
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a checkpoint file: a flat dictionary of tensors.

    Raises:
        WeightsError: if the file is missing or damaged, or is not a dictionary of tensors.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such file. Expected weights (.safetensors, .bin).")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (SafetensorError, RuntimeError, OSError, ValueError, EOFError) as error:
        raise WeightsError(
            f"{path}: could not be read ({error!s:.200}). Download the file again."
        ) from error
    except Exception as error:  # the unpickler's error class is private
        raise WeightsError(
            f"{path}: expected only tensors, got other objects, which may run code when loaded "
            f"({error!s:.200}). Convert the file to safetensors."
        ) from error
    if not isinstance(content, dict) or not all(isinstance(v, Tensor) for v in content.values()):
        raise WeightsError(f"{path}: expected a flat dictionary of tensors, got another structure.")
    return content


def read_folder(folder: Path) -> dict[str, Tensor]:
    """Read all tensors in a model's folder; the weights may be split into several files.

    Raises:
        WeightsError: if the folder has no weights, or if a file named in its index is missing or
            damaged.
    """
    for pattern in _WEIGHTS:
        files = sorted(folder.glob(pattern))
        if not files:
            continue
        for index in sorted(folder.glob(f"{pattern}.index.json")):
            named = read_json(index, "an index of weights").get("weight_map", {})
            missing = sorted(set(named.values()) - {file.name for file in files})
            if missing:
                raise WeightsError(
                    f"{folder}: {index.name} names {', '.join(missing)}, which is missing. "
                    "Download the missing files of this model."
                )
        return {name: tensor for file in files for name, tensor in read_tensors(file).items()}
    raise WeightsError(
        f"{folder}: expected weights ({', '.join(_WEIGHTS)}), found none. Download them."
    )


def read_json(path: Path, expected: str) -> dict[str, Any]:
    """Read a JSON object from a file.

    Args:
        path: path of the file.
        expected: description of the expected file or folder, for the error message.

    Raises:
        WeightsError: if the file is missing or damaged, or does not contain a JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: not readable ({error}). Expected {expected}.") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path}: expected a JSON object, got another JSON value.")
    return content


def read_config(folder: Path, kind: type[Config], expected: str) -> Config:
    """Read the configuration of a transformers model.

    Args:
        folder: folder with config.json.
        kind: expected class of the configuration.
        expected: name of the expected model with its article, for the error message.

    Raises:
        WeightsError: if the configuration is missing or damaged, or has another class.
    """
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"{folder}: no readable config.json ({error}). Download it again."
        ) from error
    if not isinstance(config, kind):
        raise WeightsError(f"{folder}: expected {expected}, found {config.model_type!r}.")
    return config


@contextmanager
def without_weight_bars() -> Iterator[None]:
    """Hide transformers' progress bars while weights are loaded, as a context manager."""
    gguf: Any = modeling_gguf_pytorch_utils
    shown, bar = transformers_logging.is_progress_bar_enabled(), gguf.tqdm
    transformers_logging.disable_progress_bar()
    gguf.tqdm = partial(bar, disable=True)  # transformers' setting does not affect this bar
    try:
        yield
    finally:
        gguf.tqdm = bar
        if shown:
            transformers_logging.enable_progress_bar()


@without_weight_bars()
def load_network(kind: Any, folder: Path) -> Any:  # noqa: ANN401 - transformers has no types
    """Load a transformers model in float32 for inference; all parameters must match.

    Args:
        kind: class of transformers with `from_pretrained`.
        folder: folder with config.json and safetensors.

    Raises:
        WeightsError: if the weights are missing or damaged, or belong to another model.
    """
    try:
        network, report = kind.from_pretrained(
            folder,
            output_loading_info=True,
            local_files_only=True,
            dtype=torch.float32,
        )
    except (SafetensorError, OSError, RuntimeError, ValueError) as error:
        raise WeightsError(
            f"{folder}: the weights could not be read ({error}). The file may be missing or "
            "incomplete: download it again."
        ) from error
    refuse_differences(
        str(folder),
        missing=report["missing_keys"],
        unexpected=report["unexpected_keys"],
        mismatched=[str(entry) for entry in report["mismatched_keys"]],
    )
    return network.eval()
