"""Models that come as GGUF, made plain: dequantised once, then read as safetensors."""

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from huggingface_hub import cached_assets_path, constants
from transformers import AutoModelForCausalLM, AutoTokenizer

from audioprobe.errors import WeightsError, needs_extra
from audioprobe.library_notices import without_weight_bars
from audioprobe.weights import Weights

_NAMESPACE = "gguf-2"  # raised when unpacking changes, so that earlier folders are not used
_PLAIN = ("*.safetensors", "*.bin")


def plain_folder(weights: Weights) -> Path:
    """The folder of a model with its weights as safetensors.

    A GGUF file is converted at its first use, into Hugging Face's cache of assets, in float32: what
    4 bits and a scale in float16 say, no shorter format holds exactly.

    Args:
        weights: where the model was found.

    Raises:
        WeightsError: if there are several GGUF files, or the one is damaged.
        MissingDependencyError: if the package `gguf` is not installed.
    """
    packed = sorted(weights.folder.glob("*.gguf"))
    if not packed or any(any(weights.folder.glob(pattern)) for pattern in _PLAIN):
        return weights.folder
    if len(packed) > 1:
        raise WeightsError(
            f"{weights.folder}: holds {len(packed)} GGUF files; name a folder with one of them."
        )
    plain = cached_assets_path(
        "audioprobe",
        namespace=_NAMESPACE,
        subfolder=weights.revision(),
        assets_dir=constants.HF_ASSETS_CACHE,
    )
    if not (plain / "config.json").is_file():
        _unpack(packed[0], plain)
    return plain


@without_weight_bars()
def _unpack(packed: Path, plain: Path) -> None:
    with needs_extra("gguf"):
        import gguf  # noqa: F401, PLC0415 - transformers' own message does not name the extra
    options: dict[str, Any] = {"gguf_file": packed.name, "local_files_only": True}
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            packed.parent, dtype=torch.float32, **options
        )
        tokenizer: Any = AutoTokenizer.from_pretrained(packed.parent, **options)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise WeightsError(
            f"{packed}: not readable as a GGUF model ({error!s:.200}). Get it again."
        ) from error
    # No longer packed: readers would look for the file that this names.
    del model.config.quantization_config
    model.hf_quantizer = None
    plain.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=plain.parent) as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        _leave_out_invented(Path(folder), len(model.get_input_embeddings().weight))
        shutil.rmtree(plain, ignore_errors=True)
        Path(folder).replace(plain)
        Path(folder).mkdir()  # for the context to remove


def _leave_out_invented(folder: Path, n_rows: int) -> None:
    """Leave out tokens that transformers adds ("<|endoftext|>") where the file has none.

    Args:
        folder: with `tokenizer.json`.
        n_rows: of the embedding.
    """
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["added_tokens"] = [token for token in content["added_tokens"] if token["id"] < n_rows]
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
