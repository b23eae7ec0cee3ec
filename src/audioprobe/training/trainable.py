"""Protocols of models that can be trained, the choice of trainable modules, and their weights.

A model of any architecture can be trained if it has a `TrainableModel` (the network) and a
`PromptTokenizer` (the text). `audioprobe.models.ltu` implements both for LTU.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import Tensor, nn

from audioprobe.errors import InvalidInputError

GROUPS = ("encoder", "projector", "cross-attention", "lora", "llm")
"""Parameter groups: audio encoder, projector, cross-attention adapter, LoRA, language model."""

ALL = ("encoder", "projector", "lora")
"""Parameter groups that "all" selects: those of the later stages of LTU's training."""

_LAST_LAYERS = re.compile(r"last-([1-9]\d*)-layers?")


class PromptTokenizer(Protocol):
    """Tokenizer of a language model, and the format of the model's prompts."""

    @property
    def eos_token_id(self) -> int:
        """Id of the end-of-sequence token."""
        ...

    def prompt(self, question: str, transcript: str = "") -> str:
        """Return the text that precedes the answer: question, transcript, and prompt format."""
        ...

    def tokenize(self, text: str) -> list[int]:
        """Return the token ids of a text after the beginning-of-sequence token.

        Control tokens that are spelled out in the text are tokenised as ordinary text.
        """
        ...

    def continuation_ids(self, text: str) -> list[int]:
        """Return the token ids of an answer that follows a prompt, without any control token."""
        ...


class TrainableModel(Protocol):
    """Audio encoder and language model; the language model receives audio tokens and text."""

    @property
    def network(self) -> nn.Module:
        """The module that contains all parameters."""
        ...

    @property
    def language_layers(self) -> Sequence[nn.Module]:
        """Layers of the language model, in order."""
        ...

    def group_of(self, name: str) -> str:
        """Return the parameter group (see `GROUPS`) of a parameter of the network, by its name."""
        ...

    def encode_audio(self, features: Tensor) -> Tensor:
        """Return the audio tokens of clips, shape (n_clips, n_tokens, hidden).

        Args:
            features: input of the audio encoder, shape (n_clips, ...), with any dtype.
        """
        ...

    def embed(self, ids: Tensor, audio_tokens: Tensor | None = None) -> Tensor:
        """Return the input embeddings of the language model: audio tokens, then text tokens.

        Args:
            ids: token ids, shape (n_rows, n_text).
            audio_tokens: shape (n_rows, n_audio, hidden); None if there is no audio.

        Returns:
            Shape (n_rows, n_audio + n_text, hidden).
        """
        ...

    def n_positions(self, audio_tokens: Tensor | None) -> int:
        """Return how many positions of the input embeddings the audio tokens of a row use.

        It is 0 if layers of the language model read them instead; see `reading`.
        """
        ...

    def reading(self, audio_tokens: Tensor | None) -> AbstractContextManager[None]:
        """Return a context manager in which layers read the audio tokens of each row.

        It has no effect if audio tokens are part of the input embeddings.
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
        """Return the hidden states of the language model, layer by layer.

        Args:
            embeddings: shape (n_rows, n_tokens, hidden).
            attention_mask: shape (n_rows, n_tokens), 0 for padding, or shape (n_rows, 1, n_tokens,
                n_tokens), True if a token attends to another token; None means causal attention.
            position_ids: shape (n_rows, n_tokens); None counts from 0.
            last_only: whether to return only the states after the last layer.

        Returns:
            n_layers + 1 tensors of shape (n_rows, n_tokens, hidden): the embeddings, then the
            states after each layer. The last tensor is after the final normalisation.
        """
        ...

    def logits(self, states: Tensor) -> Tensor:
        """Return the logits of the next token, shape (..., n_vocabulary).

        Args:
            states: hidden states after the last layer, shape (..., hidden).
        """
        ...

    def expand_lora(self, rank: int, targets: Sequence[str], seed: int) -> None:
        """Raise the rank of the LoRA adapters and add adapters to further target modules.

        The output of the model does not change.

        Raises:
            InvalidInputError: if `rank` is below the rank of the existing adapters, or a target
                module is unknown.
        """
        ...

    def add_cross_attention(self, text_states: Tensor, width: int, seed: int) -> None:
        """Add an adapter by which audio tokens attend to texts, initialised to change nothing.

        Args:
            text_states: hidden states of texts, to which audio tokens attend, shape (n_texts,
                hidden).
            width: dimension of queries, keys and values.
            seed: random seed of the initial weights.
        """
        ...


def set_trainable(model: TrainableModel, names: str) -> list[nn.Parameter]:
    """Choose the parameters to train, and freeze all others.

    Args:
        model: changed in place.
        names: names joined by "+": parameter groups (see `GROUPS`), "all" (encoder, projector and
            LoRA), or "last-N-layers" (the language model's own weights in its last N layers).

    Returns:
        The trainable parameters, in the order of the network.

    Raises:
        InvalidInputError: if a name is unknown or empty, a group has no parameters, or the language
            model has fewer than N layers.
    """
    groups, n_layers = _parse(names)
    layers = model.language_layers
    if n_layers > len(layers):
        raise InvalidInputError(
            f"The language model has {len(layers)} layers, got last-{n_layers}-layers. Choose a "
            "smaller number of layers."
        )
    model.network.requires_grad_(requires_grad=False)
    last = {id(p) for layer in layers[len(layers) - n_layers :] for p in layer.parameters()}
    present = set()
    for name, parameter in model.network.named_parameters():
        group = model.group_of(name)
        present.add(group)
        parameter.requires_grad = group in groups or (group == "llm" and id(parameter) in last)
    if missing := sorted(groups - present):
        raise InvalidInputError(
            f"This model has no {', '.join(missing)} to train, only {', '.join(sorted(present))}. "
            "Choose among these modules."
        )
    return trainable_parameters(model.network)


def trainable_parameters(module: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that require gradients, in the order of the module."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def trainable_weights(module: nn.Module) -> dict[str, Tensor]:
    """Return the trainable parameters by name, detached; they share memory with the module."""
    named = module.named_parameters()
    return {name: parameter.detach() for name, parameter in named if parameter.requires_grad}


def copy_trainable_weights(module: nn.Module) -> dict[str, Tensor]:
    """Return copies of the trainable parameters by name, on the CPU."""
    return {name: tensor.to("cpu", copy=True) for name, tensor in trainable_weights(module).items()}


def load_trainable_weights(module: nn.Module, weights: Mapping[str, Tensor]) -> bool:
    """Copy weights into the trainable parameters, and return True.

    If names or shapes differ from those of the parameters, copy nothing and return False.
    """
    parameters = trainable_weights(module)
    if {name: p.shape for name, p in parameters.items()} != {
        n: w.shape for n, w in weights.items()
    }:
        return False
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(weights[name])
    return True


def updates_language_model(names: str) -> bool:
    """Return True if training these modules can change answers to questions without audio.

    Args:
        names: names of the modules, joined by "+"; see `set_trainable`.

    Raises:
        InvalidInputError: if a name is unknown or empty.
    """
    groups, n_layers = _parse(names)
    return n_layers > 0 or not groups.isdisjoint(("lora", "llm"))


def _parse(names: str) -> tuple[set[str], int]:
    """Return the parameter groups in `names`, and the N of "last-N-layers", 0 if not named."""
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
                f"Expected one or more of {', '.join(GROUPS)}, all and last-N-layers, joined by "
                f"'+', got {names!r}, in which {name!r} is unknown."
            )
    return groups, n_layers
