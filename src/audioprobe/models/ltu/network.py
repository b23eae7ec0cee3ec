"""The network of LTU and LTU-AS: a LLaMA whose input is audio tokens followed by text tokens.

Source: Gong et al., "Listen, Think, and Understand", ICLR 2024, and the authors' published code.
    The
LLaMA implementation is from transformers, the LoRA implementation from peft.
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

IGNORED = -100  # label of tokens that are excluded from the loss, as in transformers


@dataclass(frozen=True, slots=True, kw_only=True)
class LTUConfig:
    """Configuration that determines all tensor shapes of an LTU.

    Attributes:
        audio: configuration of the audio encoder; its type distinguishes LTU from LTU-AS.
        llama: transformers' configuration of the language model, as a dictionary.
        lora_rank: rank of the LoRA adapters; 0 means no LoRA.
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
    """Audio prefix (which computes audio tokens) and LLaMA.

    The input sequence consists of audio tokens, the beginning-of-sequence token, and text tokens.
    """

    def __init__(self, config: LTUConfig) -> None:
        super().__init__()
        self.config = config
        self.llama = LlamaForCausalLM(LlamaConfig(**config.llama))
        self.prefix = build_prefix(config.audio, self.llama.config.hidden_size)
        if config.lora_rank:
            inject_lora(config, self.llama)

    def embed(self, input_ids: Tensor, audio_tokens: Tensor | None) -> Tensor:
        """Return the embeddings of audio and text; audio tokens precede the text.

        Args:
            input_ids: token ids of the text, shape (n_prompts, n_text), beginning-of-sequence
                first.
            audio_tokens: shape (n_prompts, n_tokens, hidden); None for prompts without audio.

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
            audio_tokens: shape (n_prompts, n_tokens, hidden); None for prompts without audio.
            attention_mask: shape (n_prompts, n_tokens + n_text); None means that no token is
                masked. As in LTU's training, position ids also count masked tokens.

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
    """Add peft's LoRA layers to a LLaMA in place; untrained LoRA does not change the output."""
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
    """Return the mean next-token cross-entropy in nats, as in LTU's training.

    Logits are given for text positions only. The first text token is therefore never a target, even
    if audio precedes it.

    Args:
        logits: shape (n_prompts, n_text, n_vocabulary).
        labels: target token ids, shape (n_prompts, n_text); `IGNORED` excludes a token.
    """
    return functional.cross_entropy(
        logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=IGNORED
    )


def load_state(module: nn.Module, tensors: Mapping[str, Tensor], *, source: str) -> None:
    """Assign tensors to the parameters of a module, and freeze the module for inference.

    The tensors are not copied.

    Args:
        module: module on the meta device, which allocates no memory.
        tensors: tensors by their names in the module's state dictionary.
        source: name or path of the model, for messages.

    Raises:
        WeightsError: if a tensor is missing or unexpected, or has the wrong shape.
    """
    expected = module.state_dict()
    refuse_differences(
        source,
        missing=expected.keys() - tensors.keys(),
        unexpected=tensors.keys() - expected.keys(),
        mismatched=[
            f"{name}: got {tuple(tensors[name].shape)}, expected {tuple(expected[name].shape)}"
            for name in expected.keys() & tensors.keys()
            if tensors[name].shape != expected[name].shape
        ],
    )
    module.load_state_dict(tensors, assign=True)
    module.eval().requires_grad_(requires_grad=False)
