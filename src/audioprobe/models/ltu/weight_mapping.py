"""Map the parameter names in published LTU and LTU-AS checkpoints to those of `LTUNetwork`.

A published checkpoint is one flat dictionary. In the authors' base folder, names have no prefix; in
other checkpoints, LoRA and audio parameters have peft's prefix. Blocks of CAV-MAE have six norms,
but only two are used: norm1 and norm2 in the first eleven blocks, norm1_a and norm2_a in the block
shared with images.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

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
    """The names in a published checkpoint: mapped, ignored, and unknown.

    Attributes:
        names: name in `LTUNetwork` for each published name.
        unused: published names of parameters that the network does not need.
        unknown: published names that are not recognised.
    """

    names: dict[str, str]
    unused: tuple[str, ...]
    unknown: tuple[str, ...]


def map_names(published: Iterable[str]) -> NameMapping:
    """Map the names in a published checkpoint, with or without peft's prefix."""
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
    if bare.startswith(_PROJECTION):
        return f"prefix.projection.{bare.removeprefix(_PROJECTION)}"
    if bare.startswith(_AUDIO):
        mapped = _map_audio_name(bare.removeprefix(_AUDIO), n_audio_blocks)
        return None if mapped is None else f"prefix.encoder.{mapped}"
    return f"llama.{bare}" if bare.startswith(_LANGUAGE_MODEL) else None


def _map_audio_name(name: str, n_audio_blocks: int) -> str | None:
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
