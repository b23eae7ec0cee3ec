"""Build LTU networks from tensors, and check that no tensor is missing or unexpected.

A network consists of the base (a LLaMA), LoRA adapters on its projections, and the audio prefix
(audio encoder and projection, whose output tokens precede the text). "Published names" are the
parameter names in the authors' checkpoints; `weight_mapping` maps them to those of `LTUNetwork`.
"""

import math
import re
from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from audioprobe.errors import WeightsError
from audioprobe.models.ltu.audio_encoder import CavMaeConfig, TltrConfig
from audioprobe.models.ltu.audio_prefix import GATE, AudioConfig, GatedCrossAttention, build_prefix
from audioprobe.models.ltu.network import LTUConfig, LTUNetwork, load_state
from audioprobe.models.ltu.weight_mapping import map_names

N_HEADS = 12  # attention heads of LTU's published encoders; tensor shapes do not tell


def infer_config(llama: Mapping[str, Any], *checkpoints: Mapping[str, Tensor]) -> LTUConfig:
    """Infer the configuration of a network from the tensor shapes in published checkpoints.

    Args:
        llama: transformers' configuration of the language model.
        checkpoints: tensors by published name, in the order in which they are loaded.

    Raises:
        WeightsError: if no checkpoint contains an audio projection.
    """
    shapes = {
        mapped: tuple(checkpoint[name].shape)
        for checkpoint in checkpoints
        for name, mapped in map_names(checkpoint).names.items()
    }
    if "prefix.projection.weight" not in shapes:
        raise WeightsError(
            "Expected an audio projection (audio_proj.1.weight) in the checkpoint, found none. "
            "Pass the checkpoint that LTU's authors trained, not the base LLaMA."
        )
    ranks = [shape[0] for name, shape in shapes.items() if "lora_A" in name]
    return LTUConfig(
        audio=_audio_config(shapes), llama=dict(llama), lora_rank=max(ranks, default=0)
    )


def _audio_config(shapes: Mapping[str, tuple[int, ...]]) -> AudioConfig:
    width = shapes["prefix.projection.weight"][1]
    if any(name.startswith("prefix.encoder.over_time.") for name in shapes):
        return TltrConfig(width=width)
    blocks = {n for name in shapes for n in re.findall(r"^prefix\.encoder\.blocks\.(\d+)\.", name)}
    mlp_width = shapes.get("prefix.encoder.blocks.0.widen.weight", (0,))[0]
    return CavMaeConfig(width=width, n_heads=N_HEADS, n_blocks=len(blocks), mlp_width=mlp_width)


def build_from_published(
    config: LTUConfig, *checkpoints: Mapping[str, Tensor], source: str
) -> LTUNetwork:
    """Build an LTU from tensors with published names.

    Args:
        config: configuration of the network.
        checkpoints: tensors by published name, the base first. If two checkpoints contain the same
            tensor, the later one is used; for example, the audio encoder of a trained checkpoint
            replaces the audio encoder of the base.
        source: name or path of the last checkpoint, for messages.

    Returns:
        The network in evaluation mode.

    Raises:
        WeightsError: if a tensor is missing or unexpected, or has the wrong shape.
    """
    tensors: dict[str, Tensor] = {}
    unknown: dict[str, Tensor] = {}
    for checkpoint in checkpoints:
        mapping = map_names(checkpoint)
        unknown |= {name: checkpoint[name] for name in mapping.unknown}
        tensors |= {mapped: checkpoint[name] for name, mapped in mapping.names.items()}
    width = config.llama["hidden_size"]
    projection = tensors.get("prefix.projection.bias")
    if projection is not None and projection.shape != (width,):
        raise WeightsError(
            f"{source}: expected a base of width {projection.shape[0]}, but the given base "
            f"has width {width} (LTU-7B: 4096, LTU-13B: 5120). Pass the LLaMA that this checkpoint "
            "was trained on."
        )
    return build_network(config, tensors | unknown, source=source)


def build_on_base(
    config: LTUConfig, base: Mapping[str, Tensor], trained: Mapping[str, Tensor], *, source: str
) -> LTUNetwork:
    """Build an LTU from a base and from tensors trained on this base.

    Args:
        config: configuration of the network.
        base: tensors of the LLaMA by published name; audio parameters among them are ignored.
        trained: tensors of audio prefix and LoRA by their names in `LTUNetwork`.
        source: name or path of the model, for messages.

    Returns:
        The network in evaluation mode.

    Raises:
        WeightsError: if a tensor is missing or unexpected, or has the wrong shape.
    """
    mapping = map_names(base)
    llama = {
        mapped: base[name] for name, mapped in mapping.names.items() if mapped.startswith("llama.")
    }
    unknown = {name: base[name] for name in mapping.unknown}
    return build_network(config, {**llama, **unknown, **trained}, source=source)


def build_network(config: LTUConfig, tensors: Mapping[str, Tensor], *, source: str) -> LTUNetwork:
    """Build an LTU from the tensors of its state dictionary.

    Args:
        config: configuration of the network.
        tensors: tensors by their names in `LTUNetwork`. They become the parameters and are not
            copied.
        source: name or path of the model, for messages.

    Returns:
        The network in evaluation mode.

    Raises:
        WeightsError: if a tensor is missing or unexpected, or has the wrong shape.
    """
    with torch.device("meta"):
        net = LTUNetwork(config)
        net.prefix.gate = GatedCrossAttention.from_tensors(tensors, f"prefix.{GATE}")
    names = net.state_dict().keys()
    state = {_peft_name(name, names): tensor for name, tensor in tensors.items()}
    embeddings = state.get("llama.model.embed_tokens.weight")
    if net.llama.config.tie_word_embeddings and embeddings is not None:
        state.setdefault("llama.lm_head.weight", embeddings)
    load_state(net, state, source=source)
    net.llama.tie_weights()  # `load_state` made them separate parameters
    # Rotary frequencies are buffers outside the state dictionary; compute them off the meta device.
    rotary = net.llama.model.rotary_emb
    net.llama.model.rotary_emb = type(rotary)(config=net.llama.config)
    return net


def initial_tensors(config: LTUConfig, seed: int) -> dict[str, Tensor]:
    """Return untrained tensors of audio prefix and LoRA, initialised as in torch and peft.

    Args:
        config: configuration of the network.
        seed: seed of the random values.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        prefix = build_prefix(config.audio, int(config.llama["hidden_size"])).state_dict()
        return {f"prefix.{name}": tensor for name, tensor in prefix.items()} | _lora_tensors(config)


def _lora_tensors(config: LTUConfig) -> dict[str, Tensor]:
    """Initialise LoRA as peft does: A is random and B is 0, so that their product is 0."""
    with torch.device("meta"):
        net = LTUNetwork(config)
    tensors = {}
    for name, parameter in net.named_parameters():
        if "lora_" in name:
            tensors[name] = torch.zeros(parameter.shape)
        if "lora_A" in name:
            nn.init.kaiming_uniform_(tensors[name], a=math.sqrt(5))
    return tensors


def _peft_name(name: str, expected: Collection[str]) -> str:
    """Return the name that peft gives to a parameter if its projection has LoRA."""
    module, _, parameter = name.rpartition(".")
    inner = f"{module}.base_layer.{parameter}"
    return inner if inner in expected else name
