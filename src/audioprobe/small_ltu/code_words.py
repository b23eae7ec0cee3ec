"""Codebooks of connectors with codes, and the initial embeddings of discrete tokens."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from safetensors.torch import load_file, save
from sklearn.cluster import KMeans
from torch import Tensor

from audioprobe.io.atomic import atomic_open
from audioprobe.models.connectors.building import build_connector
from audioprobe.models.connectors.codes import CodesConnector, QuantizedConnector, closest
from audioprobe.models.connectors.config import CodesConfig, QuantizedConfig
from audioprobe.models.ltu.checkpoint import LTUCheckpoint
from audioprobe.models.tokenizers.centroids import fit_centroids, sample_frames, unit_vectors
from audioprobe.models.tokenizers.codes import assign_codes
from audioprobe.small_ltu.recipe import Recipe
from audioprobe.training.feature_cache import FeatureCache

_CENTROIDS = "centroids"


def prepare_codes(
    checkpoint: LTUCheckpoint, cache: FeatureCache, recipe: Recipe, folder: Path
) -> None:
    """Fit the codebooks of a connector on the training features, or read them from a folder.

    Discrete tokens start at the mean of all words, with noise. Other connectors are not changed.

    Args:
        checkpoint: untrained model; its connector is changed in place.
        cache: features of the training clips, which are those of a frozen encoder.
        recipe: settings of the training.
        folder: folder of the features, in which fitted codebooks are stored.
    """
    connector = checkpoint.net.prefix.projection
    if not isinstance(connector, CodesConnector | QuantizedConnector):
        return
    path = folder / codebook_name(connector, recipe, len(cache))
    with FileLock(path.with_suffix(".lock")):  # a parallel training waits for the same codebook
        if not path.is_file():
            centroids = fit_codebooks(connector, cache, recipe)
            with atomic_open(path) as stream:
                stream.write(save({_CENTROIDS: centroids}))
    connector.codebook.set(load_file(path)[_CENTROIDS])
    if isinstance(connector, CodesConnector):
        embedding: Any = checkpoint.net.llama.get_input_embeddings()
        connector.start_from(embedding.weight.detach(), recipe.seed)


@contextmanager
def aligned_centroids(checkpoint: LTUCheckpoint, seed: int) -> Iterator[None]:
    """Context manager in which an MLP on centroids replaces discrete tokens (`start_width`).

    Afterwards, the tokens of the MLP are the initial embeddings of the codes. Other connectors are
    not changed.

    Args:
        checkpoint: untrained model with a codebook; its connector is changed in place.
        seed: seed of the initial weights of the MLP.
    """
    prefix = checkpoint.net.prefix
    codes, config = prefix.projection, checkpoint.net.config.connector
    if not (isinstance(config, CodesConfig) and config.start_width):
        yield
        return
    width = QuantizedConfig(n_codes=config.n_codes, width=config.start_width)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        projected: Any = build_connector(width, prefix.sizes)
    projected.codebook.set(codes.codebook.centroids)
    prefix.projection = projected
    try:
        yield
    finally:
        prefix.projection = codes
    with torch.no_grad():
        codes.start_from_tokens(projected.tokens_of_codes())


def codebook_name(
    connector: CodesConnector | QuantizedConnector, recipe: Recipe, n_clips: int
) -> str:
    """Return the name of the file of a connector's codebooks.

    It states all that they depend on besides the features: sizes, number of clips, and settings.
    """
    n_codebooks, n_codes, _ = connector.codebook.centroids.shape
    fit = recipe.codebook
    settings = f"{n_clips}-clips-{fit.n_starts}-starts-{fit.max_frames}-frames-seed-{recipe.seed}"
    return f"codebooks-{n_codebooks}x{n_codes}-{settings}.safetensors"


def fit_codebooks(
    connector: CodesConnector | QuantizedConnector, cache: FeatureCache, recipe: Recipe
) -> Tensor:
    """Return the centroids of all codebooks, shape (n_codebooks, n_codes, width).

    A later codebook is fitted on what the earlier ones leave over.
    """
    n_codebooks, n_codes, _ = connector.codebook.centroids.shape
    settings = recipe.codebook
    rows = (cache.features(torch.tensor([row]))[0].numpy() for row in range(len(cache)))
    frames = sample_frames(rows, settings.max_frames, seed=recipe.seed)
    starts = settings.n_starts
    first = fit_centroids(
        frames, n_codes, seed=recipe.seed, n_init=starts, max_frames=settings.max_frames
    )
    centroids, rest = [first], unit_vectors(frames)
    for number in range(1, n_codebooks):
        last = centroids[-1]
        if number == 1:  # as in `connectors.codes.Codebook`
            codes = assign_codes(rest, last)
        else:
            codes = closest(torch.from_numpy(rest), torch.from_numpy(last)).numpy()
        rest = rest - last[codes]
        kmeans: Any = KMeans  # its types do not allow an integer as `n_init`
        model = kmeans(n_codes, n_init=starts, random_state=recipe.seed).fit(rest)
        centroids.append(np.asarray(model.cluster_centers_, dtype=np.float32))
    return torch.from_numpy(np.stack(centroids))
