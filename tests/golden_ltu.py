"""A tiny LTU in the original format, and the outputs of the original code."""

import json
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedTokenizerFast

from audioprobe.audio.filterbank import LTU
from audioprobe.models.ltu.assembly import build_from_published
from audioprobe.models.ltu.audio_encoder import CavMaeConfig
from audioprobe.models.ltu.audio_prefix import AudioPrefix
from audioprobe.models.ltu.network import LTUConfig, LTUNetwork
from tests.signals import chirp_10s, noise_5s

FOLDER = Path(__file__).parent / "data" / "ltu"


def tiny_config() -> LTUConfig:
    given = json.loads((FOLDER / "tiny_config.json").read_text())
    width = given["audio_embed_dim"]
    audio = CavMaeConfig(width=width, n_heads=given["audio_num_heads"], mlp_width=4 * width)
    llama = {key: value for key, value in given.items() if not key.startswith(("audio", "lora"))}
    return LTUConfig(audio=audio, llama=llama, lora_rank=given["lora_r"])


def tiny_base() -> dict[str, Tensor]:
    return load_file(FOLDER / "tiny_base.safetensors")


def tiny_trainable() -> dict[str, Tensor]:
    return load_file(FOLDER / "tiny_trainable.safetensors")


@cache
@torch.inference_mode(mode=False)
def tiny_net() -> LTUNetwork:
    """Return a network that all tests share; tests must not change it."""
    return new_net()


def new_net() -> LTUNetwork:
    """Return a new network, which a test may change."""
    return build_from_published(tiny_config(), tiny_base(), tiny_trainable(), source="tiny")


def tiny_prefix() -> AudioPrefix:
    return tiny_net().prefix


def close(actual: Tensor, expected: Tensor, tolerance: float = 1e-3) -> None:
    """Assert equality up to differences between kinds of CPU.

    On the kind of CPU that made the golden data, the encoder differs from the original by 3e-6. On
    other CPUs, Fourier transforms in float32 are rounded differently. Most bins of a chirp's
    spectrum are almost 0: their logarithms differ by 3e-5, and later outputs by up to 6e-4.
    """
    torch.testing.assert_close(actual, expected, atol=tolerance, rtol=0)


@cache
def golden() -> dict[str, Tensor]:
    return load_file(FOLDER / "tiny_io.safetensors")


@cache
@torch.inference_mode(
    mode=False
)  # also on a first call in inference mode: gradients may be needed later
def spectrograms() -> Tensor:
    return torch.stack([LTU(chirp_10s()), LTU(noise_5s())])


def recipe_tensor(key: str, shape: tuple[int, ...]) -> Tensor:
    """Compute weights by the formula of the golden data, instead of storing 86 million numbers."""
    x = np.random.RandomState(zlib.crc32(key.encode()) & 0xFFFFFFFF).standard_normal(shape)
    if len(shape) == 1 and key.endswith("weight"):
        x = 1 + 0.1 * x
    elif key.endswith("bias"):
        x = 0.05 * x
    elif "pos_embed" in key:
        x = 0.3 * x
    elif "modality_a" in key:
        x = 0.2 * x
    elif "patch_embed" in key:
        x = x / np.sqrt(256)
    elif key.endswith("attn.qkv.weight"):
        x = 1.6 * x / np.sqrt(shape[-1])
    elif key.endswith("attn.proj.weight"):
        x = 0.4 * x / np.sqrt(shape[-1])
    else:
        x = x / np.sqrt(shape[-1])
    return torch.from_numpy(x.astype(np.float32))


def character_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer of single characters with 200 tokens, which adds a start token."""
    characters = ["\n", *map(chr, range(32, 127))]
    vocabulary = {token: n for n, token in enumerate(["<unk>", "<s>", "</s>", *characters])}
    vocabulary |= {f"<{n}>": n for n in range(len(vocabulary), 200)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 1)])
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )


def next_token_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean next-token cross-entropy in nats, as in LTU's training.

    Logits are of text positions only. The first text token is therefore never a target, even if
    audio precedes it. Labels of -100 are not targets.
    """
    return functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten())
