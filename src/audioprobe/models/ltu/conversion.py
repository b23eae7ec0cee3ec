"""Write an LTU to one folder of safetensors that `LTU.from_pretrained` loads."""

import json
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from huggingface_hub import save_torch_state_dict
from safetensors.torch import save_file

from audioprobe.io.atomic import staged_directory
from audioprobe.models.ltu.audio_encoder import TltrConfig
from audioprobe.models.ltu.audio_frontend import WHISPER
from audioprobe.models.ltu.checkpoint import TOKENIZER, LTUCheckpoint, load_published
from audioprobe.models.ltu.checkpoint import WHISPER as WHISPER_FOLDER
from audioprobe.models.ltu.model_card import write_card, write_training_data
from audioprobe.models.ltu.whisper_frontend import load_whisper
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
    """Write a published LTU or LTU-AS and its base to one folder for `LTU.from_pretrained`.

    Data types do not change. The folder appears only when it is complete: an interrupted conversion
    leaves a folder `OUT.partial`, which the next conversion replaces.

    Args:
        checkpoint: file of a published checkpoint (".bin", ".safetensors").
        out: folder to create.
        base: folder or hub name of the LLaMA that the checkpoint was trained on.
        whisper: for LTU-AS, folder or hub name of its Whisper model; None means
            "openai/whisper-large".

    Returns:
        The path of the folder.

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
    """Write an LTU and its base to one folder for `LTU.from_pretrained`.

    Use this function if the weights of the language model were trained; otherwise `save_adapter`
    writes a smaller folder.

    Args:
        checkpoint: the model; its data types do not change.
        out: folder to create; it appears only when it is complete.
        name: name of the model.
        training_clips: as for `save_adapter`.

    Returns:
        The path of the folder.

    Raises:
        InvalidInputError: if `out` exists.
        AudioReadError: if a training clip cannot be read.
    """
    with staged_directory(out) as folder:
        if checkpoint.whisper is not None:
            shutil.copytree(checkpoint.whisper, folder / WHISPER_FOLDER)
        origin = replace(checkpoint.origin, checkpoint=name, sha256="")
        _write_model(replace(checkpoint, origin=origin), folder)
        write_training_data(checkpoint.training_data, folder, name, training_clips)
    return Path(out).expanduser()


def _write_model(checkpoint: LTUCheckpoint, folder: Path) -> None:
    checkpoint.tokenizer.save_pretrained(folder / TOKENIZER)
    save_torch_state_dict(checkpoint.net.state_dict(), folder, max_shard_size=SHARD_SIZE)
    write_card(folder, checkpoint.origin, checkpoint.net.config)


def _write_whisper(whisper: str | Path, folder: Path) -> None:
    """Write the encoder of a Whisper model, with transformers' parameter names."""
    source = resolve(str(whisper)).folder
    features = load_whisper(source)
    folder.mkdir()
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    save_file(features.state_dict(), folder / "model.safetensors")
