"""Audio tokens become similar to the names of what they contain."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.tiny_ltu import write_base
from tests.tiny_recipe import adapters_with_and_without_interruption, on_yamnet, recipe

from audioprobe import Synthetic
from audioprobe.errors import InvalidInputError
from audioprobe.models.ltu.audio_frontend import EncoderFrontend, feature_config
from audioprobe.models.ltu.checkpoint import LTUCheckpoint, init_ltu
from audioprobe.small_ltu.curriculum import ALIGNMENT
from audioprobe.small_ltu.word_alignment import AlignmentStage, train_alignment, word_alignment
from audioprobe.training.arguments import TrainingArguments
from audioprobe.training.feature_cache import FeatureCache

LABELS = ("owl", "siren", "cricket")
STAGE = AlignmentStage(
    arguments=TrainingArguments(steps=40, learning_rate=3e-3, warmup_steps=5), batch_size=12
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("base"), with_sound=False)


def cached(folder: Path, split: str, n_sources: int = 1) -> FeatureCache:
    scenes = Synthetic(n_clips=24, max_sources=n_sources, palette=LABELS, seconds=2.0)
    frontend = EncoderFrontend(feature_config("yamnet"))
    clips = scenes.clips(split)
    return FeatureCache(clips, LABELS, folder / split, frontend, source={"split": split})


def model(base: Path) -> LTUCheckpoint:
    return init_ltu(base, {"audio": feature_config("yamnet")}, seed=0)


def share_named(checkpoint: LTUCheckpoint, cache: FeatureCache) -> float:
    """The share of clips whose tokens are most similar to the name of their label."""
    with torch.inference_mode():
        tokens = checkpoint.net.prefix(cache.features(torch.arange(len(cache))))
        best = word_alignment(checkpoint, LABELS).similarities(tokens).argmax(dim=1)
    return float((best == cache.labels.int().argmax(dim=1)).float().mean())


def test_new_clips_are_named_after_the_alignment(base: Path, tmp_path: Path) -> None:
    checkpoint, test = model(base), cached(tmp_path, "test")
    llama = {name: p.clone() for name, p in checkpoint.net.llama.named_parameters()}
    before = share_named(checkpoint, test)
    history = train_alignment(
        checkpoint, cached(tmp_path, "train"), LABELS, STAGE, tmp_path / ALIGNMENT
    )
    assert len(history) == STAGE.arguments.steps
    assert history[-1]["loss"] < history[0]["loss"]
    assert share_named(checkpoint, test) > max(before, 0.8)
    assert all(torch.equal(p, llama[n]) for n, p in checkpoint.net.llama.named_parameters())


def test_shuffled_labels_are_not_learned(base: Path, tmp_path: Path) -> None:
    checkpoint, train = model(base), cached(tmp_path, "train")
    train.labels = train.labels[torch.randperm(24, generator=torch.Generator().manual_seed(0))]
    train_alignment(checkpoint, train, LABELS, STAGE, tmp_path / ALIGNMENT)
    assert share_named(checkpoint, cached(tmp_path, "test")) < 0.7


def test_clips_with_several_labels_only_are_refused(base: Path, tmp_path: Path) -> None:
    mixtures = cached(tmp_path, "train")
    mixtures.labels[:] = 1
    with pytest.raises(InvalidInputError, match="clips with a single label, got none"):
        train_alignment(model(base), mixtures, LABELS, STAGE, tmp_path / ALIGNMENT)


@pytest.mark.slow
def test_recipe_with_an_alignment_resumes_to_the_same_weights(base: Path, tmp_path: Path) -> None:
    short = AlignmentStage(arguments=TrainingArguments(steps=3, learning_rate=1e-3, save_every=1))
    wanted = replace(on_yamnet(recipe(base)), alignment=short)

    _, first, second = adapters_with_and_without_interruption(
        wanted, tmp_path, "alignment: steps", 2
    )
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in second)


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="batch_size of at least 1"):
        AlignmentStage(arguments=STAGE.arguments, batch_size=0)
