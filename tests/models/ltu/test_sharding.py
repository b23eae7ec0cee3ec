"""Layers on several devices change no response and no likelihood; a wrong map is an error."""

import gc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from audioprobe.errors import InvalidInputError, UnsupportedInputError
from audioprobe.models.connectors.config import CrossAttentionConfig
from audioprobe.models.ltu.audio_encoder import CavMaeConfig
from audioprobe.models.ltu.model import LTU
from audioprobe.models.ltu.network import LTUConfig, LTUNetwork
from audioprobe.models.ltu.sharding import Sharding
from audioprobe.types import Decoding, Prompt, Waveform

SOUND = Waveform(np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32), 16_000)
PROMPTS = [Prompt("What is it?", SOUND), Prompt("Is it a dog?", SOUND), Prompt("What is 1 + 1?")]
LLAMA = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 200,
}


@pytest.fixture(scope="module")
def whole(base: Path, checkpoint: Path) -> LTU:
    return LTU.from_pretrained(checkpoint, base=base, device="cpu")


def texts(model: LTU) -> list[str]:
    return [answer.text for answer in model.generate(PROMPTS, Decoding(max_new_tokens=8))]


def likelihoods(model: LTU) -> list[list[float]]:
    return [[x.total for x in row] for row in model.log_likelihood(PROMPTS, ["a", "bc"])]


def offloaded(model: LTU) -> set[str]:
    """Return the modules whose weights are not in memory between forward passes."""
    names = model._net.llama.named_parameters()
    return {name.rpartition(".")[0] for name, parameter in names if parameter.is_meta}


@pytest.mark.parametrize(
    "options",
    [
        {"device_map": {"": "disk"}},
        {"device_map": {"": "cpu", "model.layers": "disk", "model.layers.0": "cpu"}},
        {"device_map": "auto", "max_memory": {"cpu": "500KB"}},
    ],
)
def test_layers_on_the_disk_change_no_result(
    base: Path, checkpoint: Path, whole: LTU, tmp_path: Path, options: dict[str, Any]
) -> None:
    model = LTU.from_pretrained(checkpoint, base=base, offload_folder=tmp_path, **options)
    assert any(name.startswith("model.layers.1.") for name in offloaded(model))
    if options["device_map"] != {"": "disk"}:
        assert not any(name.startswith("model.layers.0.") for name in offloaded(model))
    assert texts(model) == texts(whole)
    np.testing.assert_allclose(likelihoods(model), likelihoods(whole), atol=1e-6)
    assert model.info == whole.info
    states = torch.ones(2, whole._net.llama.config.hidden_size)
    torch.testing.assert_close(model.vocabulary_logits(states), whole.vocabulary_logits(states))
    with pytest.raises(UnsupportedInputError, match="offloaded"):
        model.randomized(0)
    assert len(list(tmp_path.iterdir())) == 1
    del model
    gc.collect()
    assert not list(tmp_path.iterdir())


def test_strategies_use_the_cpu_if_there_is_no_gpu(
    base: Path, checkpoint: Path, whole: LTU, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    for strategy in ("auto", "sequential"):
        model = LTU.from_pretrained(checkpoint, base=base, device_map=strategy)
        assert offloaded(model) == set()
        assert likelihoods(model) == likelihoods(whole)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device_map": "everywhere"}, "balanced"),
        ({"device_map": {"": "cuda:99"}}, "cuda:99"),
        ({"device_map": {"": 99}}, "99"),
        ({"device_map": {"": "meta"}}, "meta"),
        ({"device_map": {"model.layer.0": "cpu", "": "cpu"}}, "model.layer.0"),
        ({"device_map": {"model.layers.0.mlp": "cpu", "": "cpu"}}, "cannot be split"),
        ({"device_map": {"model": "cpu"}}, "lm_head"),
        ({"device_map": {"": "disk"}}, "offload_folder"),
        ({"device_map": "auto", "max_memory": {"cpu": "much"}}, "max_memory"),
        ({"device_map": "auto", "max_memory": {"gpu": "1GB"}}, "max_memory"),
        ({"device_map": "auto", "device": "cpu"}, "without device"),
        ({"device_map": "auto", "compiled": True}, "compiled"),
        ({"device_map": "auto", "quantization": "8bit"}, "quantization"),
        ({"max_memory": {"cpu": "1GB"}}, "device_map"),
        ({"offload_folder": "."}, "device_map"),
    ],
)
def test_a_wrong_map_raises(
    base: Path, checkpoint: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        LTU.from_pretrained(checkpoint, base=base, **options)


def random_net(**options: Any) -> LTUNetwork:
    audio = CavMaeConfig(width=48, n_heads=4, n_blocks=2, mlp_width=96)
    return LTUNetwork(LTUConfig(audio=audio, llama=LLAMA, **options)).eval()


def test_connectors_that_layers_read_are_refused() -> None:
    net = random_net(connector=CrossAttentionConfig(width=16, token_width=16, n_heads=2))
    with pytest.raises(UnsupportedInputError, match="read by layers"):
        Sharding({"": "cpu"}).apply(net, "auto")
