"""Convert models in GGUF files to safetensors at first use."""

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from huggingface_hub import cached_assets_path, constants
from transformers import AutoModelForCausalLM, AutoTokenizer

from audioprobe.errors import WeightsError, optional_import
from audioprobe.models.causal_lm.loading import without_weight_bars
from audioprobe.weights import Weights

_NAMESPACE = "gguf-2"  # increase when the conversion changes, so that old results are not used
_PLAIN = ("*.safetensors", "*.bin")


def plain_folder(weights: Weights) -> Path:
    """Return a folder with the model's weights as safetensors; convert a GGUF file if necessary.

    The converted model is stored in Hugging Face's assets cache. Its weights are float32, because
    no shorter data type represents the product of a 4-bit number and a float16 scale exactly.

    Args:
        weights: folder of the model.

    Raises:
        WeightsError: if the folder contains several GGUF files, or if the file is damaged.
        MissingDependencyError: if the package `gguf` is not installed.
    """
    files = sorted(weights.folder.glob("*.gguf"))
    if not files or any(any(weights.folder.glob(pattern)) for pattern in _PLAIN):
        return weights.folder
    if len(files) > 1:
        raise WeightsError(
            f"{weights.folder}: expected one GGUF file, found {len(files)}. Remove the others."
        )
    plain = cached_assets_path(
        "audioprobe",
        namespace=_NAMESPACE,
        subfolder=weights.revision(),
        assets_dir=constants.HF_ASSETS_CACHE,
    )
    if not (plain / "config.json").is_file():
        _convert(files[0], plain)
    return plain


@without_weight_bars()
def _convert(file: Path, plain: Path) -> None:
    optional_import("gguf", extra="gguf")  # raises an error that names the extra to install
    options: dict[str, Any] = {"gguf_file": file.name, "local_files_only": True}
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            file.parent, dtype=torch.float32, **options
        )
        tokenizer: Any = AutoTokenizer.from_pretrained(file.parent, **options)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
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
        _remove_added_tokens(Path(folder), len(model.get_input_embeddings().weight))
        shutil.rmtree(plain, ignore_errors=True)
        Path(folder).replace(plain)
        Path(folder).mkdir()  # the context manager removes it


def _remove_added_tokens(folder: Path, n_rows: int) -> None:
    """Remove tokens without an embedding row, such as "<|endoftext|>", which transformers adds."""
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["added_tokens"] = [token for token in content["added_tokens"] if token["id"] < n_rows]
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
