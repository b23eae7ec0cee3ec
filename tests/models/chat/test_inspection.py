"""Activations of tiny chat models, compared with those that transformers returns."""

from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from tests.tiny_chat_models import decoder, saved
from torch import Tensor

from audioprobe.errors import InvalidInputError, UnsupportedInputError
from audioprobe.models.chat.model import TransformersLM
from audioprobe.models.chat.module_paths import FAMILIES, ModulePaths, site_points
from audioprobe.protocols import Inspectable
from audioprobe.sites import InspectedPrompt
from audioprobe.types import Prompt, Waveform

AUDIO = ("qwen2-audio", "audio-flamingo", "qwen-omni", "qwen3-omni", "phi4", "voxtral")
KINDS = (*AUDIO, "llama")
# Seconds per audio token, as the papers of the models state.
TOKEN_S = {"qwen2-audio": 0.04, "audio-flamingo": 0.04, "qwen-omni": 0.04, "voxtral": 0.08}
TOKEN_S |= {"qwen3-omni": 1 / 13, "phi4": 0.08}


def noise(seconds: float, seed: int = 0) -> Waveform:
    values = np.random.default_rng(seed).uniform(-0.3, 0.3, round(seconds * 16_000))
    return Waveform(values.astype(np.float32), 16_000)


@cache
def model(kind: str, dtype: str = "float32") -> TransformersLM:
    return TransformersLM(saved(kind), dtype=dtype)


def prompts(kind: str) -> list[InspectedPrompt]:
    items = [
        ("Is a crow a bird?", noise(3.3), "Yes"),
        ("Which crow?", noise(3.3, 1), ""),
        ("Why?", None, "No."),
        ("What?", noise(2.0, 2), ""),
    ]
    return [
        InspectedPrompt(Prompt(text, audio if kind in AUDIO else None), answer, "CROW")
        for text, audio, answer in items
    ]


def states_of(lm: TransformersLM, items: list[InspectedPrompt]) -> dict[tuple[int, str], Tensor]:
    states: dict[tuple[int, str], Tensor] = {}

    def store(site: str, number: int, values: Tensor) -> None:
        states[number, site] = values.clone()

    lm.run_with_hooks(items, {site: partial(store, site) for site in lm.sites})
    return states


def inputs_of(lm: TransformersLM, item: InspectedPrompt) -> dict[str, Any]:
    """Return the inputs of the model for a prompt, from its own processor."""
    inputs = lm._on_device(lm._encoder.encode(item.prompt).inputs)
    new = torch.tensor([lm._encoder.continuation(item.continuation)])
    inputs["input_ids"] = torch.cat([inputs["input_ids"], new], 1)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    return inputs


@pytest.mark.parametrize("kind", KINDS)
def test_states_equal_those_that_transformers_returns(kind: str) -> None:
    lm, item = model(kind), prompts(kind)[0]
    assert isinstance(lm, Inspectable)
    states = states_of(lm, [item])
    with torch.inference_mode():
        outputs = lm._net(**inputs_of(lm, item), output_hidden_states=True)
    expected: dict[str, Tensor] = {}
    expected["lm.embed"], *layers, expected["lm.norm"] = outputs.hidden_states
    expected |= {f"lm.resid.{n}": layer for n, layer in enumerate(layers)}
    expected["lm.logits"] = outputs.logits
    for site, values in expected.items():
        torch.testing.assert_close(states[0, site], values[0], atol=1e-4, rtol=1e-4, msg=site)
    before = "lm.embed"
    for n in range(len(layers) + 1):
        total = sum(states[0, site] for site in (before, f"lm.attn.{n}", f"lm.mlp.{n}"))
        before = f"lm.resid.{n}"
        torch.testing.assert_close(states[0, before], total, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", AUDIO)
def test_connector_is_what_the_language_model_reads_as_audio(kind: str) -> None:
    lm, item = model(kind), prompts(kind)[0]
    states, layout = states_of(lm, [item]), lm.layout(item)
    read = states[0, "lm.embed"][list(layout.positions("lm.embed", "audio"))]
    sent = states[0, "connector.out"][list(layout.positions("connector.out", "audio"))]
    torch.testing.assert_close(read, sent)
    ids = lm._encoder.encode(item.prompt).inputs["input_ids"][0]
    expected = torch.nonzero(ids == lm._encoder.audio_token_id)[:, 0].tolist()
    assert list(layout.positions("lm.embed", "audio")) == expected
    for site in lm.sites:
        assert layout.positions(site, "audio")[-1] < len(states[0, site]), site


def test_encoder_states_equal_those_of_the_encoder_called_by_hand() -> None:
    lm, item = model("voxtral"), prompts("voxtral")[0]
    states, features = states_of(lm, [item]), inputs_of(lm, item)["input_features"]
    tower, gelu = lm._net.model.audio_tower, torch.nn.functional.gelu
    with torch.inference_mode():
        tokens = gelu(tower.conv2(gelu(tower.conv1(features)))).transpose(1, 2)
        tokens = tokens + tower.embed_positions.weight
        expected = {"encoder.input": features[0].T}
        for n, layer in enumerate(tower.layers):
            tokens = layer(tokens, None)
            expected[f"encoder.block.{n}"] = tokens[0]
        expected["encoder.out"] = tower.layer_norm(tokens)[0]
        joined = expected["encoder.out"].reshape(375, 4 * 16)  # four positions per audio token
        expected["connector.out"] = lm._net.model.multi_modal_projector(joined)
    assert set(expected) == {site for site in lm.sites if not site.startswith("lm.")}
    for site, values in expected.items():
        torch.testing.assert_close(states[0, site], values, msg=site)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", KINDS)
def test_batch_does_not_change_states(kind: str, dtype: str) -> None:
    lm = model(kind, dtype)
    together = states_of(lm, prompts(kind))
    for number, item in enumerate(prompts(kind)):
        alone = states_of(lm, [item])
        assert {site for _, site in alone} == {site for n, site in together if n == number}
        for (_, site), values in alone.items():
            scale = float(values.float().square().mean().sqrt())
            tolerance = (0.1 if dtype == "bfloat16" else 1e-4) * max(1.0, scale)
            other = together[number, site]
            torch.testing.assert_close(other, values, atol=tolerance, rtol=0, msg=site)


@pytest.mark.parametrize("kind", KINDS)
def test_spans_decode_to_their_text(kind: str) -> None:
    lm, item = model(kind), prompts(kind)[0]
    layout = lm.layout(item)
    ids = inputs_of(lm, item)["input_ids"][0].tolist()

    def decoded(span: str) -> str:
        positions = layout.positions("lm.norm", span)
        text: str = lm._encoder.tokenizer.decode([ids[n] for n in positions])
        return text

    assert layout.n_tokens == len(ids)
    assert decoded("question") == "Is a crow a bird?"
    assert decoded("concept") == "crow"
    assert decoded("answer") == "Yes"
    assert layout.positions("lm.norm", "last") == (len(ids) - 4,)
    assert bool(layout.positions("lm.norm", "bos")) == (kind == "voxtral")


@pytest.mark.parametrize("kind", AUDIO)
def test_time_range_selects_the_tokens_of_the_sound(kind: str) -> None:
    lm, item = model(kind), prompts(kind)[0]
    layout = lm.layout(item)
    first = layout.positions("lm.norm", "audio")[0]
    selected = [n - first for n in layout.positions("lm.norm", "audio[1s:2s]")]
    step = TOKEN_S[kind]
    assert selected[0] == int(1 / step + 1e-6)
    assert len(selected) * step == pytest.approx(1.0, abs=step)
    for site in lm.sites[: lm.sites.index("lm.embed")]:
        n = len(layout.positions(site, "audio[1s:2s]"))
        assert len(layout.positions(site, "audio[0s:1s]")) == pytest.approx(n, abs=1), site
    assert layout.positions("lm.norm", "audio[3.3s:9s]") == ()


def test_later_time_range_holds_the_later_sound() -> None:
    """A change of the sound after 2 s changes the audio tokens there most."""
    lm = model("qwen-omni")  # its encoder attends within windows
    samples = noise(4.0).samples.copy()
    samples[2 * 16_000 :] *= -0.5
    items = [InspectedPrompt(Prompt("Why?", w)) for w in (noise(4.0), Waveform(samples, 16_000))]
    both = [states_of(lm, [item])[0, "encoder.block.0"] for item in items]
    difference = (both[0] - both[1]).norm(dim=1)
    layout = lm.layout(items[0])
    early, late = (
        difference[list(layout.positions("encoder.block.0", span))].mean()
        for span in ("audio[0s:1.9s]", "audio[2.1s:4s]")
    )
    assert late > 3 * early


def test_replacements_do_not_reach_later_calls() -> None:
    lm, item = model("qwen2-audio"), prompts("qwen2-audio")[0]
    plain = states_of(lm, [item])
    seen: dict[str, Tensor] = {}
    lm.run_with_hooks(
        [item],
        {
            "encoder.input": lambda _, x: x * 0,
            "encoder.block.0": lambda _, x: x * 0.5,
            "lm.resid.1": lambda _, x: seen.__setitem__("changed", x.clone()),
        },
    )
    assert not torch.allclose(seen["changed"], plain[0, "lm.resid.1"], atol=1e-3)
    after = states_of(lm, [item])
    assert all(torch.equal(after[key], plain[key]) for key in plain)
    with torch.inference_mode():
        logits = lm._net(**inputs_of(lm, item)).logits[0]
    torch.testing.assert_close(logits, plain[0, "lm.logits"])


def test_hooks_are_removed_also_after_an_error() -> None:
    lm, item = model("qwen2-audio"), prompts("qwen2-audio")[0]

    def n_hooks() -> int:
        modules = lm._net.modules()
        return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in modules)

    def fail(_: int, __: Tensor) -> None:
        raise ZeroDivisionError

    before = n_hooks()
    with pytest.raises(ZeroDivisionError):
        lm.run_with_hooks([item], {"encoder.block.1": fail, "lm.logits": fail})
    assert n_hooks() == before
    with pytest.raises(InvalidInputError, match=r"Did you mean 'encoder\.out'"):
        lm.run_with_hooks([item], {"encoder.output": fail})


@pytest.mark.parametrize(
    "network",
    [
        tf.MistralForCausalLM(tf.MistralConfig(**decoder(head_dim=8))),
        tf.Qwen2ForCausalLM(tf.Qwen2Config(**decoder())),
        tf.Qwen3ForCausalLM(tf.Qwen3Config(**decoder(head_dim=8))),
    ],
    ids=lambda network: network.config.model_type,
)
def test_module_paths_of_text_models_exist(network: Any) -> None:
    points = site_points(network)
    assert [site for site in points if site.startswith("lm.resid")] == ["lm.resid.0", "lm.resid.1"]
    assert points["lm.logits"].module is network.get_output_embeddings()


@pytest.mark.parametrize("kind", ["mamba", "gemma3n-text"])
def test_unknown_architecture_raises_and_a_new_entry_helps(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = model(kind)
    with pytest.raises(UnsupportedInputError, match=r"FAMILIES\[.*\] = ModulePaths\(") as error:
        _ = lm.sites
    name = lm._net.config.model_type
    assert repr(name) in str(error.value)
    monkeypatch.setitem(FAMILIES, name, ModulePaths("model.decoder"))
    with pytest.raises(InvalidInputError, match="has no attribute `"):
        _ = lm.sites
    if kind == "gemma3n-text":
        monkeypatch.setitem(FAMILIES, name, ModulePaths("model"))
        assert "lm.attn.3" in lm.sites
