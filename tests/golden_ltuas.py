"""A tiny LTU-AS in the original format, and the outputs of the original code."""

import re
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import WhisperConfig, WhisperModel

from audioprobe.models.ltu.assembly import build_from_published, infer_config
from audioprobe.models.ltu.audio_prefix import AudioPrefix
from audioprobe.models.ltu.network import LTUNetwork
from tests.golden_ltu import tiny_base, tiny_config
from tests.signals import chirp_10s, sweep

FOLDER = Path(__file__).parent / "data" / "ltuas"

SOUNDS = {
    "chirp_1s_16k": sweep(16_000, 16_000, 100, 7000, 0.5),
    "chirp_10s_16k": chirp_10s(),
    "chirp_12s_16k": sweep(192_000, 16_000, 50, 7500, 0.5),  # longer than the model's input
}

# Names in Whisper's own code, and in transformers.
_WHISPER_NAMES = (
    (r"^encoder\.blocks\.", "layers."),
    (r"^encoder\.positional_embedding$", "embed_positions.weight"),
    (r"^encoder\.ln_post\.", "layer_norm."),
    (r"^encoder\.", ""),
    (r"attn\.query\.", "self_attn.q_proj."),
    (r"attn\.key\.", "self_attn.k_proj."),
    (r"attn\.value\.", "self_attn.v_proj."),
    (r"attn\.out\.", "self_attn.out_proj."),
    (r"attn_ln\.", "self_attn_layer_norm."),
    (r"mlp\.0\.", "fc1."),
    (r"mlp\.2\.", "fc2."),
    (r"mlp_ln\.", "final_layer_norm."),
)


def tiny_trainable() -> dict[str, Tensor]:
    return load_file(FOLDER / "tiny_trainable.safetensors")


@cache
def tiny_net() -> LTUNetwork:
    base = {name: value for name, value in tiny_base().items() if "audio" not in name}
    config = infer_config(tiny_config().llama, base, tiny_trainable())
    return build_from_published(config, base, tiny_trainable(), source="tiny")


def tiny_prefix() -> AudioPrefix:
    return tiny_net().prefix


@cache
def golden() -> dict[str, Tensor]:
    return load_file(FOLDER / "tiny_io.safetensors")


@cache
def whisper_golden() -> dict[str, Tensor]:
    return load_file(FOLDER / "whisper_io.safetensors")


def whisper_weights() -> dict[str, Tensor]:
    """Return the weights of the tiny encoder of the golden data, by transformers' names."""
    renamed = {}
    for name, tensor in load_file(FOLDER / "whisper_encoder.safetensors").items():
        ours = name
        for pattern, replacement in _WHISPER_NAMES:
            ours = re.sub(pattern, replacement, ours)
        renamed[ours] = tensor
    return renamed


def whisper_model(width: int = 32, n_blocks: int = 4) -> WhisperModel:
    """Return a complete Whisper with random weights and a small decoder."""
    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=20,
        d_model=width,
        encoder_layers=n_blocks,
        encoder_attention_heads=4,
        encoder_ffn_dim=4 * width,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=16,
        decoder_start_token_id=1,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    return WhisperModel(config).eval()
