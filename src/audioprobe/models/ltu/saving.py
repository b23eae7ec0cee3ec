"""Write an LTU to a folder that `LTU.from_pretrained` loads: the whole model, or without its LLaMA.

A folder also has the model card and, if the model was trained on files, a table of these files.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import torch
from huggingface_hub import save_torch_state_dict
from safetensors.torch import save_file

from audioprobe import __version__
from audioprobe.audio.training_clips import recordings_of
from audioprobe.io.atomic import staged_directory
from audioprobe.io.json_codec import to_json
from audioprobe.models.ltu.audio_encoder import TltrConfig
from audioprobe.models.ltu.checkpoint import (
    ADAPTER,
    CARD,
    FORMAT,
    TOKENIZER,
    WHISPER_FOLDER,
    LTUCheckpoint,
    ModelCard,
    load_published,
)
from audioprobe.models.ltu.whisper_frontend import WHISPER, load_whisper
from audioprobe.training_data import TRAINING_DATA, TrainingData
from audioprobe.types import Clip
from audioprobe.weights import resolve

SHARD_SIZE = "5GB"  # maximum size of a weights file


def convert_ltu(
    checkpoint: str | Path,
    out: str | Path,
    *,
    base: str | Path,
    whisper: str | Path | None = None,
) -> Path:
    """Write a published LTU or LTU-AS and its base to one folder; return the path of the folder.

    Data types do not change. The folder appears only when it is complete: an interrupted conversion
    leaves a folder `OUT.partial`, which the next conversion replaces.

    Args:
        checkpoint: file of a published checkpoint (".bin", ".safetensors").
        out: folder to create.
        base: folder or hub name of the LLaMA that the checkpoint was trained on.
        whisper: for LTU-AS, folder or hub name of its Whisper model; None means
            "openai/whisper-large".

    Raises:
        InvalidInputError: if `out` exists.
        WeightsError: if a file is missing or damaged, or if checkpoint and base do not fit
            together.
    """
    with staged_directory(out) as folder:
        loaded = load_published(Path(checkpoint).expanduser(), base)
        if isinstance(loaded.net.config.audio, TltrConfig):
            _write_whisper(whisper or WHISPER, folder / WHISPER_FOLDER)
        _write_model(loaded, folder)
    return Path(out).expanduser()


def save_ltu(
    checkpoint: LTUCheckpoint, out: str | Path, *, name: str, training_clips: Iterable[Clip] = ()
) -> Path:
    """Write an LTU and its base to one folder; return the path of the folder.

    Use this function if the weights of the language model were trained; otherwise `save_adapter`
    writes a smaller folder.

    Args:
        checkpoint: the model; its data types do not change.
        out: folder to create; it appears only when it is complete.
        name: name of the model.
        training_clips: clips that the model was trained on, in addition to
            `checkpoint.training_data`. The folder stores the hashes of their files, so that results
            can list which clips were used in training.

    Raises:
        InvalidInputError: if `out` exists.
        AudioReadError: if a training clip cannot be read.
    """
    with staged_directory(out) as folder:
        if checkpoint.whisper is not None:
            shutil.copytree(checkpoint.whisper, folder / WHISPER_FOLDER)
        origin = replace(checkpoint.origin, checkpoint=name, sha256="")
        _write_model(replace(checkpoint, origin=origin), folder)
        _write_training_data(checkpoint.training_data, folder, name, training_clips)
    return Path(out).expanduser()


def save_adapter(
    checkpoint: LTUCheckpoint, out: str | Path, *, name: str, training_clips: Iterable[Clip] = ()
) -> Path:
    """Write the audio prefix and LoRA of an LTU to a folder in float16; return the folder's path.

    The audio prefix is the part of the network that turns audio into tokens of the LLaMA.
    `LTU.from_pretrained(out)` loads the base, which is the LLaMA, and then this folder.

    Args:
        checkpoint: the model; its `origin` names the base.
        out: folder to create; it appears only when it is complete.
        name: name of the model.
        training_clips: clips that the model was trained on, in addition to
            `checkpoint.training_data`.

    Raises:
        InvalidInputError: if `out` exists.
        AudioReadError: if a training clip cannot be read.
    """
    tensors = {
        key: tensor.to(torch.float16).contiguous()
        for key, tensor in checkpoint.net.state_dict().items()
        if key.startswith("prefix.") or "lora_" in key
    }
    with staged_directory(out) as folder:
        save_file(tensors, folder / ADAPTER)
        digest = hashlib.sha256((folder / ADAPTER).read_bytes()).hexdigest()
        origin = replace(checkpoint.origin, checkpoint=name, sha256=digest)
        _write_card(replace(checkpoint, origin=origin), folder)
        _write_training_data(checkpoint.training_data, folder, name, training_clips)
    return Path(out)


def _write_model(checkpoint: LTUCheckpoint, folder: Path) -> None:
    """Write tokenizer, weights and model card."""
    checkpoint.tokenizer.save_pretrained(folder / TOKENIZER)
    save_torch_state_dict(checkpoint.net.state_dict(), folder, max_shard_size=SHARD_SIZE)
    _write_card(checkpoint, folder)


def _write_card(checkpoint: LTUCheckpoint, folder: Path) -> None:
    """Write the model card: origin and configuration of the model."""
    card = ModelCard(FORMAT, __version__, checkpoint.origin, checkpoint.net.config)
    (folder / CARD).write_text(to_json(card) + "\n", encoding="utf-8")


def _write_training_data(
    known: TrainingData | None, folder: Path, name: str, clips: Iterable[Clip]
) -> None:
    """Write a table of training recordings: those of `known` and those of `clips`."""
    recordings = recordings_of(clips)
    if known is not None or recordings:
        (known or TrainingData(name, ())).joined(recordings).to_csv(folder / TRAINING_DATA)


def _write_whisper(whisper: str | Path, folder: Path) -> None:
    """Write the encoder and configuration of a Whisper model to a new folder."""
    source = resolve(str(whisper)).folder
    features = load_whisper(source)
    folder.mkdir()
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    save_file(features.state_dict(), folder / "model.safetensors")
