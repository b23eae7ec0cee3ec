"""Build the connector of a configuration."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from audioprobe.models.connectors.codes import CodesConnector, QuantizedConnector
from audioprobe.models.connectors.config import (
    CodesConfig,
    ConnectorConfig,
    ConnectorSizes,
    CrossAttentionConfig,
    KeysValuesConfig,
    LinearConfig,
    MLPConfig,
    QuantizedConfig,
    RandomConfig,
    RegisteredConfig,
    ResamplerConfig,
)
from audioprobe.models.connectors.cross_attention import CrossAttentionConnector
from audioprobe.models.connectors.keys_values import KeysValuesConnector
from audioprobe.models.connectors.sequence import MLPConnector, RandomConnector, Resampler
from audioprobe.registry import load

_CONNECTORS: Mapping[type, Callable[[Any, ConnectorSizes], nn.Module]] = {
    LinearConfig: lambda _, sizes: nn.Linear(sizes.width, sizes.hidden),
    MLPConfig: MLPConnector,
    ResamplerConfig: Resampler,
    CrossAttentionConfig: CrossAttentionConnector,
    KeysValuesConfig: KeysValuesConnector,
    QuantizedConfig: QuantizedConnector,
    CodesConfig: CodesConnector,
    RandomConfig: lambda _, sizes: RandomConnector(sizes),
    RegisteredConfig: lambda config, sizes: load(
        "connector", config.name, sizes=sizes, **config.options
    ),
}


def build_connector(config: ConnectorConfig, sizes: ConnectorSizes) -> nn.Module:
    """Return an untrained connector.

    Args:
        config: kind and sizes of the connector.
        sizes: sizes of encoder and language model.

    Raises:
        BackendNotFoundError: if a connector of another distribution is not installed.
        InvalidInputError: if the sizes do not fit together.
    """
    return _CONNECTORS[type(config)](config, sizes)


def output_layers(connector: nn.Module) -> list[nn.Linear]:
    """Return the linear layers whose output is a token, or what layers add for a token.

    Words of a codebook and connectors of other distributions have none.
    """
    layers: list[Any] = []
    match connector:
        case nn.Linear():
            layers = [connector]
        case RandomConnector():
            layers = [connector.linear]
        case MLPConnector() | KeysValuesConnector() | QuantizedConnector():
            layers = [connector.layers[-1]]
        case Resampler():
            layers = [connector.out]
        case CrossAttentionConnector():
            layers = [adapter.out for adapter in connector.adapters.values()]
    return layers


def steps_per_token(config: ConnectorConfig) -> float:
    """Return how many feature vectors a token stands for; inf if it has no place in time."""
    if isinstance(config, ResamplerConfig):
        return config.window if config.window and config.n_queries == 1 else math.inf
    return math.inf if isinstance(config, RegisteredConfig) else 1
