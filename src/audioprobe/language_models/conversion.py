"""An LTU as one folder of safetensors that loads in one call and says where it comes from."""

import json
import shutil
from pathlib import Path

from huggingface_hub import save_torch_state_dict
from safetensors.torch import save_file

from audioprobe import __version__
from audioprobe.errors import InvalidInputError
from audioprobe.language_models._ears import WHISPER, read_whisper
from audioprobe.language_models._ltu_files import CARD, FORMAT, TOKENIZER, Card, read_published
from audioprobe.language_models._ltu_files import WHISPER as WHISPER_FOLDER
from audioprobe.nets.tltr import TltrConfig
from audioprobe.serialize import to_json
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
    whole: a conversion that is broken off leaves `OUT.partial`, which the next one replaces.

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
    folder = Path(out).expanduser()
    if folder.exists():
        raise InvalidInputError(f"{folder}: is there already. Name a folder that is not.")
    files = read_published(Path(checkpoint).expanduser(), base)
    partial = folder.with_name(f"{folder.name}.partial")
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir(parents=True)
    config = files.net.config
    if isinstance(config.audio, TltrConfig):
        _write_whisper(whisper or WHISPER, partial / WHISPER_FOLDER)
    files.tokenizer.save_pretrained(partial / TOKENIZER)
    save_torch_state_dict(files.net.state_dict(), partial, max_shard_size=SHARD)
    card = Card(FORMAT, __version__, files.origin, config)
    (partial / CARD).write_text(to_json(card) + "\n", encoding="utf-8")
    partial.rename(folder)
    return folder


def _write_whisper(whisper: str | Path, folder: Path) -> None:
    """The encoder alone, as transformers names it."""
    source = resolve(str(whisper)).folder
    features = read_whisper(source)
    folder.mkdir()
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    save_file(features.state_dict(), folder / "model.safetensors")
