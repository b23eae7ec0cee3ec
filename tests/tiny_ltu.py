"""A tiny LTU and a tiny LTU-AS on disk, in the formats in which their authors publish them."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from tests.golden_ltu import FOLDER, character_tokenizer, tiny_base, tiny_trainable
from tests.golden_ltuas import tiny_trainable as tiny_trainable_as
from tests.golden_ltuas import whisper_model


def write_base(folder: Path, *, with_sound: bool = True) -> Path:
    """A LLaMA's folder with a tokenizer of single characters.

    With LTU's sound half as in the authors' `vicuna_ltu`, or without as on the hub.
    """
    character_tokenizer().save_pretrained(folder)
    tensors = {n: t for n, t in tiny_base().items() if with_sound or "audio" not in n}
    save_file(tensors, folder / "model.safetensors")
    config = json.loads((FOLDER / "tiny_config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def write_checkpoint(path: Path) -> Path:
    """The trained file of an LTU: a flat dictionary, saved by torch."""
    torch.save(tiny_trainable(), path)
    return path


def write_checkpoint_as(path: Path) -> Path:
    """The trained file of an LTU-AS."""
    torch.save(tiny_trainable_as(), path)
    return path


def write_whisper(folder: Path) -> Path:
    """A Whisper's folder of 32 blocks, decoder included, as transformers saves it."""
    whisper_model(width=64, n_blocks=32).save_pretrained(folder)
    return folder
