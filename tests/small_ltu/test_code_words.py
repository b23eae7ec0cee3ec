"""Codebooks of connectors, and discrete tokens that start at the outputs of an aligned MLP."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.models.connectors.tiny_connectors import CONNECTORS, checkpoint_of
from tests.tiny_ltu import write_base

from audioprobe import Synthetic
from audioprobe.errors import InvalidInputError
from audioprobe.models.connectors.codes import CodesConnector, QuantizedConnector
from audioprobe.models.connectors.config import CodesConfig
from audioprobe.models.ltu.audio_frontend import EncoderFrontend, feature_config
from audioprobe.small_ltu.code_words import aligned_centroids, prepare_codes
from audioprobe.small_ltu.recipe import read_recipe
from audioprobe.training.feature_cache import FeatureCache

STARTED = CodesConfig(n_codes=7, start_width=12)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("base"), with_sound=False)


def test_codes_start_as_the_tokens_of_the_trained_mlp(base: Path) -> None:
    checkpoint = checkpoint_of(base, STARTED)
    prefix, features = checkpoint.net.prefix, torch.randn(3, 21, 1024)
    with torch.no_grad(), aligned_centroids(checkpoint, seed=4):
        assert isinstance(prefix.projection, QuantizedConnector)
        for parameter in prefix.projection.parameters():
            parameter.mul_(1.5)  # as if it were trained
        expected = prefix(features)
    assert isinstance(prefix.projection, CodesConnector)
    with torch.no_grad():
        torch.testing.assert_close(prefix(features), expected)
        assert not torch.equal(prefix(features), checkpoint_of(base, STARTED).net.prefix(features))


def test_initial_mlp_depends_on_the_seed_alone(base: Path) -> None:
    rows: list[torch.Tensor] = []
    for seed in (4, 4, 5):
        checkpoint = checkpoint_of(base, STARTED)
        torch.manual_seed(len(rows))
        with aligned_centroids(checkpoint, seed=seed):
            pass
        rows.append(checkpoint.net.prefix.projection.rows.detach())
    assert torch.equal(rows[0], rows[1])
    assert not torch.equal(rows[0], rows[2])


@pytest.mark.parametrize("name", ["linear", "quantized", "codes"])
def test_other_connectors_are_aligned_themselves(base: Path, name: str) -> None:
    checkpoint = checkpoint_of(base, CONNECTORS[name])
    before = {key: p.clone() for key, p in checkpoint.net.prefix.named_parameters()}
    projection = checkpoint.net.prefix.projection
    with aligned_centroids(checkpoint, seed=0):
        assert checkpoint.net.prefix.projection is projection
    assert all(torch.equal(p, before[key]) for key, p in projection.named_parameters("projection"))


def test_start_of_codes_needs_an_alignment_and_one_codebook() -> None:
    recipe = read_recipe("architectures")
    assert replace(recipe, connector=STARTED).alignment is not None
    with pytest.raises(InvalidInputError, match="alignment"):
        replace(recipe, connector=STARTED, alignment=None)
    for width, n_codebooks in ((-1, 1), (3, 2)):
        with pytest.raises(InvalidInputError, match="start_width"):
            CodesConfig(n_codes=7, n_codebooks=n_codebooks, start_width=width)


def test_a_codebook_is_fitted_once_for_trainings_with_the_same_features(
    base: Path, tmp_path: Path
) -> None:
    scenes = Synthetic(n_clips=6, max_sources=1, palette=("owl", "siren"), seconds=2.0)
    frontend = EncoderFrontend(feature_config("yamnet"))
    clips = scenes.clips("train")
    cache = FeatureCache(clips, scenes.labels, tmp_path, frontend, source={"split": "train"})
    recipe = read_recipe("architectures")

    def centroids(name: str, seed: int) -> torch.Tensor:
        checkpoint = checkpoint_of(base, CONNECTORS[name])
        prepare_codes(checkpoint, cache, replace(recipe, seed=seed), tmp_path)
        result: torch.Tensor = checkpoint.net.prefix.projection.codebook.centroids
        return result

    codes, quantized, other = (
        centroids("codes", 0),
        centroids("quantized", 0),
        centroids("codes", 1),
    )
    assert torch.equal(codes, quantized)
    assert not torch.equal(codes, other)
    assert len(list(tmp_path.glob("codebooks-*.safetensors"))) == 2
