"""Targets: files of checkpoints (cards, configurations, tensors) and states of training runs."""

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from tests.fuzz.mutations import Inputs, damaged_bytes, damaged_json, damaged_tensors
from tests.fuzz.target import Target, file_target
from tests.models.encoders.test_linear_tagger import CLIPS, LABELS
from tests.rotation_model import WIDTH, RotationModel
from tests.tiny_ast import save_tiny_ast
from tests.tiny_chat_models import saved
from tests.tiny_ltu import write_base
from tests.tiny_tuning import tiny_checkpoint
from tests.training.test_trainer import SHORT, LineFit, batch_at

from audioprobe.audio.windowing import read_waveform
from audioprobe.interpretability.recording_files import create_array, open_array, read_card
from audioprobe.interpretability.tuned_lens import TunedLens, identity_of
from audioprobe.io.json_codec import to_json
from audioprobe.io.tensorflow_checkpoint import INDEX, read_variables
from audioprobe.models.chat.model import TransformersLM
from audioprobe.models.encoders.ast import AST
from audioprobe.models.encoders.linear_tagger import LinearTagger
from audioprobe.models.encoders.yamnet import YAMNet
from audioprobe.models.ltu.checkpoint import load_ltu
from audioprobe.models.ltu.saving import save_adapter, save_ltu
from audioprobe.models.tokenizers.kmeans import KMeansTokenizer
from audioprobe.small_ltu.building import MODEL, RECIPE, trained_model
from audioprobe.small_ltu.recipe import read_recipe
from audioprobe.training.trainer import STATE, train
from audioprobe.weights import YAMNET, resolve


@cache
def _home() -> Path:
    """Return a folder for models, which is removed when the process ends."""
    _HOMES.append(TemporaryDirectory(prefix="fuzz-models-"))
    return Path(_HOMES[-1].name)


_HOMES: list[TemporaryDirectory[str]] = []
_yamnet = cache(YAMNet)


@cache
def _base() -> Path:
    return write_base(_home() / "base", with_sound=False)


def _ltu(folder: Path) -> None:
    save_ltu(tiny_checkpoint(_base()), folder, name="tiny")


def _adapter(folder: Path) -> None:
    save_adapter(tiny_checkpoint(_base()), folder, name="tiny")


def _tagger(folder: Path) -> None:
    frames = list(_yamnet().encode(map(read_waveform, CLIPS)))
    targets = [[label in (clip.labels or ()) for label in LABELS] for clip in CLIPS]
    tagger = LinearTagger.fit(
        frames, targets, LABELS, encoder="yamnet", training_clips=CLIPS, penalty=0.01
    )
    tagger.save_pretrained(folder)


def _codebook(folder: Path) -> None:
    KMeansTokenizer.fit(_yamnet(), CLIPS[:6], 4, n_init=1).save_pretrained(folder)


def _ast(folder: Path) -> None:
    folder.mkdir()
    save_tiny_ast(folder)


def _chat(folder: Path) -> None:
    shutil.copytree(saved("llama"), folder)


def _trained(folder: Path) -> None:
    write_base(folder / MODEL)
    (folder / RECIPE).write_text(to_json(read_recipe("quick")))


def _lens(folder: Path) -> None:
    folder.mkdir()
    model = RotationModel()
    matrices = {site: torch.eye(WIDTH) for site in model.sites[:-1]}
    offsets = {site: torch.zeros(WIDTH) for site in matrices}
    lens = TunedLens(identity_of(model), ("audio",), model.sites[-1], matrices, offsets)
    lens.save(folder / "lens.safetensors")


def _variables(folder: Path) -> None:
    shutil.copytree(resolve(YAMNET).folder / "variables", folder)


def _state(folder: Path) -> None:
    train(LineFit(), batch_at, SHORT, folder)


def _resume(folder: Path) -> None:
    train(LineFit(), batch_at, SHORT, folder)


def _recording(folder: Path) -> None:
    folder.mkdir()
    create_array(folder / "states.safetensors", (2, 1, 4))
    (folder / "recording.json").write_text(json.dumps({"settings": {"a": 1}, "rows": []}))


_KINDS: dict[str, tuple[Callable[[Path], object], Callable[[Path], object], tuple[str, ...]]] = {
    "ltu": (_ltu, load_ltu, ("ltu.json", "model.safetensors", "tokenizer/tokenizer_config.json")),
    "adapter": (
        _adapter,
        lambda folder: load_ltu(folder, base=_base()),
        ("ltu.json", "adapter.safetensors"),
    ),
    "tagger": (
        _tagger,
        lambda folder: LinearTagger.from_pretrained(folder, encoder=_yamnet()),
        ("card.json", "model.safetensors", "training_data.csv"),
    ),
    "codebook": (
        _codebook,
        lambda folder: KMeansTokenizer.from_pretrained(folder, encoder=_yamnet()),
        ("card.json", "model.safetensors"),
    ),
    "ast": (_ast, lambda folder: AST(str(folder)), ("config.json", "preprocessor_config.json")),
    "chat": (
        _chat,
        TransformersLM,
        ("config.json", "generation_config.json", "tokenizer_config.json"),
    ),
    "recipe": (_trained, trained_model, ("recipe.json",)),
    "lens": (
        _lens,
        lambda folder: TunedLens.load(folder / "lens.safetensors", RotationModel()),
        ("lens.safetensors",),
    ),
    "yamnet": (_variables, read_variables, (INDEX,)),
    "training": (_state, _resume, (STATE,)),
    "recording": (
        _recording,
        lambda folder: (read_card(folder), open_array(folder / "states.safetensors")),
        ("recording.json", "states.safetensors"),
    ),
}
"""How a folder is written and read, and the files that are damaged, of each kind of model."""


@cache
def _written(kind: str) -> Path:
    folder = _home() / kind
    _KINDS[kind][0](folder)
    return folder


def _inputs(kind: str, file: str) -> Inputs:
    content = (_written(kind) / file).read_bytes()
    if file.endswith(".safetensors"):
        return damaged_tensors(content)
    return (
        damaged_json([json.loads(content)]) if file.endswith(".json") else damaged_bytes([content])
    )


def _target(kind: str, file: str) -> Target:
    _, read, _ = _KINDS[kind]
    n_up = len(Path(file).parts) - 1
    return file_target(
        f"model-{kind}-{Path(file).name}",
        lambda: _inputs(kind, file),
        file,
        lambda path: read(path.parents[n_up]),
        lambda folder: shutil.copytree(_written(kind), folder, dirs_exist_ok=True),
    )


TARGETS = [_target(kind, file) for kind, (_, _, files) in _KINDS.items() for file in files]
