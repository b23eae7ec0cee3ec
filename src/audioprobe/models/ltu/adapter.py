"""What was trained of an LTU, as a small folder that loads over its base."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from audioprobe.io.atomic import staged_directory
from audioprobe.models.ltu.checkpoint import (
    ADAPTER,
    LTUCheckpoint,
    write_card,
)
from audioprobe.models.ltu.network import LTUNetwork
from audioprobe.models.ltu.training_data import write_training_data
from audioprobe.types import Clip


def trainable_parts(net: LTUNetwork) -> dict[str, Tensor]:
    """Audio half and adapters of a network, by name, without the LLaMA."""
    return {
        name: tensor
        for name, tensor in net.state_dict().items()
        if name.startswith("prefix.") or "lora_" in name
    }


def save_adapter(
    files: LTUCheckpoint, out: str | Path, *, name: str, learned_from: Iterable[Clip] = ()
) -> Path:
    """Write audio half and adapters in half precision, for `LTU.from_pretrained(out)`.

    Args:
        files: the model, and the base that it was trained on.
        out: the folder to write; must not exist yet.
        name: of the model.
        learned_from: clips that it was trained on, besides those of `files.training_data`. Their
            hashes go into the folder, so that results say which of their clips are among them.

    Returns:
        The folder, which appears only when it is whole.

    Raises:
        InvalidInputError: if `out` is there already.
        AudioReadError: if a clip that it learned from cannot be read.
    """
    halves = {
        key: tensor.to(torch.float16).contiguous()
        for key, tensor in trainable_parts(files.net).items()
    }
    with staged_directory(out) as folder:
        save_file(halves, folder / ADAPTER)
        digest = hashlib.sha256((folder / ADAPTER).read_bytes()).hexdigest()
        origin = replace(files.origin, checkpoint=name, sha256=digest)
        write_card(folder, origin, files.net.config)
        write_training_data(files.training_data, folder, name, learned_from)
    return Path(out)
