"""Load an LTU from a published checkpoint or from a converted folder, or initialise a new LTU.

An LTU consists of a base (the LLaMA with its tokenizer) and of trained weights for this base. The
authors publish both separately; `audioprobe convert` writes them to one folder, the converted
folder. Its model card, the file ltu.json, describes the model.
"""

import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from audioprobe.errors import WeightsError, did_you_mean
from audioprobe.io.json_codec import from_json
from audioprobe.models.causal_lm.configuration import LOADING_ERRORS, read_json
from audioprobe.models.causal_lm.loading import plain_folder, read_folder, read_tensors
from audioprobe.models.causal_lm.tokenization import refuse_ids_beyond
from audioprobe.models.ltu.assembly import (
    build_from_published,
    build_network,
    infer_config,
    initial_tensors,
)
from audioprobe.models.ltu.network import LTUConfig, LTUNetwork
from audioprobe.models.ltu.published import AUTHORS, published
from audioprobe.models.ltu.shipped import shipped_models
from audioprobe.training_data import TRAINING_DATA, TrainingData
from audioprobe.types import ComponentInfo, Option
from audioprobe.weights import Weights, resolve

TOKENIZER, WHISPER_FOLDER = "tokenizer", "whisper"  # subfolders
ADAPTER = "adapter.safetensors"  # contains audio prefix and LoRA, not the base
CARD = "ltu.json"  # model card; a folder with this file is a converted folder
FORMAT = 1

# Entries of a LLaMA's config.json that describe the file, not the model.
_FILE_ENTRIES = (
    *("architectures", "model_type", "transformers_version"),
    *("torch_dtype", "dtype", "_name_or_path"),
)
_BASE_SIZES = ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")


@dataclass(frozen=True, slots=True)
class Origin:
    """The files that a model was made from.

    Attributes:
        checkpoint: name of the checkpoint file.
        sha256: hash of the checkpoint file.
        base: hub name of the LLaMA, or name of its folder.
        base_revision: hash of the base's files; "" if the checkpoint contains all weights.
    """

    checkpoint: str
    sha256: str
    base: str
    base_revision: str


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Description of the model in a converted folder.

    Attributes:
        format: version of the folder's layout.
        audioprobe: version of audioprobe that wrote the folder.
        origin: files that the model was made from.
        config: configuration of the network.
    """

    format: int
    audioprobe: str
    origin: Origin
    config: LTUConfig


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LTUCheckpoint:
    """A loaded LTU on the CPU, in the data types of its files.

    Attributes:
        net: the network.
        tokenizer: tokenizer of the base.
        origin: names and hashes of the files that the model was made from.
        revision: hash of the files that were read.
        whisper: folder of the Whisper encoder of an LTU-AS; None if the model's folder contains
            no Whisper.
        training_data: recordings that the model was trained on; None if unknown.
    """

    net: LTUNetwork
    tokenizer: Any
    origin: Origin
    revision: str
    whisper: Path | None = None
    training_data: TrainingData | None = None

    def info(self, options: Mapping[str, Option]) -> ComponentInfo:
        """Return name, file hashes and `options` of the model, to store with results."""
        name = f"LTU {Path(self.origin.checkpoint).stem}"
        return ComponentInfo(
            "language_model", name, self.revision, {**asdict(self.origin), **options}
        )


def load_ltu(name: str | Path, base: str | Path | None = None) -> LTUCheckpoint:
    """Load an LTU from a published checkpoint and its base, or from a converted folder.

    Args:
        name: file of a published checkpoint, a converted folder (local path or hub name), or the
            name of a small LTU that is installed with audioprobe: "mini" or "mini-v1".
        base: folder or hub name of the LLaMA. Required for a published checkpoint. For a folder
            written by `save_adapter`, it replaces the base that the folder names.

    Raises:
        WeightsError: if a file is missing or damaged, or if checkpoint and base do not fit
            together. If `name` is the name of a published model, the message lists the files to
            download.
    """
    path = shipped_models().get(str(name)) or Path(name).expanduser()
    if path.is_file():
        return load_published(path, base)
    if base is not None and not path.is_dir():
        raise WeightsError(f"{name}: no such file. Expected {_expected(str(name))}.")
    if not path.is_dir() and (known := published(str(name))):
        raise WeightsError(known.needs())
    if not path.is_dir() and (hint := did_you_mean(str(name), shipped_models())):
        raise WeightsError(f"{name}: no such model.{hint}")
    return _load_converted(resolve(str(path if path.is_dir() else name)).folder, base)


def load_published(checkpoint: Path, base: str | Path | None) -> LTUCheckpoint:
    """Load a published checkpoint and the LLaMA that it was trained on.

    Raises:
        WeightsError: if a file is missing or damaged, or if checkpoint and base do not fit
            together.
    """
    if base is None:
        raise WeightsError(
            f"{checkpoint.name}: a checkpoint file needs base=..., the folder or hub name of the "
            'LLaMA that it was trained on, for example "lmsys/vicuna-7b-v1.1" for LTU-7B. '
            "(A folder written by `audioprobe convert` needs no base.)"
        )
    weights = resolve(str(base), pickles=True)
    folder = plain_folder(weights)
    llama = _llama_config(folder)
    trained = read_tensors(checkpoint)
    full = any(name.endswith("embed_tokens.weight") for name in trained)
    parts = [trained] if full else [read_folder(folder), trained]
    net = build_from_published(infer_config(llama, *parts), *parts, source=str(checkpoint))
    with checkpoint.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    revision = "" if full else weights.revision()
    return LTUCheckpoint(
        net=net,
        tokenizer=_load_tokenizer(folder, net),
        origin=Origin(checkpoint.name, digest, weights.display_name(base), revision),
        revision=digest[:16],
    )


def init_ltu(base: str | Path, sizes: Mapping[str, Any], *, seed: int) -> LTUCheckpoint:
    """Build an LTU to train: a pretrained LLaMA with an untrained audio prefix and untrained LoRA.

    Args:
        base: folder or hub name of the LLaMA.
        sizes: fields of `LTUConfig` other than `llama`.
        seed: seed of the untrained parameters.

    Raises:
        WeightsError: if the base is missing or is not a LLaMA.
    """
    weights = resolve(str(base), pickles=True)
    folder = plain_folder(weights)
    config = LTUConfig(llama=_llama_config(folder), **sizes)
    trained = initial_tensors(config, seed)
    net = build_from_published(config, read_folder(folder), trained=trained, source=str(base))
    return LTUCheckpoint(
        net=net,
        tokenizer=_load_tokenizer(folder, net),
        origin=Origin("", "", weights.display_name(base), weights.revision()),
        revision="",
    )


def _load_converted(folder: Path, base: str | Path | None) -> LTUCheckpoint:
    """Load a folder that contains a model card; `base` replaces the base that the card names."""
    path = folder / CARD
    if not path.is_file():
        raise WeightsError(
            f"{folder}: {CARD} is missing, so this is not a converted LTU. Expected "
            f"{_expected(folder.name)}."
        )
    version = read_json(path, "a folder written by `audioprobe convert`").get("format")
    if version != FORMAT:
        raise WeightsError(
            f"{path}: format {version!r}, but this version of audioprobe reads format {FORMAT}. "
            "Convert the checkpoint again."
        )
    card = from_json(ModelCard, path.read_text(encoding="utf-8"))
    revision, whisper = resolve(str(folder)).revision(), folder / WHISPER_FOLDER
    if (folder / ADAPTER).is_file():
        weights = resolve(str(base or card.origin.base))
        _check_base(folder, card, weights)
        plain = plain_folder(weights)
        trained = {name: tensor.float() for name, tensor in read_tensors(folder / ADAPTER).items()}
        net = build_from_published(
            card.config, read_folder(plain), trained=trained, source=str(folder)
        )
        tokenizer = _load_tokenizer(plain, net)
        revision = f"{revision}-{weights.revision()}"
    else:
        net = build_network(card.config, read_folder(folder), source=str(folder))
        tokenizer = _load_tokenizer(folder / TOKENIZER, net)
    table, stem = folder / TRAINING_DATA, Path(card.origin.checkpoint).stem
    return LTUCheckpoint(
        net=net,
        tokenizer=tokenizer,
        origin=card.origin,
        revision=revision,
        whisper=whisper if whisper.is_dir() else None,
        training_data=TrainingData.from_csv(table, stem) if table.is_file() else None,
    )


def _check_base(folder: Path, card: ModelCard, weights: Weights) -> None:
    """Raise `WeightsError` if a base has other sizes than the card; warn if its hash differs."""
    llama = _llama_config(plain_folder(weights))
    different = [
        f"{size} {llama.get(size)} instead of {card.config.llama.get(size)}"
        for size in _BASE_SIZES
        if llama.get(size) != card.config.llama.get(size)
    ]
    if different:
        raise WeightsError(
            f"{weights.folder}: not the base of {folder.name}: {', '.join(different)}. Pass the "
            "base that the adapters were trained on."
        )
    if weights.revision() != card.origin.base_revision:
        warnings.warn(
            f"{folder.name} was trained on {card.origin.base} with the revision "
            f"{card.origin.base_revision}, but {weights.folder} has the revision "
            f"{weights.revision()}. Responses will differ from those of the original model.",
            stacklevel=2,
        )


def _expected(name: str) -> str:
    """Return the end of an error message: the files that loading `name` requires."""
    known = published(name)
    source = f" {known.needs()}" if known else f" The authors publish checkpoints at {AUTHORS}"
    return (
        "a checkpoint file of LTU (.bin, .safetensors) with base=..., or a folder written by "
        f"`audioprobe convert`.{source}"
    )


def _load_tokenizer(folder: Path, net: LTUNetwork) -> Any:  # noqa: ANN401 - transformers has no types
    """Load the tokenizer in a folder, and check that the network has an embedding of each token."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (*LOADING_ERRORS, ImportError) as error:
        raise WeightsError(
            f"{folder}: no tokenizer could be read ({error!s:.200}). Expected tokenizer.model or "
            "tokenizer.json in the same folder as the weights of the base."
        ) from error
    embedding: Any = net.llama.get_input_embeddings()
    refuse_ids_beyond(tokenizer, len(embedding.weight), str(folder))
    return tokenizer


def _llama_config(folder: Path) -> dict[str, Any]:
    """Read the configuration of a LLaMA, without entries that describe the file."""
    config = read_json(folder / "config.json", "a LLaMA's folder")
    if config.get("model_type") != "llama":
        raise WeightsError(
            f"{folder / 'config.json'}: expected a LLaMA, found {config.get('model_type')!r}."
        )
    return {key: value for key, value in config.items() if key not in _FILE_ENTRIES}
