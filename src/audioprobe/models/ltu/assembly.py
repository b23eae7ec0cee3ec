"""From published checkpoints to a network: every parameter accounted for, nothing guessed."""

import math
import re
from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from audioprobe.errors import WeightsError
from audioprobe.models.ltu.audio_prefix import AudioConfig, prefix_for
from audioprobe.models.ltu.cavmae import CavMaeConfig
from audioprobe.models.ltu.cross_attention import NAME as GATE
from audioprobe.models.ltu.cross_attention import attach_cross_attention
from audioprobe.models.ltu.load_state import load_state
from audioprobe.models.ltu.network import LTUConfig, LTUNetwork
from audioprobe.models.ltu.published_names import rename, renamed
from audioprobe.models.ltu.tltr import TltrConfig

N_HEADS = 12  # of LTU's audio encoder: no shape tells, and every published LTU has it


def config_of(llama: Mapping[str, Any], *checkpoints: Mapping[str, Tensor]) -> LTUConfig:
    """Sizes of the model that checkpoints hold.

    Args:
        llama: transformers' configuration of the language model.
        checkpoints: in the order of loading; published names.

    Raises:
        WeightsError: if there is no audio encoder in them.
    """
    shapes = {
        name: tuple(tensor.shape)
        for checkpoint in checkpoints
        for name, tensor in renamed(checkpoint).items()
    }
    if "prefix.projection.weight" not in shapes:
        raise WeightsError(
            "These checkpoints hold no audio projection (audio_proj.1.weight): LTU publishes it "
            "with every trained checkpoint. Is this the trained file, and not the base?"
        )
    ranks = {shape[0] for name, shape in shapes.items() if "lora_A" in name}
    return LTUConfig(
        audio=_audio_config(shapes), llama=dict(llama), lora_rank=max(ranks, default=0)
    )


def _audio_config(shapes: Mapping[str, tuple[int, ...]]) -> AudioConfig:
    width = shapes["prefix.projection.weight"][1]
    if any(name.startswith("prefix.encoder.over_time.") for name in shapes):
        return TltrConfig(width=width)
    blocks = {n for name in shapes for n in re.findall(r"^prefix\.encoder\.blocks\.(\d+)\.", name)}
    return CavMaeConfig(
        width=width,
        n_heads=N_HEADS,
        n_blocks=len(blocks),
        mlp_width=shapes.get("prefix.encoder.blocks.0.widen.weight", (0,))[0],
    )


def assemble(config: LTUConfig, *checkpoints: Mapping[str, Tensor], source: str) -> LTUNetwork:
    """Build an LTU from flat dictionaries of published names.

    Args:
        config: sizes of the model.
        checkpoints: in the order of loading, the base first; a later one replaces what an earlier
            one has, as the base's audio encoder is replaced by the trained one.
        source: name or path of the last checkpoint, for messages.

    Returns:
        The network in evaluation mode, with the tensors of the checkpoints.

    Raises:
        WeightsError: if a parameter is missing, unexpected, or of another shape.
    """
    found: dict[str, Tensor] = {}
    unknown: dict[str, Tensor] = {}
    for checkpoint in checkpoints:
        names = rename(checkpoint)
        unknown |= {name: checkpoint[name] for name in names.unknown}
        found |= {ours: checkpoint[name] for name, ours in names.ours.items()}
    _refuse_other_width(config, found, source)
    return build(config, found | unknown, source=source)


def build(config: LTUConfig, tensors: Mapping[str, Tensor], *, source: str) -> LTUNetwork:
    """Build an LTU from the tensors of its own state dictionary.

    Args:
        config: sizes of the model.
        tensors: by our names; they become the parameters, without a copy.
        source: name or path, for messages.

    Returns:
        The network in evaluation mode.

    Raises:
        WeightsError: if a parameter is missing, unexpected, or of another shape.
    """
    with torch.device("meta"):
        net = LTUNetwork(config)
        net.prefix.gate = attach_cross_attention(tensors, f"prefix.{GATE}")
    names = net.state_dict().keys()
    found = {_adapted(name, names): value for name, value in tensors.items()}
    shared = found.get("llama.model.embed_tokens.weight")
    if net.llama.config.tie_word_embeddings and shared is not None:
        found.setdefault("llama.lm_head.weight", shared)
    load_state(net, found, source=source)
    net.llama.tie_weights()  # a new network's are tied, and `load_state` gave each name its own
    _restore_buffers(net)
    return net


def join(
    config: LTUConfig, base: Mapping[str, Tensor], trained: Mapping[str, Tensor], *, source: str
) -> LTUNetwork:
    """Build an LTU from a LLaMA and what was trained on it.

    Args:
        config: sizes of the model.
        base: tensors of the LLaMA, by published names; audio parameters in it are left out.
        trained: audio half and adapters, by our names.
        source: name or path, for messages.

    Returns:
        The network in evaluation mode.

    Raises:
        WeightsError: if a parameter is missing, unexpected, or of another shape.
    """
    names = rename(base)
    llama = {ours: base[name] for name, ours in names.ours.items() if ours.startswith("llama.")}
    llama |= {name: base[name] for name in names.unknown}
    return build(config, {**llama, **trained}, source=source)


def untrained(config: LTUConfig, seed: int) -> dict[str, Tensor]:
    """Audio half and adapters of an LTU that hears nothing yet and reads as its LLaMA does.

    Args:
        config: sizes of the model.
        seed: of the audio half and the adapters, which begin as torch and peft begin theirs.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        prefix = prefix_for(config.audio, int(config.llama["hidden_size"])).state_dict()
        return {f"prefix.{name}": tensor for name, tensor in prefix.items()} | _adapters(config)


def _adapters(config: LTUConfig) -> dict[str, Tensor]:
    """As peft: the first map is random, the second 0, so that together they change nothing."""
    with torch.device("meta"):
        net = LTUNetwork(config)
    found = {}
    for name, parameter in net.named_parameters():
        if "lora_" in name:
            found[name] = torch.zeros(parameter.shape)
        if "lora_A" in name:
            nn.init.kaiming_uniform_(found[name], a=math.sqrt(5))
    return found


def _adapted(name: str, expected: Collection[str]) -> str:
    """Where peft keeps a projection that has an adapter."""
    module, _, parameter = name.rpartition(".")
    inner = f"{module}.base_layer.{parameter}"
    return inner if inner in expected else name


def _refuse_other_width(config: LTUConfig, found: Mapping[str, Tensor], source: str) -> None:
    """The commonest mistake, in one sentence: the adapter of one size on the base of another."""
    width = config.llama["hidden_size"]
    projection = found.get("prefix.projection.bias")
    if projection is not None and projection.shape != (width,):
        raise WeightsError(
            f"{source}: was trained for a language model of width {projection.shape[0]}, and the "
            f"base has width {width} (LTU-7B has 4096, LTU-13B has 5120): name the base that it "
            "was trained on."
        )


def _restore_buffers(net: LTUNetwork) -> None:
    """Compute what is no parameter: the rotary frequencies were laid out without memory too."""
    rotary = net.llama.model.rotary_emb
    net.llama.model.rotary_emb = type(rotary)(config=net.llama.config)
