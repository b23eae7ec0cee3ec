"""Adapt LTU to training: implements the interfaces `TrainableModel` and `PromptTokenizer`.

`audioprobe.training` defines both interfaces.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from audioprobe.models.ltu.adapters import expand_lora
from audioprobe.models.ltu.audio_prefix import GATE, GatedCrossAttention
from audioprobe.models.ltu.network import LTUNetwork
from audioprobe.models.ltu.prompt import continuation_ids, tokenize, write_prompt


class LTUPrompts:
    """LTU's prompt template together with the tokenizer of its base model."""

    def __init__(self, tokenizer: Any) -> None:  # noqa: ANN401 - transformers has no types
        self.tokenizer = tokenizer

    @property
    def eos_token_id(self) -> int:
        """Id of the end-of-sequence token."""
        token_id: int = self.tokenizer.eos_token_id
        return token_id

    def prompt(self, question: str, transcript: str = "") -> str:
        """Return the text that precedes the answer to a question."""
        return write_prompt(question, transcript)

    def tokenize(self, text: str) -> list[int]:
        """Return the token ids of a text, beginning-of-sequence token first."""
        return tokenize(self.tokenizer, text)

    def continuation_ids(self, text: str) -> list[int]:
        """Return the token ids of an answer that follows a prompt."""
        return continuation_ids(self.tokenizer, text)


class TrainableLTU:
    """Access to the parts of an LTU's network for training.

    Args:
        network: the network; training changes it in place.
    """

    def __init__(self, network: LTUNetwork) -> None:
        self.network = network

    @property
    def language_layers(self) -> Sequence[nn.Module]:
        """Transformer layers of the language model, from first to last."""
        return list(self.network.llama.model.layers)

    def group_of(self, name: str) -> str:
        """Return the group of trainable modules that a parameter belongs to."""
        if name.startswith("prefix.encoder."):
            return "encoder"
        if name.startswith(f"prefix.{GATE}."):
            return "cross-attention"
        if name.startswith("prefix."):
            return "projector"
        return "lora" if "lora_" in name else "llm"

    def encode_audio(self, features: Tensor) -> Tensor:
        """Return audio tokens, shape (n_clips, n_tokens, hidden)."""
        tokens: Tensor = self.network.prefix(features.to(self._projection.device))
        return tokens

    def embed(self, ids: Tensor, audio_tokens: Tensor | None = None) -> Tensor:
        """Return the embeddings of audio tokens and text; see `TrainableModel.embed`."""
        device = self.network.llama.device
        audio = None if audio_tokens is None else audio_tokens.to(device)
        return self.network.embed(ids.to(device), audio)

    def hidden_states(
        self,
        embeddings: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        *,
        last_only: bool = False,
    ) -> tuple[Tensor, ...]:
        """Return the hidden states of the LLaMA; see `TrainableModel.hidden_states`."""
        outputs = self.network.llama.model(
            inputs_embeds=embeddings.to(self.network.llama.dtype),
            attention_mask=attention_mask,
            position_ids=position_ids,
            output_hidden_states=not last_only,
            use_cache=False,
        )
        if last_only:
            return (outputs.last_hidden_state,)
        states: tuple[Tensor, ...] = outputs.hidden_states
        return states

    def logits(self, states: Tensor) -> Tensor:
        """Return next-token logits, computed from hidden states after the last layer."""
        logits: Tensor = self.network.llama.lm_head(states)
        return logits

    def expand_lora(self, rank: int, targets: Sequence[str], seed: int) -> None:
        """Expand the LoRA adapters in place; see `audioprobe.models.ltu.adapters.expand_lora`."""
        expand_lora(self.network, rank, targets, seed)

    def add_cross_attention(self, text_states: Tensor, width: int, seed: int) -> None:
        """Add a gated cross-attention adapter after the projector."""
        adapter = GatedCrossAttention.from_texts(text_states, width, seed)
        self.network.prefix.gate = adapter.to(self._projection.device, self._projection.dtype)

    @property
    def _projection(self) -> Tensor:
        weight: Tensor = self.network.prefix.projection.weight
        return weight
