"""Tiny LTUs with every kind of connector, on the features of a frozen encoder."""

from functools import cache
from pathlib import Path

import torch

from audioprobe.models.connectors.codes import CodesConnector, QuantizedConnector
from audioprobe.models.connectors.config import (
    CodesConfig,
    ConnectorConfig,
    CrossAttentionConfig,
    KeysValuesConfig,
    LinearConfig,
    MLPConfig,
    QuantizedConfig,
    RandomConfig,
    ResamplerConfig,
)
from audioprobe.models.ltu.audio_frontend import feature_config
from audioprobe.models.ltu.checkpoint import LTUCheckpoint, init_ltu

CONNECTORS: dict[str, ConnectorConfig] = {
    "linear": LinearConfig(),
    "mlp": MLPConfig(12),
    "resampler": ResamplerConfig(n_queries=5, width=8, n_heads=2),
    "window resampler": ResamplerConfig(n_queries=1, width=8, n_heads=2, window=2),
    "cross-attention": CrossAttentionConfig(every=1, token_width=6, width=8, n_heads=2),
    "keys and values": KeysValuesConfig(every=1, width=12),
    "quantized": QuantizedConfig(n_codes=7, width=12),
    "codes": CodesConfig(n_codes=7),
    "two codebooks": CodesConfig(n_codes=4, n_codebooks=2),
    "random": RandomConfig(),
}


yamnet_config = cache(feature_config)  # loads the encoder


def checkpoint_of(base: Path, connector: ConnectorConfig, *, gates: float = 0.5) -> LTUCheckpoint:
    """Return an LTU with random connector and LoRA; gates of cross-attention are open."""
    sizes = {"audio": yamnet_config("yamnet"), "lora_rank": 2, "connector": connector}
    checkpoint = init_ltu(base, sizes, seed=1)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, parameter in checkpoint.net.named_parameters():
            if "lora_B" in name or name.startswith("prefix.projection"):
                parameter.normal_(0, 0.3, generator=generator)
            if name.endswith(".gate"):
                parameter.fill_(gates)
    projection = checkpoint.net.prefix.projection
    if isinstance(projection, QuantizedConnector | CodesConnector):
        shape = projection.codebook.centroids.shape
        projection.codebook.set(torch.randn(shape, generator=generator) * 0.05)
    return checkpoint
