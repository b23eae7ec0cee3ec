"""What was trained of an LTU, as a small folder that loads over its base."""

import hashlib
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from audioprobe import __version__
from audioprobe.errors import InvalidInputError
from audioprobe.language_models._ltu_files import ADAPTER, CARD, FORMAT, Card, LtuFiles
from audioprobe.nets.ltu import LtuNet
from audioprobe.serialize import to_json


def trainable_parts(net: LtuNet) -> dict[str, Tensor]:
    """Audio half and adapters of a network, by name, without the LLaMA."""
    return {
        name: tensor
        for name, tensor in net.state_dict().items()
        if name.startswith("prefix.") or "lora_" in name
    }


def save_adapter(files: LtuFiles, out: str | Path, *, name: str) -> Path:
    """Write audio half and adapters in half precision, for `LTU.from_pretrained(out)`.

    Args:
        files: the model, and the base that it was trained on.
        out: the folder to write; must not exist yet.
        name: of the model.

    Returns:
        The folder, which appears only when it is whole.

    Raises:
        InvalidInputError: if `out` is there already.
    """
    folder = Path(out)
    if folder.exists():
        raise InvalidInputError(f"{folder}: is there already. Name a folder that is not.")
    partial = folder.with_name(f"{folder.name}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    halves = {
        key: tensor.to(torch.float16).contiguous()
        for key, tensor in trainable_parts(files.net).items()
    }
    save_file(halves, partial / ADAPTER)
    digest = hashlib.sha256((partial / ADAPTER).read_bytes()).hexdigest()
    origin = replace(files.origin, checkpoint=name, sha256=digest)
    card = Card(FORMAT, __version__, origin, files.net.config)
    (partial / CARD).write_text(to_json(card) + "\n", encoding="utf-8")
    partial.rename(folder)
    return folder
