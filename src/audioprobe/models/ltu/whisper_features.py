"""What LTU-AS hears: the states of all blocks of a frozen Whisper encoder, averaged over 400 ms.

Source: the authors' fork of Whisper (repository YuanGongND/ltu), large-v1 for every published
checkpoint.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

STEP = 20  # positions of 20 ms averaged into one step of 400 ms


class WhisperFeatures(nn.Module):
    """The encoder of transformers' Whisper, read block by block.

    Args:
        config: sizes.
    """

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        self.encoder = WhisperEncoder(config)

    def states(self, mel: Tensor) -> Tensor:
        """Input of the first block and output of each, without the final norm.

        transformers' own forward pass takes 30 s and normalises the last state: LTU-AS took 10 s,
        whose positions are the first third.

        Args:
            mel: shape (n_clips, n_mels, n_frames), an even number of frames of 10 ms.

        Returns:
            Shape (n_blocks + 1, n_clips, n_frames / 2, width).
        """
        encoder = self.encoder
        tokens = functional.gelu(encoder.conv2(functional.gelu(encoder.conv1(mel))))
        tokens = tokens.transpose(1, 2)
        tokens = tokens + encoder.embed_positions.weight[: tokens.shape[1]]
        states = [tokens]
        for block in encoder.layers:
            states.append(block(states[-1], None))
        return torch.stack(states)

    def forward(self, mel: Tensor) -> Tensor:
        """Features for `TltrEncoder`, shape (n_clips, n_blocks, n_frames / 40, width)."""
        states = self.states(mel)[1:].transpose(0, 1)
        n_clips, n_blocks, _, width = states.shape
        return states.reshape(n_clips, n_blocks, -1, STEP, width).mean(dim=3)
