"""Use of the codes of an arm with a codebook, on training scenes."""

import numpy as np
import torch

from audioprobe.metrics.codebook import (
    code_perplexity,
    codes_in_use,
    count_codes,
    explained_variance,
    largest_share,
)
from audioprobe.models.connectors.codes import CodesConnector, QuantizedConnector
from audioprobe.models.ltu.network import LTUNetwork
from audioprobe.models.tokenizers.centroids import unit_vectors
from audioprobe.training.feature_cache import FeatureCache

_MAX_SCENES = 1000  # training scenes whose codes are counted


def codebook_measures(net: LTUNetwork, cache: FeatureCache) -> dict[str, float | None]:
    """Return how a network uses the codes of its first codebook; {} without a codebook.

    Args:
        net: the network.
        cache: features of the training scenes, of which the first 1,000 are used.

    Returns:
        "n_codes", "in use", "perplexity" and "largest share" of the codes, and the share of the
        variance of the features that all codebooks explain. None if it is undefined.
    """
    connector = net.prefix.projection
    if not isinstance(connector, CodesConnector | QuantizedConnector):
        return {}
    features = cache.features(torch.arange(min(len(cache), _MAX_SCENES)))
    with torch.inference_mode():
        codes, centroids = connector.codebook(features.flatten(0, 1))
    n_codes = connector.codebook.centroids.shape[1]
    counts = count_codes([np.asarray(codes[:, 0])], n_codes)
    directions = unit_vectors(features.flatten(0, 1).numpy())
    return {
        "n_codes": float(n_codes),
        "in use": float(codes_in_use(counts)),
        "perplexity": code_perplexity(counts),
        "largest share": largest_share(counts),
        "explained variance": explained_variance(directions, centroids.numpy()),
    }
