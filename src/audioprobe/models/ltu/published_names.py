"""Names of parameters in published LTU and LTU-AS checkpoints, and nowhere else.

A published checkpoint is one flat dictionary: the base directory without prefix, adapters and audio
parameters with the prefix that peft gave them when LTU was trained. CAV-MAE's blocks own six norms
of which two are used: the first eleven blocks use norm1 and norm2, the shared one norm1_a and
norm2_a.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

Value = TypeVar("Value")

_PEFT_PREFIX = "base_model.model."
_AUDIO = "model.audio_encoder."
_PROJECTION = "model.audio_proj.1."
_SPECIFIC_BLOCK = re.compile(r"audio_encoder\.blocks_a\.(\d+)\.")

_WHOLE = {
    "patch_embed_a.proj.weight": "patches.weight",
    "patch_embed_a.proj.bias": "patches.bias",
    "pos_embed_a": "positions",
    "modality_a": "modality",
    "norm_a.weight": "norm.weight",
    "norm_a.bias": "norm.bias",
}
_IN_BLOCK = {
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

# What published files hold besides: buffers that newer LLaMAs compute, the norms that a block does
# not use, and the visual half of CAV-MAE.
_LEFTOVERS = re.compile(
    r"rotary_emb\.inv_freq$"
    r"|audio_encoder\.(blocks_v\.|patch_embed_v\.|pos_embed_v$|modality_v$|norm_v\.|norm\.|mlp_head\.)"
    r"|audio_encoder\.blocks_a\.\d+\.norm[12]_[av]\."
    r"|audio_encoder\.blocks_u\.\d+\.norm[12](_v)?\."
)


@dataclass(frozen=True, slots=True)
class Renamed:
    """Where the entries of a published checkpoint belong.

    Attributes:
        ours: our name by published name.
        leftovers: published names that are known to have no place, and are not needed.
        unknown: published names that nobody expects.
    """

    ours: dict[str, str]
    leftovers: tuple[str, ...]
    unknown: tuple[str, ...]


def rename(published: Iterable[str]) -> Renamed:
    """Sort the names of a checkpoint.

    Args:
        published: its names, with or without peft's prefix.
    """
    names = list(published)
    # The block that CAV-MAE shares with vision comes last, after those for sound alone.
    n_specific = len({n for name in names for n in _SPECIFIC_BLOCK.findall(name)})
    ours: dict[str, str] = {}
    leftovers, unknown = [], []
    for name in names:
        bare = name.removeprefix(_PEFT_PREFIX)
        if _LEFTOVERS.search(bare):
            leftovers.append(name)
            continue
        found = _our_name(bare, n_specific)
        if found is None:
            unknown.append(name)
        else:
            ours[name] = found
    return Renamed(ours, tuple(leftovers), tuple(unknown))


def renamed(published: Mapping[str, Value]) -> dict[str, Value]:
    """The entries that have a place, under our names."""
    return {ours: published[name] for name, ours in rename(published).ours.items()}


def _our_name(bare: str, n_specific: int) -> str | None:
    if bare.startswith(_PROJECTION):
        return f"prefix.projection.{bare.removeprefix(_PROJECTION)}"
    if bare.startswith(_AUDIO):
        inside = _audio_name(bare.removeprefix(_AUDIO), n_specific)
        return None if inside is None else f"prefix.encoder.{inside}"
    if bare.startswith(("model.layers.", "model.embed_tokens.", "model.norm.", "lm_head.")):
        return f"llama.{bare}"
    return None


def _audio_name(inside: str, n_specific: int) -> str | None:
    if inside in _WHOLE:
        return _WHOLE[inside]
    block, _, rest = inside.partition(".")
    if block in _TLTR_BLOCKS:
        part, _, ending = rest.rpartition(".")
        name = _IN_TLTR_BLOCK.get(part)
        return None if name is None else f"{_TLTR_BLOCKS[block]}.{name}.{ending}"
    found = re.fullmatch(r"blocks_([au])\.(\d+)\.(.+)\.(weight|bias)", inside)
    if found is None:
        return None
    kind, number, part, ending = found.groups()
    position = int(number) + (n_specific if kind == "u" else 0)
    part = part.removesuffix("_a") if kind == "u" else part
    name = part if part in ("norm1", "norm2") else _IN_BLOCK.get(part)
    return None if name is None else f"blocks.{position}.{name}.{ending}"
