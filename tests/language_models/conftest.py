"""A tiny LTU and a tiny LTU-AS on disk, in the formats in which their authors publish them."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tests.golden_ltu import FOLDER, character_tokenizer, tiny_base, tiny_trainable
from tests.golden_ltuas import tiny_trainable as tiny_trainable_as
from tests.golden_ltuas import whisper_model


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LLaMA's folder with a tokenizer of single characters."""
    folder = tmp_path_factory.mktemp("bases") / "vicuna_tiny"
    character_tokenizer().save_pretrained(folder)
    save_file(tiny_base(), folder / "model.safetensors")
    config = json.loads((FOLDER / "tiny_config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="session")
def base_as(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without the sound half of LTU, as the hub has it."""
    folder = tmp_path_factory.mktemp("bases") / "vicuna_tiny_as"
    folder.mkdir()
    for file in base.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    text = {name: value for name, value in tiny_base().items() if "audio" not in name}
    save_file(text, folder / "model.safetensors")
    return folder


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained file as published: a flat dictionary, saved by torch."""
    path = tmp_path_factory.mktemp("published") / "ltu_tiny.bin"
    torch.save(tiny_trainable(), path)
    return path


@pytest.fixture(scope="session")
def checkpoint_as(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained file of an LTU-AS."""
    path = tmp_path_factory.mktemp("published") / "ltuas_tiny.bin"
    torch.save(tiny_trainable_as(), path)
    return path


@pytest.fixture(scope="session")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Whisper's folder of 32 blocks, decoder included, as transformers saves it."""
    folder = tmp_path_factory.mktemp("whispers") / "whisper-tiny"
    whisper_model(width=64, n_blocks=32).save_pretrained(folder)
    return folder
