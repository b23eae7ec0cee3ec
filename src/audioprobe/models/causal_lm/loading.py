"""Load networks from model folders: read weights, convert GGUF files.

Pickled code in a model folder is never executed.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from filelock import FileLock
from huggingface_hub import cached_assets_path, constants
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    modeling_gguf_pytorch_utils,
)
from transformers.utils import logging as transformers_logging

from audioprobe.errors import InvalidInputError, WeightsError, optional_import
from audioprobe.models.causal_lm.configuration import LOADING_ERRORS, read_json, refuse_many_layers
from audioprobe.weights import Weights, refuse_differences

DTYPES = ("float32", "bfloat16", "float16")
"""Supported data types of weights, which use 4, 2 and 2 bytes per parameter."""

# If a folder contains the weights in both formats, the safetensors files are read.
_WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")
_GGUF_CACHE = "gguf-2"  # increase when the conversion changes, so that old results are not used


def dtype_of(name: str) -> torch.dtype:
    """Return the torch data type named "float32", "bfloat16" or "float16".

    Raises:
        InvalidInputError: if the name is not supported.
    """
    if name not in DTYPES:
        raise InvalidInputError(f"dtype must be one of {', '.join(DTYPES)}, got {name!r}.")
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read the tensors in a checkpoint file, by name.

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
    """Read all tensors in a model's folder, by name; the weights may be split into several files.

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
            if not isinstance(named, dict):
                raise WeightsError(
                    f"{index}: expected the names of files in weight_map, got {named!r:.80}. "
                    "Download the file again."
                )
            missing = sorted(set(map(str, named.values())) - {file.name for file in files})
            if missing:
                raise WeightsError(
                    f"{folder}: {index.name} names {', '.join(missing)}, which is missing. "
                    "Download the missing files of this model."
                )
        return {name: tensor for file in files for name, tensor in read_tensors(file).items()}
    raise WeightsError(
        f"{folder}: expected weights ({', '.join(_WEIGHTS)}), found none. Download them."
    )


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
def load_network(
    kind: Any,  # noqa: ANN401 - transformers has no types
    folder: Path,
    *,
    dtype: torch.dtype = torch.float32,
    ignored: Sequence[str] = (),
    **options: Any,
) -> Any:  # noqa: ANN401
    """Load a transformers model for inference; the weights must match all its parameters.

    Args:
        kind: class of transformers with `from_pretrained`.
        folder: folder with config.json and safetensors.
        dtype: data type of the parameters.
        ignored: prefixes of parameter names; such parameters in the files are not loaded.
        options: other arguments of `from_pretrained`.

    Raises:
        WeightsError: if the weights are missing or damaged, or belong to another model.
    """
    if (path := folder / "config.json").is_file():
        refuse_many_layers(path, read_json(path, "the configuration of a model"))
    options |= {"dtype": dtype, "local_files_only": True, "output_loading_info": True}
    try:
        network, report = kind.from_pretrained(folder, **options)
    except LOADING_ERRORS as error:
        raise WeightsError(
            f"{folder}: the weights could not be read ({error!s:.300}). Expected complete "
            "safetensors of an architecture that transformers supports. If a file is missing or "
            "incomplete, download it again."
        ) from error
    refuse_differences(
        str(folder),
        missing=report["missing_keys"],
        unexpected=[n for n in report["unexpected_keys"] if not n.startswith(tuple(ignored))],
        mismatched=[str(entry) for entry in report["mismatched_keys"]],
    )
    return network.eval()


def plain_folder(weights: Weights) -> Path:
    """Return a folder with the model's weights as safetensors; convert a GGUF file if necessary.

    The converted model is stored in Hugging Face's assets cache. Its weights are float32, because
    no shorter data type represents the product of a 4-bit number and a float16 scale exactly.

    Raises:
        WeightsError: if the folder contains several GGUF files, or if the file is damaged.
        MissingDependencyError: if the package `gguf` is not installed.
    """
    files = sorted(weights.folder.glob("*.gguf"))
    if not files or any(any(weights.folder.glob(f"*{s}")) for s in (".safetensors", ".bin")):
        return weights.folder
    if len(files) > 1:
        raise WeightsError(
            f"{weights.folder}: expected one GGUF file, found {len(files)}. Remove the others."
        )
    plain = cached_assets_path(
        "audioprobe",
        namespace=_GGUF_CACHE,
        subfolder=weights.revision(),
        assets_dir=constants.HF_ASSETS_CACHE,
    )
    with FileLock(plain.with_name(f"{plain.name}.lock")):  # of processes that start together
        if not (plain / "config.json").is_file():
            _convert_gguf(files[0], plain)
    return plain


@without_weight_bars()
def _convert_gguf(file: Path, plain: Path) -> None:
    """Convert a GGUF file to safetensors; the folder `plain` appears only when it is complete."""
    optional_import("gguf", extra="gguf")  # raises an error that names the extra to install
    options: dict[str, Any] = {"gguf_file": file.name, "local_files_only": True}
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            file.parent, dtype=torch.float32, **options
        )
        tokenizer: Any = AutoTokenizer.from_pretrained(file.parent, **options)
    except LOADING_ERRORS as error:
        raise WeightsError(
            f"{file}: not readable as a GGUF model ({error!s:.200}). Download it again."
        ) from error
    # The saved weights are not quantised; this entry would make readers look for a GGUF file.
    del model.config.quantization_config
    model.hf_quantizer = None
    plain.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=plain.parent) as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        # transformers adds tokens without an embedding row, such as "<|endoftext|>": remove them.
        path = Path(folder, "tokenizer.json")
        content = json.loads(path.read_text(encoding="utf-8"))
        n_rows = len(model.get_input_embeddings().weight)
        content["added_tokens"] = [t for t in content["added_tokens"] if t["id"] < n_rows]
        path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        shutil.rmtree(plain, ignore_errors=True)
        Path(folder).replace(plain)
        Path(folder).mkdir()  # the context manager removes it


def load_state(module: nn.Module, tensors: Mapping[str, Tensor], *, source: str) -> None:
    """Use tensors as the parameters of a module without copying; set it to evaluation mode.

    Raises:
        WeightsError: if a tensor is missing or unexpected, or has the wrong shape. The message
            names `source`.
    """
    expected = module.state_dict()
    refuse_differences(
        source,
        missing=expected.keys() - tensors.keys(),
        unexpected=tensors.keys() - expected.keys(),
        mismatched=[
            f"{name}: got {tuple(tensors[name].shape)}, expected {tuple(expected[name].shape)}"
            for name in expected.keys() & tensors.keys()
            if tensors[name].shape != expected[name].shape
        ],
    )
    module.load_state_dict(tensors, assign=True)
    module.eval().requires_grad_(requires_grad=False)
