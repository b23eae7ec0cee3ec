"""Quantised weights change outputs little, and answers do not depend on the batch."""

import copy
from functools import cache
from typing import get_args

import pytest
import torch

from audioprobe.models.ltu.audio_encoder import CavMaeConfig
from audioprobe.models.ltu.generation import TokenPrompt, generate
from audioprobe.models.ltu.likelihood import log_likelihoods
from audioprobe.models.ltu.network import (
    LTUConfig,
    LTUNetwork,
    Quantization,
    linear_layers,
    quantize,
)
from audioprobe.types import Decoding


@cache
def whole() -> LTUNetwork:
    """Return a random network; 4-bit layers on CPUs need widths that are multiples of 32."""
    torch.manual_seed(0)
    audio = CavMaeConfig(width=48, n_heads=4, n_blocks=2, mlp_width=96)
    llama = {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "vocab_size": 200,
    }
    net = LTUNetwork(LTUConfig(audio=audio, llama=llama)).eval().requires_grad_(requires_grad=False)
    for name, parameter in net.named_parameters():
        if parameter.ndim > 1 and "lora" not in name:
            # So large that the best token stands out.
            parameter.normal_(0, 2 / parameter.shape[-1] ** 0.5)
    return net


def quantised(kind: Quantization) -> LTUNetwork:
    net = copy.deepcopy(whole())
    quantize(net.llama, kind, torch.float32)
    return net.to("cpu").eval()


def sounds() -> torch.Tensor:
    return torch.randn(2, 1024, 128, generator=torch.Generator().manual_seed(1))


def prompts(net: LTUNetwork) -> list[TokenPrompt]:
    ids = torch.arange(1, 22)
    with torch.inference_mode():
        audio_tokens = net.prefix(sounds())
    return [
        TokenPrompt(ids, audio_tokens[0]),
        TokenPrompt(ids[:9]),
        TokenPrompt(ids[:15], audio_tokens[1]),
    ]


@pytest.mark.parametrize("kind", get_args(Quantization))
def test_batch_does_not_change_responses(kind: Quantization) -> None:
    net = quantised(kind)
    brief = Decoding(max_new_tokens=8)
    together = generate(net, prompts(net), brief, eos_token_id=2)
    alone = [generate(net, [prompt], brief, eos_token_id=2)[0] for prompt in prompts(net)]
    assert together == alone


@pytest.mark.parametrize(("kind", "most"), [("8bit", 0.02), ("4bit", 0.15)])
def test_every_linear_layer_is_quantised_with_a_small_error(
    kind: Quantization, most: float
) -> None:
    fewer = quantised(kind)
    assert not linear_layers(fewer.llama)
    given = torch.randn(7, 128, generator=torch.Generator().manual_seed(2))
    for name, exact in linear_layers(whole().llama):
        given_here = given[:, : exact.in_features]
        with torch.inference_mode():
            expected, actual = exact(given_here), fewer.llama.get_submodule(name)(given_here)
        error = float((expected - actual).norm() / expected.norm())
        assert 0 < error < most, name


@pytest.mark.parametrize("kind", get_args(Quantization))
def test_likelihoods_equal_full_passes(kind: Quantization) -> None:
    """The tolerance is large: rounding depends on the number of tokens in a pass."""
    net = quantised(kind)
    for prompt in prompts(net):
        for ids in ([5, 6], [7]):
            ((actual,),) = log_likelihoods(net, [prompt], [ids])
            sequence = torch.cat([prompt.input_ids, torch.tensor(ids)])[None]
            audio_tokens = None if prompt.audio_tokens is None else prompt.audio_tokens[None]
            with torch.inference_mode():
                scores = net(sequence, audio_tokens)[0, -len(ids) - 1 : -1].log_softmax(-1)
            expected = sum(float(row[token]) for row, token in zip(scores, ids, strict=True))
            assert actual.total == pytest.approx(expected, abs=0.02)
