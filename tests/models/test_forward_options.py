"""Options of forward passes with hooks: start layer, blocked attention, attention, gradients."""

from functools import cache, partial

import numpy as np
import pytest
import torch
from tests.golden_ltu import character_tokenizer, new_net
from tests.tiny_chat_models import saved
from torch import Tensor

from audioprobe.errors import InvalidInputError, UnsupportedInputError
from audioprobe.forward_options import AttentionStates, ForwardOptions, ResidualStart
from audioprobe.models.chat.model import TransformersLM
from audioprobe.models.ltu.audio_encoder import CavMaeConfig
from audioprobe.models.ltu.model import LTU
from audioprobe.models.ltu.network import LTUConfig, LTUNetwork, quantize
from audioprobe.protocols import Inspectable
from audioprobe.sites import InspectedPrompt
from audioprobe.types import ComponentInfo, Prompt, Waveform

AUDIO = ("ltu", "qwen2-audio", "audio-flamingo", "qwen-omni", "qwen3-omni", "phi4", "voxtral")
QUANTIZED = ("ltu-8bit", "ltu-4bit")
KINDS = (*AUDIO, "llama", *QUANTIZED)
READABLE = tuple(kind for kind in KINDS if kind != "phi4")  # phi4 joins queries, keys and values


def wide_net() -> LTUNetwork:
    """Return a random network; 4-bit layers on CPUs need widths that are multiples of 32."""
    torch.manual_seed(0)
    audio = CavMaeConfig(width=48, n_heads=4, n_blocks=2, mlp_width=96)
    llama = {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "vocab_size": len(character_tokenizer()),
    }
    config = LTUConfig(audio=audio, llama=llama)
    return LTUNetwork(config).eval().requires_grad_(requires_grad=False)


@cache
def model(kind: str) -> LTU | TransformersLM:
    if kind.startswith("ltu-"):
        net = wide_net()
        quantize(net.llama, "8bit" if kind == "ltu-8bit" else "4bit", torch.float32)
        net = net.to("cpu").eval()
        return LTU(net, character_tokenizer(), ComponentInfo("language_model", kind))
    if kind == "ltu":
        return LTU(new_net(), character_tokenizer(), ComponentInfo("language_model", "tiny"))
    return TransformersLM(saved(kind))


def prompts(kind: str) -> list[InspectedPrompt]:
    values = np.random.default_rng(0).uniform(-0.3, 0.3, (2, 52_800)).astype(np.float32)
    sounds = [Waveform(row, 16_000) if kind in (*AUDIO, *QUANTIZED) else None for row in values]
    return [
        InspectedPrompt(Prompt("Is a crow a bird?", sounds[0]), "Yes"),
        InspectedPrompt(Prompt("Which crow?", sounds[1])),
        InspectedPrompt(Prompt("Why?")),
    ]


def states_of(
    lm: Inspectable, items: list[InspectedPrompt], options: ForwardOptions, *sites: str
) -> dict[tuple[int, str], Tensor]:
    states: dict[tuple[int, str], Tensor] = {}

    def store(site: str, number: int, values: Tensor) -> None:
        states[number, site] = values.clone()

    lm.run_with_hooks(items, {site: partial(store, site) for site in sites}, options)
    return states


@pytest.mark.parametrize("kind", KINDS)
def test_a_pass_from_a_layer_equals_the_whole_pass(kind: str) -> None:
    lm, items = model(kind), prompts(kind)
    sites = ("lm.resid.0", "lm.resid.1", "lm.norm", "lm.logits")
    whole = states_of(lm, items, ForwardOptions(), *sites)
    start = ResidualStart(0, [whole[n, "lm.resid.0"] for n in range(len(items))])
    rest = states_of(lm, items, ForwardOptions(start=start), *sites[1:])
    assert set(rest) == {(n, site) for n, site in whole if site != "lm.resid.0"}
    for key, values in rest.items():
        torch.testing.assert_close(values, whole[key], atol=1e-5, rtol=1e-5, msg=str(key))
    again = states_of(lm, items, ForwardOptions(), *sites)  # the layers are restored
    assert all(torch.equal(again[key], whole[key]) for key in whole)


@pytest.mark.parametrize("kind", KINDS)
def test_blocked_edges_change_only_their_query(kind: str) -> None:
    lm, items = model(kind), prompts(kind)
    lengths = [lm.layout(item).n_tokens for item in items]
    masks = [torch.zeros(n, n, dtype=torch.bool) for n in lengths]
    sites = ("lm.resid.0", "lm.resid.1")
    plain = states_of(lm, items, ForwardOptions(), *sites)
    nothing = states_of(lm, items, ForwardOptions(blocked={1: masks}), *sites)
    for key, values in plain.items():
        torch.testing.assert_close(nothing[key], values, atol=1e-4, rtol=1e-4)
    masks[0][-1, :5] = True
    blocked = states_of(lm, items, ForwardOptions(blocked={1: masks}), *sites)
    for number in range(len(items)):
        torch.testing.assert_close(blocked[number, "lm.resid.0"], plain[number, "lm.resid.0"])
        before, after = plain[number, "lm.resid.1"], blocked[number, "lm.resid.1"]
        torch.testing.assert_close(after[:-1], before[:-1], atol=1e-4, rtol=1e-4)
        assert torch.allclose(after[-1], before[-1], atol=1e-4) == (number != 0)


@pytest.mark.parametrize("kind", READABLE)
def test_attention_explains_the_output_of_the_layer(kind: str) -> None:
    lm, items = model(kind), prompts(kind)
    lengths = [lm.layout(item).n_tokens for item in items]
    masks = [torch.zeros(n, n, dtype=torch.bool) for n in lengths]
    masks[1][-1, 2:4] = True
    read: dict[int, AttentionStates] = {}
    options = ForwardOptions(attention={1: read.__setitem__}, blocked={1: masks})
    states = states_of(lm, items, options, "lm.attn.1")
    assert set(read) == set(range(len(items)))
    for number, attention in read.items():
        sums = attention.weights.sum(dim=-1)
        torch.testing.assert_close(sums, torch.ones_like(sums))
        assert attention.weights.shape[1:] == (lengths[number], lengths[number])
        assert not attention.weights.triu(1).any()
        mixed = (attention.weights @ attention.values).transpose(0, 1).flatten(1)
        bias = states[number, "lm.attn.1"] - attention.project(mixed)
        torch.testing.assert_close(bias, bias[:1].expand_as(bias), atol=1e-5, rtol=1e-5)
    assert not read[1].weights[:, -1, 2:4].any()
    assert read[1].weights[:, -1, 4:].any()


@pytest.mark.parametrize("kind", [*AUDIO, "llama"])
def test_gradients_predict_the_effect_of_a_small_change(kind: str) -> None:
    lm, items = model(kind), prompts(kind)[:2]
    returned: dict[int, Tensor] = {}
    logits: dict[int, Tensor] = {}

    def return_states(number: int, states: Tensor) -> Tensor:
        returned[number] = states.detach().requires_grad_()
        return returned[number]

    hooks = {"lm.resid.0": return_states, "lm.logits": logits.__setitem__}
    lm.run_with_hooks(items, hooks, ForwardOptions(gradients=True))
    value = logits[1][-1, 7] - logits[1][-1, 3]
    first, second = torch.autograd.grad(value, [returned[0], returned[1]], allow_unused=True)
    assert first is None or not first.any()  # the prompts of a batch are independent
    step = torch.randn(second.shape, generator=torch.Generator().manual_seed(0)) * 1e-3

    def moved(sign: int) -> float:
        hook = {"lm.resid.0": lambda n, x: x + sign * step if n == 1 else None}
        lm.run_with_hooks(items, hook | {"lm.logits": logits.__setitem__})
        return float(logits[1][-1, 7] - logits[1][-1, 3])

    expected = float((second * step).sum())
    assert (moved(1) - moved(-1)) / 2 == pytest.approx(expected, rel=0.05, abs=2e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_vocabulary_logits_are_those_of_the_model(kind: str) -> None:
    lm, items = model(kind), prompts(kind)[:1]
    last = max(int(s.removeprefix("lm.resid.")) for s in lm.sites if s.startswith("lm.resid."))
    sites = (f"lm.resid.{last}", "lm.norm", "lm.logits")
    states = states_of(lm, items, ForwardOptions(), *sites)
    resid, norm, logits = (states[0, site] for site in sites)
    torch.testing.assert_close(lm.vocabulary_logits(resid), logits)
    torch.testing.assert_close(lm.vocabulary_logits(norm, normalized=True), logits)
    ids = lm.continuation_ids("Yes")
    assert "".join(lm.token_texts(ids)) == "Yes"


@pytest.mark.parametrize("kind", ["ltu", "llama"])
def test_a_randomized_copy_has_the_same_values_in_another_order(kind: str) -> None:
    lm = model(kind)
    copy, same, other = lm.randomized(0), lm.randomized(0), lm.randomized(1)
    assert copy.info == same.info != other.info
    for (name, trained), parameter in zip(
        lm._net.named_parameters(), copy._net.parameters(), strict=True
    ):
        assert torch.equal(trained.flatten().sort().values, parameter.flatten().sort().values), name
        assert (
            trained.numel() < 10
            or trained.unique().numel() == 1
            or not torch.equal(trained, parameter)
        ), name
    logits = [
        states_of(each, prompts(kind)[:1], ForwardOptions(), "lm.logits")[0, "lm.logits"]
        for each in (lm, copy, same, other)
    ]
    assert torch.equal(logits[1], logits[2])
    assert not torch.allclose(logits[1], logits[0])
    assert not torch.allclose(logits[1], logits[3])


def test_options_that_do_not_fit_are_refused() -> None:
    lm, items = model("llama"), prompts("llama")[:1]
    n = lm.layout(items[0]).n_tokens
    for options in (
        ForwardOptions(start=ResidualStart(99, [torch.zeros(n, 8)])),
        ForwardOptions(start=ResidualStart(0, [torch.zeros(n - 1, 8)])),
        ForwardOptions(blocked={0: [torch.zeros(n, n - 1, dtype=torch.bool)]}),
        ForwardOptions(attention={-1: lambda _, __: None}),
    ):
        with pytest.raises(InvalidInputError):
            states_of(lm, items, options, "lm.logits")


def test_quantized_weights_cannot_be_permuted() -> None:
    with pytest.raises(UnsupportedInputError, match="without quantization"):
        model("ltu-8bit").randomized(0)


def test_attention_of_joined_projections_cannot_be_read() -> None:
    lm, items = model("phi4"), prompts("phi4")
    with pytest.raises(UnsupportedInputError, match="v_proj"):
        states_of(lm, items, ForwardOptions(attention={0: lambda _, __: None}), "lm.logits")
