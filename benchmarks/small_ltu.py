"""A small random LTU, large enough that arithmetic counts more than Python."""

import torch

from audioprobe.models.ltu.audio_encoder import CavMaeConfig
from audioprobe.models.ltu.network import LTUConfig, LTUNetwork

WIDTH = 512


def small_ltu(vocabulary: int = 8_000) -> LTUNetwork:
    """An encoder of 4 blocks, 192 wide, and a LLaMA of 8 blocks, 512 wide.

    Args:
        vocabulary: tokens.
    """
    torch.manual_seed(0)
    audio = CavMaeConfig(width=192, n_heads=3, n_blocks=4, mlp_width=768)
    llama = {
        "vocab_size": vocabulary,
        "hidden_size": WIDTH,
        "intermediate_size": 4 * WIDTH,
        "num_hidden_layers": 8,
        "num_attention_heads": 8,
    }
    net = LTUNetwork(LTUConfig(audio=audio, llama=llama)).eval().requires_grad_(requires_grad=False)
    # So large that the best token stands out, and rounding decides nothing.
    net.llama.lm_head.weight.normal_(0, 0.5)
    net.prefix.projection.weight.normal_(0, 1.0)
    return net
