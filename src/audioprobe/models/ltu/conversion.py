"""An LTU as one folder of safetensors that loads in one call and says where it comes from."""

import json
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from huggingface_hub import save_torch_state_dict
from safetensors.torch import save_file

from audioprobe.io.atomic import staged_directory
from audioprobe.models.ltu.audio_frontend import WHISPER, read_whisper
from audioprobe.models.ltu.checkpoint import (
    TOKENIZER,
    LTUCheckpoint,
    load_published,
    write_card,
)
from audioprobe.models.ltu.checkpoint import WHISPER as WHISPER_FOLDER
from audioprobe.models.ltu.tltr import TltrConfig
from audioprobe.models.ltu.training_data import write_training_data
from audioprobe.types import Clip
from audioprobe.weights import resolve

SHARD = "5GB"  # of the weights, per file


def convert_ltu(
    checkpoint: str | Path,
    out: str | Path,
    *,
    base: str | Path,
    whisper: str | Path | None = None,
) -> Path:
    """Write a published LTU or LTU-AS, base included, as one folder for `LTU.from_pretrained`.

    Numbers stay in the format that they have. The folder appears under its name only when it is
    whole: a conversion that is killed leaves `OUT.partial`, which the next one replaces.

    Args:
        checkpoint: the trained file (".bin", ".safetensors").
        out: the folder to write; must not exist yet.
        base: folder or hub name of the LLaMA that it was trained on.
        whisper: for LTU-AS, folder or hub name of the Whisper that it hears by; None is
            "openai/whisper-large".

    Returns:
        The folder.

    Raises:
        InvalidInputError: if `out` is there already.
        WeightsError: if a file is missing or damaged, or checkpoint and base do not belong
            together.
    """
    with staged_directory(out) as folder:
        files = load_published(Path(checkpoint).expanduser(), base)
        if isinstance(files.net.config.audio, TltrConfig):
            _write_whisper(whisper or WHISPER, folder / WHISPER_FOLDER)
        _write(files, folder)
    return Path(out).expanduser()


def save_ltu(
    files: LTUCheckpoint, out: str | Path, *, name: str, learned_from: Iterable[Clip] = ()
) -> Path:
    """Write all of an LTU, its base included, as one folder for `LTU.from_pretrained`.

    A training that changed the language model's own weights is kept by this alone; what
    `adapter.save_adapter` writes is smaller, and belongs to the base as it was.

    Args:
        files: the model; numbers stay in the format that they have.
        out: the folder to write; must not exist yet. It appears only when it is whole.
        name: of the model.
        learned_from: as for `adapter.save_adapter`.

    Returns:
        The folder.

    Raises:
        InvalidInputError: if `out` is there already.
        AudioReadError: if a clip that it learned from cannot be read.
    """
    with staged_directory(out) as folder:
        if files.whisper is not None:
            shutil.copytree(files.whisper, folder / WHISPER_FOLDER)
        origin = replace(files.origin, checkpoint=name, sha256="")
        _write(replace(files, origin=origin), folder)
        write_training_data(files.training_data, folder, name, learned_from)
    return Path(out).expanduser()


def _write(files: LTUCheckpoint, folder: Path) -> None:
    files.tokenizer.save_pretrained(folder / TOKENIZER)
    save_torch_state_dict(files.net.state_dict(), folder, max_shard_size=SHARD)
    write_card(folder, files.origin, files.net.config)


def _write_whisper(whisper: str | Path, folder: Path) -> None:
    """The encoder alone, as transformers names it."""
    source = resolve(str(whisper)).folder
    features = read_whisper(source)
    folder.mkdir()
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    save_file(features.state_dict(), folder / "model.safetensors")
