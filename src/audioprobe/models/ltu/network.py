"""LTU: sound as a few tokens before the text of a LLaMA.

Source: Gong et al., "Listen, Think, and Understand", ICLR 2024, and the code that the authors
published. The LLaMA is transformers' own; LoRA is peft's own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

from audioprobe.models.ltu.audio_prefix import AudioConfig, prefix_for
from audioprobe.models.ltu.cavmae import CavMaeConfig

IGNORED = -100  # label of a token that is no target, as in transformers


@dataclass(frozen=True, slots=True)
class LTUConfig:
    """Everything that fixes the shapes of an LTU.

    Attributes:
        audio: sizes of the audio encoder; they tell LTU from LTU-AS.
        llama: transformers' configuration of the language model, as a dictionary.
        lora_rank: 0 is a model without LoRA.
        lora_alpha: the adapters are scaled by alpha / rank.
        lora_targets: suffixes of the projections that have adapters.
        lora_dropout: in training only.
    """

    audio: AudioConfig = field(default_factory=CavMaeConfig)
    llama: Mapping[str, Any] = field(default_factory=dict)
    lora_rank: int = 8
    lora_alpha: int = 16
    lora_targets: tuple[str, ...] = ("q_proj", "v_proj")
    lora_dropout: float = 0.05


class LTUNetwork(nn.Module):
    """The whole model: audio tokens, then the beginning-of-sequence token, then the text."""

    def __init__(self, config: LTUConfig) -> None:
        super().__init__()
        self.config = config
        self.llama = LlamaForCausalLM(LlamaConfig(**config.llama))
        self.prefix = prefix_for(config.audio, self.llama.config.hidden_size)
        if config.lora_rank:
            inject(config, self.llama)

    def join(self, input_ids: Tensor, audio_tokens: Tensor | None) -> Tensor:
        """Embeddings of the sound, if any, followed by those of the text.

        Args:
            input_ids: shape (n_prompts, n_text), beginning-of-sequence first.
            audio_tokens: shape (n_prompts, n_tokens, hidden), or None for text alone.

        Returns:
            Shape (n_prompts, n_tokens + n_text, hidden).
        """
        text: Tensor = self.llama.get_input_embeddings()(input_ids)
        return text if audio_tokens is None else torch.cat([audio_tokens.to(text.dtype), text], 1)

    def forward(
        self,
        input_ids: Tensor,
        audio_tokens: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        """Logits at the text positions.

        Args:
            input_ids: shape (n_prompts, n_text).
            audio_tokens: shape (n_prompts, n_tokens, hidden), or None for text alone.
            attention_mask: shape (n_prompts, n_tokens + n_text); None attends to everything. As in
                LTU's training, positions count masked tokens too.

        Returns:
            Shape (n_prompts, n_text, n_vocabulary).
        """
        n_audio = 0 if audio_tokens is None else audio_tokens.shape[1]
        outputs = self.llama(
            inputs_embeds=self.join(input_ids, audio_tokens), attention_mask=attention_mask
        )
        logits: Tensor = outputs.logits[:, n_audio:]
        return logits


def inject(config: LTUConfig, llama: nn.Module) -> None:
    """Put adapters into a LLaMA, as peft begins them: they change nothing yet."""
    inject_adapter_in_model(
        LoraConfig(
            r=config.lora_rank,
            lora_alpha=config.lora_alpha,
            target_modules=list(config.lora_targets),
            lora_dropout=config.lora_dropout,
            bias="none",
        ),
        llama,
    )


def next_token_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of the next token, in nats, as LTU trains it.

    Logits are those of the text alone, so the first text token is never a target, although a sound
    precedes it.

    Args:
        logits: shape (n_prompts, n_text, n_vocabulary).
        labels: shape (n_prompts, n_text); `IGNORED` where there is no target.
    """
    return functional.cross_entropy(
        logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=IGNORED
    )
