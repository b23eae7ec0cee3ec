"""A tiny LTU and a tiny LTU-AS on disk, in the authors' formats."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from tests.golden_ltu import FOLDER, character_tokenizer, tiny_base, tiny_trainable
from tests.golden_ltuas import tiny_trainable as tiny_trainable_as
from tests.golden_ltuas import whisper_model


def write_base(folder: Path, *, with_sound: bool = True) -> Path:
    """Write a folder with a LLaMA and a tokenizer of single characters.

    The folder has audio weights, as the authors' `vicuna_ltu`, or only the LLaMA, as on the hub.
    """
    character_tokenizer().save_pretrained(folder)
    tensors = {n: t for n, t in tiny_base().items() if with_sound or "audio" not in n}
    save_file(tensors, folder / "model.safetensors")
    config = json.loads((FOLDER / "tiny_config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def write_checkpoint(path: Path) -> Path:
    """Write the checkpoint file of an LTU: a flat dictionary, saved by torch."""
    torch.save(tiny_trainable(), path)
    return path


def write_checkpoint_as(path: Path) -> Path:
    """Write the checkpoint file of an LTU-AS."""
    torch.save(tiny_trainable_as(), path)
    return path


def write_whisper(folder: Path) -> Path:
    """Write a folder with a Whisper of 32 blocks and a decoder, as transformers saves it."""
    whisper_model(width=64, n_blocks=32).save_pretrained(folder)
    return folder
