"""An LTU from files: as its authors publish them, or from a converted folder."""

import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from audioprobe import __version__
from audioprobe.errors import WeightsError
from audioprobe.io.json_codec import from_json, to_json
from audioprobe.models.causal_lm.files import read_folder, read_json, read_tensors
from audioprobe.models.causal_lm.gguf import plain_folder
from audioprobe.models.causal_lm.tokenization import refuse_ids_beyond
from audioprobe.models.ltu.assembly import assemble, build, config_of, join, untrained
from audioprobe.models.ltu.network import LTUConfig, LTUNetwork
from audioprobe.models.ltu.published import AUTHORS, published
from audioprobe.models.ltu.training_data import read_training_data
from audioprobe.training_data import TrainingData
from audioprobe.types import ComponentInfo, Option
from audioprobe.weights import Weights, resolve

CARD = "ltu.json"  # what tells a converted folder from others
FORMAT = 1
TOKENIZER, WHISPER = "tokenizer", "whisper"  # subfolders
ADAPTER = "adapter.safetensors"  # what was trained, without the base
MINI = Path(__file__).parents[2] / "mini"

# Of a LLaMA's config.json: what describes the file, not the model.
_NOT_SIZES = (
    "architectures",
    "model_type",
    "transformers_version",
    "torch_dtype",
    "dtype",
    "_name_or_path",
)

_SIZES = ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")


@dataclass(frozen=True, slots=True)
class Origin:
    """What a model was made from.

    Attributes:
        checkpoint: name of the trained file.
        sha256: of that file.
        base: name of the LLaMA's folder, or its name on the hub.
        base_revision: hash over the files of the base; "" where its weights are in the checkpoint.
    """

    checkpoint: str
    sha256: str
    base: str
    base_revision: str


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a converted folder says of itself.

    Attributes:
        format: of the folder.
        audioprobe: version that wrote it.
        origin: what it was made from.
        config: sizes of the network.
    """

    format: int
    audioprobe: str
    origin: Origin
    config: LTUConfig


@dataclass(frozen=True, slots=True, eq=False)
class LTUCheckpoint:
    """What was read, on the CPU, in the number formats of the files.

    Attributes:
        net: the network.
        tokenizer: of the base.
        origin: what the model was made from.
        revision: hash of what was read.
        whisper: the folder of an LTU-AS's Whisper, where it is known.
        training_data: recordings that the model was trained on; None where they are not known.
    """

    net: LTUNetwork
    tokenizer: Any
    origin: Origin
    revision: str
    whisper: Path | None = None
    training_data: TrainingData | None = None

    def info(self, options: Mapping[str, Option]) -> ComponentInfo:
        """For the provenance of results."""
        name = f"LTU {Path(self.origin.checkpoint).stem}"
        return ComponentInfo(
            "language_model", name, self.revision, {**asdict(self.origin), **options}
        )


def write_card(folder: Path, origin: Origin, config: LTUConfig) -> None:
    """What a folder says of itself, beside its weights."""
    card = ModelCard(FORMAT, __version__, origin, config)
    (folder / CARD).write_text(to_json(card) + "\n", encoding="utf-8")


def load_ltu(name: str | Path, base: str | Path | None = None) -> LTUCheckpoint:
    """Read a published checkpoint and its base, or a converted folder.

    Args:
        name: the trained file; or a converted folder, local or on the hub.
        base: for a trained file, folder or hub name of the LLaMA; a folder of adapters has its own
            base on its card, which this replaces.

    Raises:
        WeightsError: if something is missing or damaged, or does not belong together; says what a
            published model needs.
    """
    path = MINI if name == MINI.name else Path(name).expanduser()
    if path.is_file():
        return load_published(path, base)
    if base is not None and not path.is_dir():
        raise WeightsError(f"{name}: no such file. Expected {_known(str(name))}.")
    if not path.is_dir() and (known := published(str(name))):
        raise WeightsError(f"{known.needs()}")
    return _read_converted(resolve(str(path if path.is_dir() else name)).folder, base)


def load_published(checkpoint: Path, base: str | Path | None) -> LTUCheckpoint:
    """Read a trained file, and the LLaMA that it was trained on.

    Raises:
        WeightsError: as for `load_ltu`.
    """
    if base is None:
        raise WeightsError(
            f"{checkpoint.name}: a trained file needs base=..., folder or hub name of the LLaMA "
            'that it was trained on: "lmsys/vicuna-7b-v1.1" for LTU-7B. (A folder written by '
            "`audioprobe convert` needs none.)"
        )
    weights = resolve(str(base), pickles=True)
    folder = plain_folder(weights)
    llama = _llama_config(folder)
    trained = read_tensors(checkpoint)
    whole = any(name.endswith("embed_tokens.weight") for name in trained)
    parts = [trained] if whole else [read_folder(folder), trained]
    config = config_of(llama, *parts)
    net = assemble(config, *parts, source=str(checkpoint))
    with checkpoint.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    origin = Origin(
        checkpoint.name, digest, _base_name(base, weights), "" if whole else weights.revision()
    )
    return LTUCheckpoint(net, _read_tokenizer(folder, net), origin, digest[:16])


def init_ltu(base: str | Path, sizes: Mapping[str, Any], *, seed: int) -> LTUCheckpoint:
    """An LTU to be trained: a LLaMA that was, with an audio half and adapters that were not.

    Args:
        base: folder or hub name of the LLaMA.
        sizes: of `LTUConfig`, apart from the LLaMA's.
        seed: of what is new.

    Raises:
        WeightsError: if the base is not there, or is no LLaMA.
    """
    weights = resolve(str(base), pickles=True)
    folder = plain_folder(weights)
    config = LTUConfig(llama=_llama_config(folder), **sizes)
    net = join(config, read_folder(folder), untrained(config, seed), source=str(base))
    origin = Origin("", "", _base_name(base, weights), weights.revision())
    return LTUCheckpoint(net, _read_tokenizer(folder, net), origin, "")


def _base_name(base: str | Path, weights: Weights) -> str:
    """What a card calls a base: a folder by its last name, for the rest is this machine's."""
    return Path(base).name if weights.origin == "path" else str(base)


def _read_converted(folder: Path, base: str | Path | None) -> LTUCheckpoint:
    if not (folder / CARD).is_file():
        raise WeightsError(
            f"{folder}: no {CARD}, so it is no converted LTU. Expected {_known(folder.name)}."
        )
    content = read_json(folder / CARD, "a folder written by `audioprobe convert`")
    if content.get("format") != FORMAT:
        raise WeightsError(
            f"{folder / CARD}: format {content.get('format')!r}, and this version of audioprobe "
            f"reads format {FORMAT}. Convert the checkpoint again."
        )
    card = from_json(ModelCard, (folder / CARD).read_text(encoding="utf-8"))
    if (folder / ADAPTER).is_file():
        return _read_adapter(folder, card, base)
    net = build(card.config, read_folder(folder), source=str(folder))
    whisper = folder / WHISPER
    return LTUCheckpoint(
        net,
        _read_tokenizer(folder / TOKENIZER, net),
        card.origin,
        resolve(str(folder)).revision(),
        whisper if whisper.is_dir() else None,
        read_training_data(folder, card.origin.checkpoint),
    )


def _read_adapter(folder: Path, card: ModelCard, named: str | Path | None) -> LTUCheckpoint:
    """What was trained, over the base that the card names, or that is named instead."""
    base = resolve(str(named or card.origin.base))
    plain = plain_folder(base)
    _refuse_other_sizes(card.config.llama, _llama_config(plain), folder.name, str(base.folder))
    if base.revision() != card.origin.base_revision:
        warnings.warn(
            f"{folder.name} was trained on {card.origin.base} with the revision "
            f"{card.origin.base_revision}, and {base.folder} holds {base.revision()}: answers will "
            "differ from those that it was examined by.",
            stacklevel=2,
        )
    trained = {name: tensor.float() for name, tensor in read_tensors(folder / ADAPTER).items()}
    net = join(card.config, read_folder(plain), trained, source=str(folder))
    revision = resolve(str(folder)).revision()
    return LTUCheckpoint(
        net,
        _read_tokenizer(plain, net),
        card.origin,
        f"{revision}-{base.revision()}",
        training_data=read_training_data(folder, card.origin.checkpoint),
    )


def _refuse_other_sizes(
    trained: Mapping[str, Any], found: Mapping[str, Any], name: str, where: str
) -> None:
    differ = [
        f"{size} {found.get(size)} instead of {trained.get(size)}"
        for size in _SIZES
        if found.get(size) != trained.get(size)
    ]
    if differ:
        raise WeightsError(
            f"{where}: not the base of {name}: {', '.join(differ)}. Name the one that it was "
            "trained on."
        )


def _known(name: str) -> str:
    """What a name can be."""
    known = published(name)
    needed = f" {known.needs()}" if known else f" The authors publish theirs at {AUTHORS}"
    return (
        "a trained file of LTU (.bin, .safetensors) with base=..., or a folder written by "
        f"`audioprobe convert`.{needed}"
    )


def _read_tokenizer(folder: Path, net: LTUNetwork) -> Any:  # noqa: ANN401 - transformers has no types
    """The tokenizer in a folder, if the network has an embedding for each of its ids."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise WeightsError(
            f"{folder}: no tokenizer could be read ({error!s:.200}). Expected tokenizer.model or "
            "tokenizer.json beside the weights of the base."
        ) from error
    embedding: Any = net.llama.get_input_embeddings()
    refuse_ids_beyond(tokenizer, len(embedding.weight), str(folder))
    return tokenizer


def _llama_config(folder: Path) -> dict[str, Any]:
    config = read_json(folder / "config.json", "a LLaMA's folder")
    if config.get("model_type") != "llama":
        raise WeightsError(
            f"{folder / 'config.json'}: expected a LLaMA, found {config.get('model_type')!r}."
        )
    return {key: value for key, value in config.items() if key not in _NOT_SIZES}
