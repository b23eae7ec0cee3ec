"""Numbers in configurations are checked before layers are created."""

from pathlib import Path

import pytest

from audioprobe.errors import WeightsError
from audioprobe.models.causal_lm.configuration import MOST_LAYERS, refuse_many_layers


@pytest.mark.parametrize(
    "config",
    [
        {"num_hidden_layers": MOST_LAYERS + 1},
        {"n_layer": 2**70},
        {"audio_config": {"encoder_layers": 10**400}},
        {"audio_config": {"depths": [2, 2, MOST_LAYERS + 1, 2]}},
    ],
)
def test_too_many_layers_are_refused(config: dict[str, object]) -> None:
    with pytest.raises(WeightsError, match=r"config\.json: expected at most 1000 layers"):
        refuse_many_layers(Path("config.json"), config)


def test_other_numbers_may_be_large() -> None:
    config = {
        "num_hidden_layers": MOST_LAYERS,
        "vocab_size": 10**6,
        "layer_types": ["full"] * 2000,
        "depths": [2, 2, 6, 2],
        "layer_norm_eps": 1e9,
    }
    refuse_many_layers(Path("config.json"), config)
