"""The two parts of an LTU that training uses: its prompts as token ids, and its network.

`LTUPrompts` implements the protocol `PromptTokenizer` of `audioprobe.training.trainable`, and
`TrainableLTU` implements `TrainableModel`. Inference uses `LTUPrompts`, too.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from torch import Tensor, nn

from audioprobe.errors import InvalidInputError, UnsupportedInputError
from audioprobe.models.causal_lm.tokenization import text_ids
from audioprobe.models.ltu.audio_prefix import GATE, GatedCrossAttention
from audioprobe.models.ltu.network import LTUNetwork, expand_lora
from audioprobe.types import Prompt

TEMPLATE = "### Instruction:\n{}\n\n### Response:\n"
"""LTU's prompt template (`alpaca_short`); it does not mention the audio."""

TRANSCRIPT_TEMPLATE = "### Instruction:\n{}\n\n### Input:\n{}\n\n### Response:\n"
"""LTU-AS's prompt template for audio with speech: the transcript is the input."""

_END = "### Response:\n"


class LTUPrompts:
    """LTU's prompt template together with the tokenizer of its base, the LLaMA.

    A control token in a text, such as "<s>", is split into ordinary tokens. If the tokenizer cannot
    split it, `InvalidInputError` is raised.
    """

    def __init__(self, tokenizer: Any) -> None:  # noqa: ANN401 - transformers has no types
        self.tokenizer = tokenizer

    @property
    def eos_token_id(self) -> int:
        """Id of the end-of-sequence token."""
        token_id: int = self.tokenizer.eos_token_id
        return token_id

    def prompt(self, question: str, transcript: str = "") -> str:
        """Return the prompt text that precedes the answer to a question.

        Args:
            question: the question, inserted unchanged even if it contains braces.
            transcript: spoken words; "" omits the transcript section, as in the authors' code.
        """
        if not transcript:
            return TEMPLATE.replace("{}", question)
        before, between, after = TRANSCRIPT_TEMPLATE.split("{}")
        return f"{before}{question}{between}{transcript}{after}"

    def full_text(self, prompt: Prompt, transcript: str = "") -> str:
        """Return the text of a prompt with its examples, which precede the question.

        Raises:
            InvalidInputError: if the question is empty.
            UnsupportedInputError: if an example has audio.
        """
        if not prompt.text.strip():
            raise InvalidInputError("A prompt must contain a question, got an empty text.")
        if any(example.audio is not None for example in prompt.examples):
            raise UnsupportedInputError(
                "LTU accepts one audio clip per prompt, got examples with audio. Write the "
                "examples as text or remove them."
            )
        examples = "".join(
            f"{self.prompt(example.question)}{example.answer}\n\n" for example in prompt.examples
        )
        return examples + self.prompt(prompt.text, transcript)

    def tokenize(self, text: str) -> list[int]:
        """Return the token ids of a prompt text, beginning-of-sequence token first."""
        ids = text_ids(self.tokenizer, text)
        start = self.tokenizer.bos_token_id
        return ids if ids[:1] == [start] else [start, *ids]

    def text_with_start(self, text: str) -> str:
        """Return a prompt text with its beginning-of-sequence token written out.

        A server that tokenizes the result, without adding special tokens, gets the ids of
        `tokenize`. LLaMA's tokenizer needs a space after the token, which it omits elsewhere.

        Raises:
            UnsupportedInputError: if a server would use other ids, such as those of a control token
                in the text.
        """
        start, ids = self.tokenizer.bos_token, self.tokenize(text)
        for written in (f"{start}{text}", f"{start} {text}"):
            if self.tokenizer(written, add_special_tokens=False).input_ids == ids:
                return written
        raise UnsupportedInputError(
            f"A server would tokenize the text {text!r:.60} differently, and apply the repetition "
            "penalty to other tokens. Remove control tokens such as <s> from the text, omit the "
            "repetition penalty, or use a local model."
        )

    def continuation_ids(self, text: str) -> list[int]:
        """Return the token ids of an answer that follows a prompt.

        LLaMA's tokenizer would add a space at the start of an answer that is tokenised alone. The
        answer is therefore tokenised after the end of the template, unless its beginning would
        merge with the preceding line break.
        """
        before = text_ids(self.tokenizer, _END)
        ids = text_ids(self.tokenizer, _END + text)
        if ids[: len(before)] == before:
            return ids[len(before) :]
        return text_ids(self.tokenizer, text, add_special_tokens=False)


class TrainableLTU:
    """Access to the parts of an LTU's network for training; see the protocol `TrainableModel`.

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
        """Return the group of a parameter.

        Groups are "encoder", "cross-attention", "projector", "lora" and "llm".
        """
        if name.startswith("prefix.encoder."):
            return "encoder"
        if name.startswith(f"prefix.{GATE}."):
            return "cross-attention"
        if name.startswith("prefix."):
            return "projector"
        return "lora" if "lora_" in name else "llm"

    def encode_audio(self, features: Tensor) -> Tensor:
        """Return audio tokens, shape (n_clips, n_tokens, hidden)."""
        tokens: Tensor = self.network.prefix(features.to(self.network.prefix.weight.device))
        return tokens

    def embed(self, ids: Tensor, audio_tokens: Tensor | None = None) -> Tensor:
        """Return the input of the LLaMA: embeddings of audio tokens, then of text tokens."""
        device = self.network.llama.device
        audio = None if audio_tokens is None else audio_tokens.to(device)
        return self.network.embed(ids.to(device), audio)

    def n_positions(self, audio_tokens: Tensor | None) -> int:
        """Return how many positions of the input of the LLaMA the audio tokens use."""
        return self.network.n_positions(audio_tokens)

    def reading(self, audio_tokens: Tensor | None) -> AbstractContextManager[None]:
        """Return a context manager in which layers read the audio tokens of each row."""
        device = self.network.llama.device
        rows = [] if audio_tokens is None else [*audio_tokens.to(device)]
        return self.network.reading(rows)

    def hidden_states(
        self,
        embeddings: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        *,
        last_only: bool = False,
    ) -> tuple[Tensor, ...]:
        """Return the embeddings, then the hidden states after each layer of the LLaMA.

        The states after the last layer are normalised by the LLaMA's final norm. If `last_only` is
        True, the tuple contains only these.
        """
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
        """Increase the rank of the LoRA adapters or add adapters to more projections, in place."""
        expand_lora(self.network, rank, targets, seed)

    def add_cross_attention(self, text_states: Tensor, width: int, seed: int) -> None:
        """Add an adapter after the projector; in it, audio tokens attend to `text_states`."""
        adapter = GatedCrossAttention.from_texts(text_states, width, seed)
        weight = self.network.prefix.weight
        self.network.prefix.gate = adapter.to(weight.device, weight.dtype)
