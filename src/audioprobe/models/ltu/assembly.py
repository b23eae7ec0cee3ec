"""Build LTU networks from tensors, and check that no tensor is missing or unexpected.

A network consists of the base (a LLaMA), LoRA adapters, and the audio prefix (the audio encoder and
the projection of its output to tokens of the LLaMA). "Published names" are the parameter names in
the authors' checkpoints; `map_names` maps them to those of `LTUNetwork`.

A published checkpoint is one flat dictionary. In the authors' base folder, names have no prefix; in
other checkpoints, LoRA and audio parameters have peft's prefix. Blocks of CAV-MAE have six norms,
but only two are used: norm1 and norm2 in the first eleven blocks, norm1_a and norm2_a in the block
shared with images.
"""

import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import LlamaConfig

from audioprobe.errors import AudioProbeError, WeightsError
from audioprobe.models.causal_lm.configuration import LOADING_ERRORS
from audioprobe.models.causal_lm.loading import load_state
from audioprobe.models.ltu.audio_encoder import CavMaeConfig, TltrConfig
from audioprobe.models.ltu.audio_prefix import (
    GATE,
    AudioConfig,
    AudioPrefix,
    GatedCrossAttention,
)
from audioprobe.models.ltu.network import LTUConfig, LTUNetwork

N_HEADS = 12  # attention heads of LTU's published encoders; tensor shapes do not tell

_PEFT_PREFIX = "base_model.model."
_AUDIO = "model.audio_encoder."
_PROJECTION = "model.audio_proj.1."
_LANGUAGE_MODEL = ("model.layers.", "model.embed_tokens.", "model.norm.", "lm_head.")
_AUDIO_BLOCK = re.compile(r"audio_encoder\.blocks_a\.(\d+)\.")

_OUTSIDE_BLOCKS = {
    "patch_embed_a.proj.weight": "patches.weight",
    "patch_embed_a.proj.bias": "patches.bias",
    "pos_embed_a": "positions",
    "modality_a": "modality",
    "norm_a.weight": "norm.weight",
    "norm_a.bias": "norm.bias",
}
_IN_BLOCK = {
    "norm1": "norm1",
    "norm2": "norm2",
    "attn.qkv": "query_key_value",
    "attn.proj": "output",
    "mlp.fc1": "widen",
    "mlp.fc2": "narrow",
}

# LTU-AS: two blocks named as in Whisper's own code.
_TLTR_BLOCKS = {"time_tr": "over_time", "layer_tr": "over_layers"}
_IN_TLTR_BLOCK = {
    "attn_ln": "norm1",
    "attn.query": "query",
    "attn.key": "key",
    "attn.value": "value",
    "attn.out": "output",
    "mlp_ln": "norm2",
    "mlp.0": "widen",
    "mlp.2": "narrow",
}

# Ignored: buffers that transformers computes, norms that a block does not use, CAV-MAE's vision.
_UNUSED = re.compile(
    r"rotary_emb\.inv_freq$"
    r"|audio_encoder\.(blocks_v\.|patch_embed_v\.|pos_embed_v$|modality_v$|norm_v\.|norm\.|mlp_head\.)"
    r"|audio_encoder\.blocks_a\.\d+\.norm[12]_[av]\."
    r"|audio_encoder\.blocks_u\.\d+\.norm[12](_v)?\."
)


@dataclass(frozen=True, slots=True)
class NameMapping:
    """Result of mapping the parameter names in a published checkpoint.

    Attributes:
        names: name in `LTUNetwork` for each published name.
        unused: published names of parameters that the network does not need.
        unknown: published names that are not recognised.
    """

    names: dict[str, str]
    unused: tuple[str, ...]
    unknown: tuple[str, ...]


def map_names(published: Iterable[str]) -> NameMapping:
    """Map parameter names of a published checkpoint to the names in `LTUNetwork`."""
    every_name = list(published)
    # The block that CAV-MAE shares with images follows the audio blocks.
    n_audio_blocks = len({n for name in every_name for n in _AUDIO_BLOCK.findall(name)})
    names: dict[str, str] = {}
    unused, unknown = [], []
    for name in every_name:
        bare = name.removeprefix(_PEFT_PREFIX)
        if _UNUSED.search(bare):
            unused.append(name)
        elif (mapped := _map_name(bare, n_audio_blocks)) is None:
            unknown.append(name)
        else:
            names[name] = mapped
    return NameMapping(names, tuple(unused), tuple(unknown))


def _map_name(bare: str, n_audio_blocks: int) -> str | None:
    """Return the name in `LTUNetwork` for a published name, or None if the name is unknown."""
    if bare.startswith(_PROJECTION):
        return f"prefix.projection.{bare.removeprefix(_PROJECTION)}"
    if bare.startswith(_AUDIO):
        mapped = _map_audio_name(bare.removeprefix(_AUDIO), n_audio_blocks)
        return None if mapped is None else f"prefix.encoder.{mapped}"
    return f"llama.{bare}" if bare.startswith(_LANGUAGE_MODEL) else None


def _map_audio_name(name: str, n_audio_blocks: int) -> str | None:
    """Return the name in the audio encoder for a published name, or None if it is unknown."""
    if name in _OUTSIDE_BLOCKS:
        return _OUTSIDE_BLOCKS[name]
    block, _, rest = name.partition(".")
    if block in _TLTR_BLOCKS:
        part, _, ending = rest.rpartition(".")
        mapped = _IN_TLTR_BLOCK.get(part)
        return None if mapped is None else f"{_TLTR_BLOCKS[block]}.{mapped}.{ending}"
    match = re.fullmatch(r"blocks_([au])\.(\d+)\.(.+)\.(weight|bias)", name)
    if match is None:
        return None
    kind, number, part, ending = match.groups()
    shared = kind == "u"
    mapped = _IN_BLOCK.get(part.removesuffix("_a") if shared else part)
    position = int(number) + (n_audio_blocks if shared else 0)
    return None if mapped is None else f"blocks.{position}.{mapped}.{ending}"


def infer_config(llama: Mapping[str, Any], *checkpoints: Mapping[str, Tensor]) -> LTUConfig:
    """Infer the configuration of an LTU from tensor shapes.

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
    width = shapes["prefix.projection.weight"][1]
    audio: AudioConfig = TltrConfig(width=width)
    if not any(name.startswith("prefix.encoder.over_time.") for name in shapes):
        block = re.compile(r"^prefix\.encoder\.blocks\.(\d+)\.")
        n_blocks = len({n for name in shapes for n in block.findall(name)})
        mlp_width = shapes.get("prefix.encoder.blocks.0.widen.weight", (0,))[0]
        audio = CavMaeConfig(width=width, n_heads=N_HEADS, n_blocks=n_blocks, mlp_width=mlp_width)
    return LTUConfig(audio=audio, llama=dict(llama), lora_rank=max(ranks, default=0))


def build_from_published(
    config: LTUConfig,
    *checkpoints: Mapping[str, Tensor],
    trained: Mapping[str, Tensor] | None = None,
    source: str,
) -> LTUNetwork:
    """Build an LTU in evaluation mode from tensors with published names.

    Args:
        config: configuration of the network.
        checkpoints: tensors by published name, the base first. The tensors of a later checkpoint
            replace those of an earlier one; for example, a trained audio encoder.
        trained: tensors of audio prefix and LoRA by their names in `LTUNetwork`, which replace all
            audio tensors in the checkpoints; None uses the checkpoints only.
        source: name or path of the last checkpoint, for messages.

    Raises:
        WeightsError: if a tensor is missing or unexpected, or has the wrong shape.
    """
    tensors: dict[str, Tensor] = {}
    unknown: dict[str, Tensor] = {}
    for checkpoint in checkpoints:
        mapping = map_names(checkpoint)
        unknown |= {name: checkpoint[name] for name in mapping.unknown}
        tensors |= {mapped: checkpoint[name] for name, mapped in mapping.names.items()}
    if trained is not None:
        llama = {name: tensor for name, tensor in tensors.items() if name.startswith("llama.")}
        return build_network(config, llama | unknown | dict(trained), source=source)
    width = config.llama["hidden_size"]
    projection = tensors.get("prefix.projection.bias")
    if projection is not None and projection.shape != (width,):
        raise WeightsError(
            f"{source}: expected a base of width {projection.shape[0]}, but the given base "
            f"has width {width} (LTU-7B: 4096, LTU-13B: 5120). Pass the LLaMA that this checkpoint "
            "was trained on."
        )
    return build_network(config, tensors | unknown, source=source)


def build_network(config: LTUConfig, tensors: Mapping[str, Tensor], *, source: str) -> LTUNetwork:
    """Build an LTU in evaluation mode; `tensors` become its parameters and are not copied.

    Raises:
        WeightsError: if a tensor is missing or unexpected, or has the wrong shape. The message
            names `source`.
    """
    net = _network(config, len(tensors), source)
    with torch.device("meta"):
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


def _network(config: LTUConfig, n_tensors: int, source: str) -> LTUNetwork:
    """Return a network without parameters; raise `WeightsError` if none has this configuration."""
    # Each layer has several tensors. More layers would take a long time to build.
    layers = {"num_hidden_layers": config.llama.get("num_hidden_layers", 1)}
    if isinstance(config.audio, CavMaeConfig):
        layers["n_blocks"] = config.audio.n_blocks
    for name, number in layers.items():
        if not isinstance(number, int) or not 0 < number <= n_tensors:
            raise WeightsError(
                f"{source}: expected at most as many layers as the {n_tensors} tensors of the "
                f"checkpoint, got {name}={number!r:.60}. Download or convert the model again."
            )
    try:
        with torch.device("meta"):
            return LTUNetwork(config)
    except AudioProbeError:
        raise
    except LOADING_ERRORS as error:
        raise WeightsError(
            f"{source}: no network has the configuration in its files ({error!r:.300}). Download "
            "or convert the model again."
        ) from error


def initial_tensors(config: LTUConfig, seed: int) -> dict[str, Tensor]:
    """Return untrained tensors of audio prefix and LoRA by their names in `LTUNetwork`."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        llama = LlamaConfig(**config.llama)
        prefix = AudioPrefix(
            config.audio, llama.hidden_size, config.connector, llama.num_hidden_layers
        ).state_dict()
        return {f"prefix.{name}": tensor for name, tensor in prefix.items()} | _lora_tensors(config)


def _lora_tensors(config: LTUConfig) -> dict[str, Tensor]:
    """Return LoRA tensors initialised as in peft: A is random, and B is 0."""
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
    """Return `name` with "base_layer" inserted if LoRA wraps its layer, otherwise unchanged."""
    module, _, parameter = name.rpartition(".")
    inner = f"{module}.base_layer.{parameter}"
    return inner if inner in expected else name
