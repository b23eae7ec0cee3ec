"""What training needs of a model: its parameter groups, its forward pass in parts, its prompts.

Models of any architecture can be trained that implement `TrainableModel` (the network) and
`PromptTokenizer` (the text). `audioprobe.models.ltu` implements both for LTU.
"""

import re
from collections.abc import Sequence
from typing import Protocol

from torch import Tensor, nn

from audioprobe.errors import InvalidInputError

GROUPS = ("encoder", "projector", "cross-attention", "lora", "llm")
"""Parameter groups: audio encoder, projector, cross-attention adapter, LoRA, language model."""

ALL = ("encoder", "projector", "lora")
"""The groups that "all" stands for: those that the later stages of LTU's training train."""

_LAST_LAYERS = re.compile(r"last-([1-9]\d*)-layers?")


class PromptTokenizer(Protocol):
    """Prompts of a model as text and as token ids."""

    @property
    def eos_token_id(self) -> int:
        """Id of the end-of-sequence token."""
        ...

    def prompt(self, question: str, transcript: str = "") -> str:
        """Return the text that precedes the answer to a question."""
        ...

    def tokenize(self, text: str) -> list[int]:
        """Return token ids, beginning-of-sequence first; nothing in the text is a control token."""
        ...

    def continuation_ids(self, text: str) -> list[int]:
        """Return the token ids of an answer as it follows a prompt."""
        ...


class TrainableModel(Protocol):
    """An audio encoder and a language model, joined by audio tokens."""

    @property
    def network(self) -> nn.Module:
        """The module that holds all parameters."""
        ...

    @property
    def language_layers(self) -> Sequence[nn.Module]:
        """Layers of the language model, first to last."""
        ...

    def group_of(self, name: str) -> str:
        """Return the group (see `GROUPS`) of a parameter, by its name in the network."""
        ...

    def encode_audio(self, features: Tensor) -> Tensor:
        """Return audio tokens, shape (n_clips, n_tokens, hidden).

        Args:
            features: what the audio encoder takes, shape (n_clips, ...), of any number format.
        """
        ...

    def embed(self, ids: Tensor, audio_tokens: Tensor | None = None) -> Tensor:
        """Return input embeddings of the language model: audio tokens, then the text.

        Args:
            ids: token ids, shape (n_rows, n_text).
            audio_tokens: shape (n_rows, n_audio, hidden); None for text only.

        Returns:
            Shape (n_rows, n_audio + n_text, hidden).
        """
        ...

    def hidden_states(
        self,
        embeddings: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        *,
        last_only: bool = False,
    ) -> tuple[Tensor, ...]:
        """Return hidden states of the language model, each of shape (n_rows, n_tokens, hidden).

        Args:
            embeddings: shape (n_rows, n_tokens, hidden).
            attention_mask: shape (n_rows, n_tokens), 0 for padding, or (n_rows, 1, n_tokens,
                n_tokens), True where a token attends to another; None is causal attention.
            position_ids: shape (n_rows, n_tokens); None counts from 0.
            last_only: return only the states after the last layer.

        Returns:
            n_layers + 1 tensors: the embeddings, then the states after each layer, the last of them
            normalised as the output layer takes them.
        """
        ...

    def logits(self, states: Tensor) -> Tensor:
        """Return next-token logits, shape (..., n_vocabulary), of states after the last layer."""
        ...

    def expand_lora(self, rank: int, targets: Sequence[str], seed: int) -> None:
        """Expand the LoRA adapters in place without changing the model's output.

        Raises:
            InvalidInputError: if trained adapters would lose directions, or a target is unknown.
        """
        ...

    def add_cross_attention(self, text_states: Tensor, width: int, seed: int) -> None:
        """Add an adapter from audio tokens to text states, initialised to change nothing.

        Args:
            text_states: shape (n_texts, hidden).
            width: of queries, keys and values.
            seed: of the initial weights.
        """
        ...


def set_trainable(model: TrainableModel, names: str) -> list[nn.Parameter]:
    """Make the named parameters require gradients and freeze all others.

    Args:
        model: changed in place.
        names: joined by "+": parameter groups (see `GROUPS`), "all" (encoder, projector and LoRA),
            and "last-N-layers" (the language model's own weights in its last N layers).

    Returns:
        The trainable parameters, in the order of the network.

    Raises:
        InvalidInputError: for no or an unknown name, a group without parameters, or more layers
            than the model has.
    """
    groups, n_layers = _parse(names)
    layers = model.language_layers
    if n_layers > len(layers):
        raise InvalidInputError(
            f"The language model has {len(layers)} layers, got last-{n_layers}-layers."
        )
    model.network.requires_grad_(requires_grad=False)
    last = {id(p) for layer in layers[len(layers) - n_layers :] for p in layer.parameters()}
    present = set()
    for name, parameter in model.network.named_parameters():
        group = model.group_of(name)
        present.add(group)
        parameter.requires_grad = group in groups or (group == "llm" and id(parameter) in last)
    if missing := sorted(groups - present):
        raise InvalidInputError(f"This model has no {', '.join(missing)} to train.")
    return trainable_parameters(model.network)


def trainable_parameters(module: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that require gradients, in the order of the module."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def updates_language_model(names: str) -> bool:
    """Return whether training the named parameters changes the model's answers to text.

    Args:
        names: as for `set_trainable`.

    Raises:
        InvalidInputError: for no or an unknown name.
    """
    groups, n_layers = _parse(names)
    return n_layers > 0 or not groups.isdisjoint(("lora", "llm"))


def _parse(names: str) -> tuple[set[str], int]:
    """Return the groups, and the number of the language model's last layers."""
    groups: set[str] = set()
    n_layers = 0
    for name in map(str.strip, names.split("+")):
        if last := _LAST_LAYERS.fullmatch(name):
            n_layers = max(n_layers, int(last.group(1)))
        elif name == "all":
            groups.update(ALL)
        elif name in GROUPS:
            groups.add(name)
        else:
            raise InvalidInputError(
                f"Expected trainable modules among {', '.join(GROUPS)}, all and last-N-layers, "
                f"joined by '+', got {names!r}."
            )
    return groups, n_layers
