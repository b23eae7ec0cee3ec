"""Tiny random chat models, saved as their makers save them: config, weights, processor, tokenizer.

Weights are large, so that the best token stands out and rounding decides nothing.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import transformers as tf
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers import models as token_models

SPECIAL = {
    "audio_token": "<|AUDIO|>",
    "audio_bos_token": "<|audio_bos|>",
    "audio_eos_token": "<|audio_eos|>",
}
N_BYTES = 256
PAD, END = N_BYTES, N_BYTES + 2
IDS = {name: N_BYTES + 3 + n for n, name in enumerate(SPECIAL)}
N_TOKENS = N_BYTES + 3 + len(SPECIAL)

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""Turns as Qwen's models have them, of text alone."""


def tokenizer(template: str | None) -> Any:
    """Bytes, and the special tokens."""
    tokens = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "<|pad|>", "<|im_start|>", "<|im_end|>"]
    tokens += SPECIAL.values()
    made = Tokenizer(token_models.BPE({token: n for n, token in enumerate(tokens)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    wrapped: Any = tf.PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token="<|pad|>",
        eos_token="<|im_end|>",
        extra_special_tokens=SPECIAL | {"start_token": "<|im_start|>"},
    )
    wrapped.chat_template = template
    return wrapped


def decoder(**options: Any) -> dict[str, Any]:
    """Sizes of a tiny language model."""
    return {
        "vocab_size": N_TOKENS,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "eos_token_id": END,
        "pad_token_id": PAD,
        "bos_token_id": None,
    } | options


def save(model: Any, folder: Path) -> None:
    """Write a model whose weights are so large that every token read and sound heard matters."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=1.5 * (parameter.numel() / len(parameter)) ** -0.5)
        model.get_output_embeddings().weight.mul_(3)
    model.save_pretrained(folder)


def llama(folder: Path) -> None:
    """A model of text alone."""
    save(tf.LlamaForCausalLM(tf.LlamaConfig(**decoder())), folder)
    tokenizer(CHATML).save_pretrained(folder)


def qwen2_audio(folder: Path) -> None:
    """A model that hears."""
    sizes = {"d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2, "num_mel_bins": 8}
    config = tf.Qwen2AudioConfig(
        audio_config=sizes | {"encoder_ffn_dim": 32, "max_source_positions": 1500},
        text_config=decoder(model_type="qwen2"),
        audio_token_index=IDS["audio_token"],
    )
    save(tf.Qwen2AudioForConditionalGeneration(config), folder)
    extractor = tf.WhisperFeatureExtractor(feature_size=8)
    tf.Qwen2AudioProcessor(extractor, tokenizer(None)).save_pretrained(folder)


KINDS: dict[str, Callable[[Path], None]] = {"qwen2-audio": qwen2_audio, "llama": llama}

_HOME = TemporaryDirectory(prefix="tiny-chat-models-")  # removed when the tests end


@cache
def saved(kind: str) -> Path:
    """The folder of a model, made once."""
    torch.manual_seed(0)
    folder = Path(_HOME.name) / kind
    KINDS[kind](folder)
    return folder
