"""The network of LTU and LTU-AS: audio tokens before the text tokens of a LLaMA.

Source: Gong et al., "Listen, Think, and Understand", ICLR 2024, and the authors' published code.
The LLaMA is that of transformers, LoRA that of peft.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

from audioprobe.models.ltu.audio_encoder import CavMaeConfig
from audioprobe.models.ltu.audio_prefix import AudioConfig, build_prefix
from audioprobe.weights import refuse_differences

IGNORED = -100  # label of a token without loss, as in transformers


@dataclass(frozen=True, slots=True, kw_only=True)
class LTUConfig:
    """Everything that determines the shapes of an LTU.

    Attributes:
        audio: sizes of the audio encoder; its type distinguishes LTU from LTU-AS.
        llama: transformers' configuration of the language model, as a dictionary.
        lora_rank: rank of the LoRA adapters; 0 builds none.
        lora_alpha: LoRA outputs are scaled by alpha / rank.
        lora_targets: suffixes of the projections with LoRA.
        lora_dropout: dropout of LoRA inputs during training.
    """

    audio: AudioConfig = field(default_factory=CavMaeConfig)
    llama: Mapping[str, Any] = field(default_factory=dict)
    lora_rank: int = 8
    lora_alpha: int = 16
    lora_targets: tuple[str, ...] = ("q_proj", "v_proj")
    lora_dropout: float = 0.05


class LTUNetwork(nn.Module):
    """Audio prefix and LLaMA; the sequence is audio tokens, beginning-of-sequence token, text."""

    def __init__(self, config: LTUConfig) -> None:
        super().__init__()
        self.config = config
        self.llama = LlamaForCausalLM(LlamaConfig(**config.llama))
        self.prefix = build_prefix(config.audio, self.llama.config.hidden_size)
        if config.lora_rank:
            inject_lora(config, self.llama)

    def embed(self, input_ids: Tensor, audio_tokens: Tensor | None) -> Tensor:
        """Return the audio tokens, if any, followed by the embeddings of the text.

        Args:
            input_ids: shape (n_prompts, n_text), beginning-of-sequence first.
            audio_tokens: shape (n_prompts, n_tokens, hidden), or None for text only.

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
        """Return the logits at the text positions.

        Args:
            input_ids: shape (n_prompts, n_text).
            audio_tokens: shape (n_prompts, n_tokens, hidden), or None for text only.
            attention_mask: shape (n_prompts, n_tokens + n_text); None attends to everything. As in
                LTU's training, positions count masked tokens too.

        Returns:
            Shape (n_prompts, n_text, n_vocabulary).
        """
        n_audio = 0 if audio_tokens is None else audio_tokens.shape[1]
        outputs = self.llama(
            inputs_embeds=self.embed(input_ids, audio_tokens), attention_mask=attention_mask
        )
        logits: Tensor = outputs.logits[:, n_audio:]
        return logits


def inject_lora(config: LTUConfig, llama: nn.Module) -> None:
    """Add peft's LoRA layers to a LLaMA in place; as initialised, they do not change its output."""
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
    """Return the mean cross-entropy of the next token in nats, as in LTU's training.

    Logits cover the text only, so the first text token is never a target, although audio precedes
    it.

    Args:
        logits: shape (n_prompts, n_text, n_vocabulary).
        labels: shape (n_prompts, n_text); `IGNORED` for tokens without loss.
    """
    return functional.cross_entropy(
        logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=IGNORED
    )


def load_state(module: nn.Module, tensors: Mapping[str, Tensor], *, source: str) -> None:
    """Make tensors the parameters of a module, without a copy, and freeze it for inference.

    Args:
        module: built on the meta device, so that it uses no memory.
        tensors: by the names of its state dictionary.
        source: name or path, for messages.

    Raises:
        WeightsError: if a parameter is missing, unexpected, or of another shape.
    """
    expected = module.state_dict()
    refuse_differences(
        source,
        missing=expected.keys() - tensors.keys(),
        unexpected=tensors.keys() - expected.keys(),
        mismatched=[
            f"{name}: {tuple(tensors[name].shape)} for {tuple(expected[name].shape)}"
            for name in expected.keys() & tensors.keys()
            if tensors[name].shape != expected[name].shape
        ],
    )
    module.load_state_dict(tensors, assign=True)
    module.eval().requires_grad_(requires_grad=False)
