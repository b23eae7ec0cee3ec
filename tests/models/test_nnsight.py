"""States and interventions of nnsight on the same network, if it is installed."""

from functools import partial
from typing import Any

import pytest
import torch
from tests.golden_ltu import character_tokenizer, new_net
from tests.interpretability.tiny_answers import question
from tests.tiny_chat_models import saved
from torch import Tensor

from audioprobe.models.chat.inspection import ChatInspector
from audioprobe.models.chat.model import TransformersLM
from audioprobe.models.ltu.model import LTU
from audioprobe.types import ComponentInfo

nnsight: Any = pytest.importorskip("nnsight", reason="needs nnsight")


def store(states: dict[str, Tensor], site: str, _: int, values: Tensor) -> None:
    states[site] = values.clone()


def test_states_and_interventions_of_ltu_are_equal() -> None:
    net = new_net()
    lm = LTU(net, character_tokenizer(), ComponentInfo("language_model", "tiny"))
    item = question(0)
    positions = list(lm.layout(item).positions("lm.resid.0", "audio"))
    states: dict[str, Tensor] = {}
    sites = ("lm.embed", "lm.resid.0", "lm.attn.1", "lm.logits")
    lm.run_with_hooks([item], {site: partial(store, states, site) for site in sites})

    def remove(_: int, values: Tensor) -> Tensor:
        changed = values.clone()
        changed[positions] = 0
        return changed

    changed: dict[int, Tensor] = {}
    lm.run_with_hooks([item], {"lm.resid.0": remove, "lm.logits": changed.__setitem__})
    llama = nnsight.NNsight(net.llama)
    inputs = {"inputs_embeds": states["lm.embed"][None], "use_cache": False}
    with torch.inference_mode(), llama.trace(**inputs):
        layer = llama.model.layers[0].output.save()
        attention = llama.model.layers[1].self_attn.output[0].save()
        logits = llama.lm_head.output.save()
    assert torch.equal(layer[0], states["lm.resid.0"])
    assert torch.equal(attention[0], states["lm.attn.1"])
    assert torch.equal(logits[0], states["lm.logits"])
    with torch.inference_mode(), llama.trace(**inputs):
        llama.model.layers[0].output[:, positions] = 0
        other = llama.lm_head.output.save()
    assert torch.equal(other[0], changed[0])
    assert not torch.allclose(other, logits)
    again: dict[int, Tensor] = {}
    lm.run_with_hooks([item], {"lm.logits": again.__setitem__})  # nnsight leaves no trace
    assert torch.equal(again[0], states["lm.logits"])


def test_states_of_encoder_connector_and_layers_of_a_chat_model_are_equal() -> None:
    lm = TransformersLM(saved("qwen2-audio"))
    item = question(0)
    states: dict[str, Tensor] = {}
    sites = ("encoder.block.0", "connector.out", "lm.resid.1", "lm.logits")
    lm.run_with_hooks([item], {site: partial(store, states, site) for site in sites})
    inspector = lm._inspector
    assert isinstance(inspector, ChatInspector)
    inputs = inspector._on_device(inspector._tokenize(item).inputs)
    net = nnsight.NNsight(lm._net)
    with torch.inference_mode(), net.trace(**inputs, use_cache=False):
        block = net.model.audio_tower.layers[0].output.save()
        connector = net.model.multi_modal_projector.output.save()
        layer = net.model.language_model.layers[1].output.save()
        logits = net.lm_head.output.save()
    for site, values in zip(sites, (block, connector, layer, logits), strict=True):
        assert torch.equal(values[0], states[site]), site
