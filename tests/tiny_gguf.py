"""The tiny LLaMA of the golden data as a GGUF file, in the format of llama.cpp."""

from pathlib import Path

import gguf
import numpy as np
from tokenizers.pre_tokenizers import ByteLevel

from tests.golden_ltu import tiny_base, tiny_config

_NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
_IN_BLOCK = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def write_gguf(path: Path) -> Path:
    """Write a GGUF file with float32 weights and a tokenizer of single bytes."""
    sizes = dict(tiny_config().llama)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(sizes["num_hidden_layers"])
    writer.add_context_length(sizes["max_position_embeddings"])
    writer.add_embedding_length(sizes["hidden_size"])
    writer.add_feed_forward_length(sizes["intermediate_size"])
    writer.add_head_count(sizes["num_attention_heads"])
    writer.add_head_count_kv(sizes["num_attention_heads"])
    writer.add_layer_norm_rms_eps(sizes["rms_norm_eps"])
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(sizes["vocab_size"])
    alphabet = sorted(ByteLevel.alphabet())[: sizes["vocab_size"] - 4]
    tokens = ["<unk>", "<s>", "</s>", *alphabet, "Hi"]
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([2, 3, 3] + [1] * (len(tokens) - 3))
    writer.add_token_merges(["H i"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    for name, tensor in tiny_base().items():
        if "audio" not in name and "inv_freq" not in name:
            writer.add_tensor(_name(name), _rows(name, tensor.numpy(), sizes))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _name(name: str) -> str:
    if name in _NAMES:
        return _NAMES[name]
    _, _, number, rest = name.split(".", 3)
    return f"blk.{number}.{_IN_BLOCK[rest.removesuffix('.weight')]}.weight"


def _rows(name: str, values: np.ndarray, sizes: dict[str, int]) -> np.ndarray:
    """Reorder rows: llama.cpp rotates neighbouring rows, transformers rotates halves of a head."""
    if "q_proj" not in name and "k_proj" not in name:
        return np.ascontiguousarray(values)
    heads = values.reshape(sizes["num_attention_heads"], 2, -1, values.shape[1])
    return np.ascontiguousarray(heads.swapaxes(1, 2).reshape(values.shape))
