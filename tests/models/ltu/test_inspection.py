"""Activations of a tiny LTU, compared with the network called by hand."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.golden_ltu import character_tokenizer, new_net
from tests.tiny_ltu import write_base
from torch import Tensor

from audioprobe.errors import InvalidInputError, OutOfMemoryError, UnsupportedInputError
from audioprobe.models.ltu.audio_frontend import feature_config
from audioprobe.models.ltu.audio_prefix import GatedCrossAttention
from audioprobe.models.ltu.checkpoint import init_ltu
from audioprobe.models.ltu.model import LTU
from audioprobe.models.ltu.trainable import TEMPLATE
from audioprobe.protocols import Inspectable
from audioprobe.sites import InspectedPrompt
from audioprobe.types import ComponentInfo, Example, Prompt, Waveform


def noise(seconds: float, seed: int = 0) -> Waveform:
    values = np.random.default_rng(seed).uniform(-0.3, 0.3, round(seconds * 16_000))
    return Waveform(values.astype(np.float32), 16_000)


QUESTION = "Is a crow a bird, or is the crow a fish?"
PROMPTS = [
    InspectedPrompt(Prompt(QUESTION, noise(10.0)), "Yes.", "crow"),
    InspectedPrompt(Prompt("Why?")),
    InspectedPrompt(Prompt("Which animal calls?", noise(3.0, 1))),
]


@pytest.fixture(scope="module")
def merged(base: Path, checkpoint: Path) -> LTU:
    return LTU.from_pretrained(checkpoint, base=base)


@pytest.fixture(scope="module")
def unmerged() -> LTU:
    return LTU(new_net(), character_tokenizer(), ComponentInfo("language_model", "tiny"))


@pytest.fixture(scope="module")
def bfloat16(base: Path, checkpoint: Path) -> LTU:
    return LTU.from_pretrained(checkpoint, base=base, dtype="bfloat16")


def states_of(model: Inspectable, prompts: list[InspectedPrompt]) -> dict[tuple[int, str], Tensor]:
    states: dict[tuple[int, str], Tensor] = {}

    def store(site: str, number: int, values: Tensor) -> None:
        states[number, site] = values.clone()

    model.run_with_hooks(prompts, {site: partial(store, site) for site in model.sites})
    return states


def n_hooks(module: torch.nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in module.modules())


@pytest.mark.parametrize("name", ["merged", "unmerged"])
def test_states_equal_those_of_the_network_called_by_hand(
    name: str, request: pytest.FixtureRequest
) -> None:
    model: LTU = request.getfixturevalue(name)
    assert isinstance(model, Inspectable)
    net, states = model._net, states_of(model, PROMPTS[:1])
    waveform = PROMPTS[0].prompt.audio
    assert waveform is not None
    expected: dict[str, Tensor] = {}
    with torch.inference_mode():
        encoder = net.prefix.encoder
        expected["encoder.input"] = spectrogram = model._audio._frontend(waveform)
        tokens = encoder.embed(spectrogram) + encoder.positions + encoder.modality
        for n, block in enumerate(encoder.blocks):
            expected[f"encoder.block.{n}"] = tokens = block(tokens)
        expected["encoder.out"] = tokens = encoder.norm(tokens)
        expected["encoder.pooled"] = tokens = net.prefix.pool(tokens)
        expected["connector.out"] = tokens = net.prefix.project(tokens)
        text = TEMPLATE.replace("{}", QUESTION) + "Yes."
        ids = torch.tensor([model._prompts.tokenize(text)])
        outputs = net.llama(inputs_embeds=net.embed(ids, tokens), output_hidden_states=True)
    expected["lm.embed"], *layers, expected["lm.norm"] = outputs.hidden_states
    expected |= {f"lm.resid.{n}": layer for n, layer in enumerate(layers)}
    expected["lm.logits"] = outputs.logits
    last = len(net.llama.model.layers) - 1
    parts = [f"lm.{kind}.{n}" for kind in ("attn", "mlp") for n in range(last + 1)]
    assert {site for _, site in states} == {*expected, *parts, f"lm.resid.{last}"}
    for site, values in expected.items():
        torch.testing.assert_close(states[0, site], values[0], atol=1e-4, rtol=1e-4, msg=site)
    before = "lm.embed"
    for n in range(last + 1):
        total = sum(states[0, site] for site in (before, f"lm.attn.{n}", f"lm.mlp.{n}"))
        before = f"lm.resid.{n}"
        torch.testing.assert_close(states[0, before], total, atol=1e-4, rtol=1e-4)
    normed = net.llama.model.norm(states[0, before])
    torch.testing.assert_close(states[0, "lm.norm"], normed, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["merged", "unmerged", "bfloat16"])
def test_batch_does_not_change_states(name: str, request: pytest.FixtureRequest) -> None:
    model: LTU = request.getfixturevalue(name)
    together = states_of(model, PROMPTS)
    for number, prompt in enumerate(PROMPTS):
        alone = states_of(model, [prompt])
        assert {site for _, site in alone} == {site for n, site in together if n == number}
        for (_, site), values in alone.items():
            tolerance = 0.02 * float(values.abs().max()) if name == "bfloat16" else 1e-4
            other = together[number, site]
            torch.testing.assert_close(other, values, atol=tolerance, rtol=0, msg=site)
    audio_sites = {site for n, site in together if n == 1}
    assert not any(site.startswith(("encoder", "connector")) for site in audio_sites)


def test_spans_are_the_characters_of_the_prompt(merged: LTU) -> None:
    layout = merged.layout(PROMPTS[0])
    text = TEMPLATE.replace("{}", QUESTION)
    start = 32 + 1  # audio tokens, then the beginning-of-sequence token
    question = start + text.index(QUESTION)
    concept = question + QUESTION.index("crow")
    end = start + len(text)
    assert layout.n_tokens == end + len("Yes.")
    assert layout.positions("lm.resid.0", "bos") == (32,)
    assert layout.positions("lm.resid.0", "audio") == tuple(range(32))
    assert layout.positions("lm.resid.0", "question") == tuple(
        range(question, question + len(QUESTION))
    )
    assert layout.positions("lm.resid.0", "concept") == tuple(range(concept, concept + 4))
    assert layout.positions("lm.resid.0", "last") == (end - 1,)
    assert layout.positions("lm.resid.0", "answer") == tuple(range(end, end + 4))
    # 320 ms per token, 160 ms per patch in 8 bands, 10 ms per frame
    assert layout.positions("lm.norm", "audio[1.2s:2.0s]") == (3, 4, 5, 6)
    assert layout.positions("connector.out", "audio[1.2s:2.0s]") == (3, 4, 5, 6)
    patches = tuple(64 * band + step for band in range(8) for step in range(7, 13))
    assert layout.positions("encoder.block.3", "audio[1.2s:2.0s]") == patches
    assert layout.positions("encoder.input", "audio[1.2s:2.0s]") == tuple(range(120, 200))


def test_missing_parts_have_no_positions(merged: LTU) -> None:
    layout = merged.layout(PROMPTS[1])
    for span in ("concept", "answer", "audio", "audio[0s:1s]"):
        assert layout.positions("lm.embed", span) == ()
    examples = (Example("Why?", "So."),)
    layout = merged.layout(InspectedPrompt(Prompt("Why?", examples=examples)))
    last = layout.positions("lm.embed", "last")[0]
    question = layout.positions("lm.embed", "question")
    assert last - question[-1] == len("\n\n### Response:\n")  # the question, not the example


def test_replaced_states_change_later_states_only(merged: LTU) -> None:
    plain = states_of(merged, PROMPTS[:1])
    seen: dict[str, Tensor] = {}

    def zero_last(_: int, states: Tensor) -> Tensor:
        changed = states.clone()
        changed[-1] = 0
        return changed

    merged.run_with_hooks(
        [PROMPTS[1], PROMPTS[0]],
        {
            "lm.resid.0": lambda n, x: zero_last(n, x) if n == 1 else None,
            "lm.resid.1": lambda n, x: seen.__setitem__(f"resid {n}", x.clone()),
        },
    )
    torch.testing.assert_close(seen["resid 1"][:-1], plain[0, "lm.resid.1"][:-1])
    assert not torch.allclose(seen["resid 1"][-1], plain[0, "lm.resid.1"][-1])
    torch.testing.assert_close(seen["resid 0"], states_of(merged, PROMPTS[1:2])[0, "lm.resid.1"])
    for site in ("encoder.block.2", "encoder.pooled", "connector.out"):
        merged.run_with_hooks(
            PROMPTS[:1],
            {site: zero_last, "lm.embed": lambda _, x: seen.__setitem__("embed", x.clone())},
        )
        changed = (seen["embed"] - plain[0, "lm.embed"]).abs().amax(dim=1) > 0
        assert changed[:32].any(), site
        assert not changed[32:].any()
    after = states_of(merged, PROMPTS[:1])  # no changed audio token is cached
    assert all(torch.equal(after[key], plain[key]) for key in plain)


def test_hooks_accept_names_of_transformer_lens(merged: LTU) -> None:
    seen: dict[str, Tensor] = {}
    name = "blocks.1.hook_resid_post"
    merged.run_with_hooks(PROMPTS[1:2], {name: lambda _, x: seen.__setitem__(name, x.clone())})
    assert torch.equal(seen[name], states_of(merged, PROMPTS[1:2])[0, "lm.resid.1"])


def test_hooks_are_removed_also_after_an_error(unmerged: LTU) -> None:
    before = n_hooks(unmerged._net)

    def fail(_: int, __: Tensor) -> None:
        raise ZeroDivisionError

    for site in ("encoder.input", "connector.out", "lm.embed", "lm.resid.1"):
        with pytest.raises(ZeroDivisionError):
            unmerged.run_with_hooks(PROMPTS[:1], {"lm.logits": fail, site: fail})
        assert n_hooks(unmerged._net) == before
    states_of(unmerged, PROMPTS)
    assert n_hooks(unmerged._net) == before


def test_batch_that_does_not_fit_into_memory_raises_an_error_of_the_library(merged: LTU) -> None:
    def fail(_: int, __: Tensor) -> None:
        raise torch.OutOfMemoryError

    for site in ("encoder.out", "lm.resid.0"):
        with pytest.raises(OutOfMemoryError):
            merged.run_with_hooks(PROMPTS[:1], {site: fail})


def test_invalid_hooks_and_prompts_raise(merged: LTU) -> None:
    with pytest.raises(InvalidInputError, match=r"Did you mean 'lm\.resid\.0'"):
        merged.run_with_hooks(PROMPTS[:1], {"lm.residual.0": lambda _, __: None})
    with pytest.raises(InvalidInputError, match="Return all positions"):
        merged.run_with_hooks(PROMPTS[:1], {"lm.resid.0": lambda _, x: x[:1]})
    with pytest.raises(UnsupportedInputError, match="examples with audio"):
        merged.layout(InspectedPrompt(Prompt("Why?", examples=(Example("A?", "B", noise(1.0)),))))


@pytest.mark.parametrize("trainable", [False, True])
def test_features_of_yamnet(tmp_path: Path, trainable: bool) -> None:
    base = write_base(tmp_path / "base", with_sound=False)
    audio = feature_config("yamnet", {"hop": 0.48}, trainable=trainable)
    checkpoint = init_ltu(base, {"audio": audio, "lora_rank": 2}, seed=1)
    model = LTU(checkpoint.net, checkpoint.tokenizer, ComponentInfo("language_model", "tiny"))
    states = states_of(model, PROMPTS[:1])
    waveform = PROMPTS[0].prompt.audio
    assert waveform is not None
    assert ("encoder.input" in model.sites) == trainable
    if trainable:
        assert states[0, "encoder.input"].shape == (21, 96 * 64)
    else:
        features = model._audio._frontend(waveform)
        torch.testing.assert_close(states[0, "encoder.out"], features[0])
    assert states[0, "encoder.out"].shape == (21, 1024)
    tokens, _ = model._audio.encode(waveform)
    torch.testing.assert_close(states[0, "connector.out"], tokens)
    positions = model.layout(PROMPTS[0]).positions("encoder.out", "audio[4.8s:9.6s]")
    assert positions == tuple(range(10, 20))


def test_ltu_as_has_the_sites_after_its_encoder(
    checkpoint_as: Path, base_as: Path, whisper: Path
) -> None:
    model = LTU.from_pretrained(checkpoint_as, base=base_as, whisper=whisper)
    assert model.sites[:3] == ("encoder.out", "connector.out", "lm.embed")
    states = states_of(model, PROMPTS[:1])
    tokens, _ = model._audio.encode(noise(10.0))
    torch.testing.assert_close(states[0, "connector.out"], tokens)
    torch.testing.assert_close(states[0, "lm.embed"][:25], tokens)
    layout = model.layout(PROMPTS[0])
    assert layout.positions("encoder.out", "audio[0.8s:1.2s]") == (2,)


def test_cross_attention_adapter_is_a_site() -> None:
    net = new_net()
    hidden = net.prefix.projection.out_features
    texts = torch.randn(5, hidden, generator=torch.Generator().manual_seed(0))
    gate = GatedCrossAttention.from_texts(texts, width=8, seed=0).eval()
    with torch.no_grad():
        gate.opening.fill_(0.5)
        gate.out.weight.normal_(generator=torch.Generator().manual_seed(1))
    net.prefix.gate = gate
    model = LTU(net, character_tokenizer(), ComponentInfo("language_model", "tiny"))
    assert model.sites.index("xattn.0") + 1 == model.sites.index("connector.out")
    states = states_of(model, PROMPTS[:1])
    with torch.inference_mode():
        projected = net.prefix.project(states[0, "encoder.pooled"][None])[0]
    added = torch.tanh(torch.tensor(0.5)) * states[0, "xattn.0"]
    torch.testing.assert_close(states[0, "connector.out"], projected + added, atol=1e-4, rtol=1e-4)
    positions = model.layout(PROMPTS[0]).positions("xattn.0", "audio")
    assert positions == tuple(range(len(states[0, "xattn.0"])))
