"""Tiny random chat models, saved in the published format: config, weights, processor, tokenizer.

Weights are large, so that the best token is clear and does not depend on rounding.
"""

import base64
import json
from collections.abc import Callable, Sequence
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
    "image_token": "<|IMAGE|>",
    "video_token": "<|VIDEO|>",
    "vision_bos_token": "<|vision_bos|>",
    "vision_eos_token": "<|vision_eos|>",
    "boi_token": "<|boi|>",
    "eoi_token": "<|eoi|>",
    "boa_token": "<|boa|>",
    "eoa_token": "<|eoa|>",
}
N_BYTES = 256
PAD, START, END = N_BYTES, N_BYTES + 1, N_BYTES + 2
IDS = {name: N_BYTES + 3 + n for n, name in enumerate(SPECIAL)}
N_TOKENS = N_BYTES + 3 + len(SPECIAL)

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'audio' %}<|audio_bos|><|AUDIO|><|audio_eos|>"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""Turns as Qwen's models have them."""


def tokenizer(template: str | None = CHATML) -> Any:
    """Return a tokenizer of bytes with the special tokens of all models in this module."""
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
    """Return the sizes of a tiny language model."""
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


def whisper(**options: Any) -> dict[str, Any]:
    """Return the sizes of a tiny encoder like Whisper's."""
    return {
        "d_model": 16,
        "encoder_layers": 2,
        "encoder_attention_heads": 2,
        "encoder_ffn_dim": 32,
        "num_mel_bins": 8,
    } | options


def enliven(model: Any) -> None:
    """Set random weights so large that the output depends on every token and sample."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=1.5 * (parameter.numel() / len(parameter)) ** -0.5)
        model.get_output_embeddings().weight.mul_(3)


def save(model: Any, folder: Path, ends: Sequence[int] = (END, PAD)) -> None:
    """Write a model, with a generation config that must not have an effect."""
    enliven(model)
    model.generation_config = tf.GenerationConfig(
        eos_token_id=list(ends), do_sample=True, temperature=2.0, repetition_penalty=1.7
    )
    model.save_pretrained(folder)


def llama(folder: Path, template: str | None = CHATML, **options: Any) -> None:
    save(tf.LlamaForCausalLM(tf.LlamaConfig(**decoder(**options))), folder)
    tokenizer(template).save_pretrained(folder)


def qwen2_audio(folder: Path) -> None:
    config = tf.Qwen2AudioConfig(
        audio_config=whisper(max_source_positions=1500),
        text_config=decoder(model_type="qwen2"),
        audio_token_index=IDS["audio_token"],
    )
    save(tf.Qwen2AudioForConditionalGeneration(config), folder)
    extractor = tf.WhisperFeatureExtractor(feature_size=8)
    tf.Qwen2AudioProcessor(extractor, tokenizer(None)).save_pretrained(folder)


def audio_flamingo(folder: Path) -> None:
    config = tf.AudioFlamingo3Config(
        audio_config=whisper(),
        text_config=decoder(model_type="qwen2"),
        audio_token_id=IDS["audio_token"],
    )
    save(tf.AudioFlamingo3ForConditionalGeneration(config), folder)
    extractor = tf.WhisperFeatureExtractor(feature_size=8, return_attention_mask=True)
    tf.AudioFlamingo3Processor(
        extractor, tokenizer(), chat_template=CHATML, audio_token="<|AUDIO|>", max_audio_len=60
    ).save_pretrained(folder)


def qwen_omni(folder: Path) -> None:
    """Return a complete omni model, of which only the part that generates text is loaded."""
    thinker = omni_thinker(
        audio={"n_window": 50},
        vision={"fullatt_block_indexes": [0]},
        text={"rope_parameters": ROPE},
    )
    config = tf.Qwen2_5OmniConfig(thinker_config=thinker, enable_audio_output=False)
    save_omni(tf.Qwen2_5OmniForConditionalGeneration(config), folder, "Qwen2_5OmniProcessor")


def qwen3_omni(folder: Path) -> None:
    """Return a complete Qwen3 omni model, with experts."""
    thinker = omni_thinker(
        audio={"n_window": 50, "n_window_infer": 200, "downsample_hidden_size": 8},
        vision={"deepstack_visual_indexes": [0]},
        text={
            "rope_parameters": ROPE | {"mrope_interleaved": True},
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 16,
            "head_dim": 8,
        },
    )
    config = tf.Qwen3OmniMoeConfig(thinker_config=thinker, enable_audio_output=False)
    save_omni(tf.Qwen3OmniMoeForConditionalGeneration(config), folder, "Qwen3OmniMoeProcessor")


ROPE = {"rope_type": "default", "mrope_section": [2, 1, 1], "rope_theta": 10000.0}


def omni_thinker(
    audio: dict[str, Any], vision: dict[str, Any], text: dict[str, Any]
) -> dict[str, Any]:
    """Return the sizes of the part of an omni model that generates text."""
    eye = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2}
    return {
        "audio_config": whisper(output_dim=32, max_source_positions=1500) | audio,
        "vision_config": eye | {"out_hidden_size": 32} | vision,
        "text_config": decoder() | text,
        "audio_token_id": IDS["audio_token"],
        "image_token_id": IDS["image_token"],
        "video_token_id": IDS["video_token"],
        "audio_start_token_id": IDS["audio_bos_token"],
        "audio_end_token_id": IDS["audio_eos_token"],
        "vision_start_token_id": IDS["vision_bos_token"],
        "vision_end_token_id": IDS["vision_eos_token"],
    }


def save_omni(model: Any, folder: Path, processor: str) -> None:
    enliven(model.thinker)
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    extractor: Any = tf.WhisperFeatureExtractor(feature_size=8, chunk_length=60)
    extractor.save_pretrained(folder)
    _name_processor(folder, processor)


def phi4(folder: Path) -> None:
    sizes = decoder(num_key_value_heads=4, original_max_position_embeddings=2048)
    config = tf.Phi4MultimodalConfig(
        **sizes,
        audio_config={
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_blocks": 2,
            "num_attention_heads": 2,
            "ext_pw_out_channel": 16,
            "depthwise_separable_out_channel": 16,
            "nemo_conv_channels": 8,
            "input_size": 80,
            "audio_token_id": IDS["audio_token"],
        },
        vision_config={
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_token_id": IDS["image_token"],
        },
    )
    save(tf.Phi4MultimodalForCausalLM(config), folder)
    tokenizer().save_pretrained(folder)
    extractor: Any = tf.Phi4MultimodalFeatureExtractor()
    extractor.save_pretrained(folder)
    _name_processor(folder, "Phi4MultimodalProcessor")


def voxtral(folder: Path) -> None:
    """Write a Voxtral with the tokenizer file of mistral-common, which must be installed."""
    names = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", "<pad>", "[BEGIN_AUDIO]"]
    names += ["[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]"]
    names += ["[TOOL_CALLS]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]", "[ARGS]"]
    names += ["[CALL_ID]", "[TRANSCRIBE]", "[PREFIX]", "[MIDDLE]", "[SUFFIX]"]
    names += [
        "[THINK]",
        "[/THINK]",
        "[IMG]",
        "[AUDIO]",
    ]  # 24, which the processor takes for granted
    n_tokens = len(names) + N_BYTES
    config = tf.VoxtralConfig(
        audio_config=whisper(encoder_ffn_dim=64),
        text_config=decoder(
            model_type="llama", vocab_size=n_tokens, head_dim=8, eos_token_id=2, pad_token_id=5
        ),
        audio_token_id=names.index("[AUDIO]"),
    )
    save(tf.VoxtralForConditionalGeneration(config), folder, ends=[2])
    table = {
        "config": {
            "pattern": r"[\s\S]",
            "num_vocab_tokens": N_BYTES,
            "default_vocab_size": n_tokens,
            "default_num_special_tokens": len(names),
            "version": "v7",
        },
        "vocab": [
            {"rank": n, "token_bytes": base64.b64encode(bytes([n])).decode(), "token_str": None}
            for n in range(N_BYTES)
        ],
        "special_tokens": [
            {"rank": n, "token_str": name, "is_control": True} for n, name in enumerate(names)
        ],
        "audio": {
            "sampling_rate": 16_000,
            "frame_rate": 12.5,
            "audio_encoding_config": {"num_mel_bins": 8, "hop_length": 160, "window_size": 400},
            "chunk_length_s": 30.0,
        },
    }
    (folder / "tekken.json").write_text(json.dumps(table))
    extractor: Any = tf.WhisperFeatureExtractor(feature_size=8)
    extractor.save_pretrained(folder)
    _name_processor(folder, "VoxtralProcessor")


def gemma3n_text(folder: Path) -> None:
    """Return a model with sliding windows, and with layers that share keys and values."""
    config = tf.Gemma3nTextConfig(
        **decoder(num_hidden_layers=4),
        head_dim=8,
        hidden_size_per_layer_input=8,
        vocab_size_per_layer_input=N_TOKENS,
        sliding_window=16,
        layer_types=["sliding_attention", "full_attention"] * 2,
        num_kv_shared_layers=2,
        laurel_rank=4,
        activation_sparsity_pattern=[0.0] * 4,
        altup_num_inputs=2,
    )
    save(tf.Gemma3nForCausalLM(config), folder)
    tokenizer().save_pretrained(folder)


def mamba(folder: Path) -> None:
    """Return a recurrent model, which has no key-value cache."""
    config = tf.MambaConfig(
        vocab_size=N_TOKENS,
        hidden_size=32,
        state_size=8,
        num_hidden_layers=2,
        eos_token_id=END,
        pad_token_id=PAD,
        bos_token_id=None,
    )
    save(tf.MambaForCausalLM(config), folder)
    tokenizer(None).save_pretrained(folder)


def rwkv(folder: Path) -> None:
    """Return a recurrent model without masks: padding would change its output."""
    config = tf.RwkvConfig(
        vocab_size=N_TOKENS,
        hidden_size=32,
        num_hidden_layers=2,
        eos_token_id=END,
        bos_token_id=None,
    )
    save(tf.RwkvForCausalLM(config), folder)
    tokenizer(None).save_pretrained(folder)


def granite_speech() -> Any:
    """Return a network; its processor needs torchaudio, which not all versions of torch have."""
    config = tf.GraniteSpeechConfig(
        encoder_config={
            "hidden_dim": 16,
            "num_layers": 2,
            "num_heads": 2,
            "dim_head": 8,
            "input_dim": 16,
            "output_dim": 8,
            "context_size": 20,
            "max_pos_emb": 32,
        },
        text_config=decoder(model_type="granite"),
        projector_config={
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 16,
            "encoder_hidden_size": 16,
        },
        audio_token_index=IDS["audio_token"],
        has_lora_adapter=False,
    )
    model: Any = tf.GraniteSpeechForConditionalGeneration(config)
    enliven(model)
    return model.eval()


def _name_processor(folder: Path, name: str) -> None:
    """Write a processor config with image parts, as published; such processors need them."""
    path = folder / "preprocessor_config.json"
    settings = json.loads(path.read_text())
    path.write_text(json.dumps(settings | {"processor_class": name}))


KINDS: dict[str, Callable[[Path], None]] = {
    "qwen2-audio": qwen2_audio,
    "audio-flamingo": audio_flamingo,
    "qwen-omni": qwen_omni,
    "qwen3-omni": qwen3_omni,
    "phi4": phi4,
    "voxtral": voxtral,
    "llama": llama,
    "gemma3n-text": gemma3n_text,
    "mamba": mamba,
    "rwkv": rwkv,
}


_HOME = TemporaryDirectory(prefix="tiny-chat-models-")  # removed when the tests end


@cache
def saved(kind: str) -> Path:
    """Return the folder of a model, which is written once."""
    torch.manual_seed(0)
    folder = Path(_HOME.name) / kind
    KINDS[kind](folder)
    return folder
