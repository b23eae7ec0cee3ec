"""Alignment losses: distances between the audio tokens of clips and texts about these clips.

Audio tokens are the vectors that the language model receives for a clip. No loss sends gradients
to the text representation or has a projection head: only the audio tokens move, towards the text.
"""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from audioprobe.errors import InvalidInputError
from audioprobe.training.trainable import PromptTokenizer, TrainableModel

Distance = Literal["cosine", "mse"]
"""1 - cosine similarity, or mean squared difference; averaged over rows."""


class PaddedTexts(NamedTuple):
    """Token ids of one text per clip, padded to the same length.

    Attributes:
        ids: token ids, shape (n_clips, n_tokens); padding may have any id.
        mask: True for tokens of the text, False for padding, shape (n_clips, n_tokens); each row
            has at least one True.
    """

    ids: Tensor
    mask: Tensor


AlignmentLoss = Callable[[TrainableModel, Tensor, PaddedTexts], Tensor]
"""Function that returns a scalar loss from a model, audio tokens and one text per clip.

The audio tokens have shape (n_clips, n_tokens, hidden)."""


class ContrastiveLoss:
    """InfoNCE loss in both directions between mean audio tokens and mean text embeddings.

    If several clips of a batch have equal texts, they share the target probability. Source: van den
    Oord et al., 2018; symmetric as in CLIP (Radford et al., 2021), without projection heads.

    Args:
        temperature: temperature of the softmax, above 0; the initial value of CLIP is 0.07.

    Raises:
        InvalidInputError: if the temperature is not above 0.
    """

    def __init__(self, temperature: float = 0.07) -> None:
        if not temperature > 0:
            raise InvalidInputError(f"A temperature must be above 0, got {temperature}.")
        self._temperature = temperature

    def __call__(self, model: TrainableModel, audio_tokens: Tensor, texts: PaddedTexts) -> Tensor:
        """Return the loss, a scalar, in nats; it is 0 for a batch of one clip."""
        audio = functional.normalize(audio_tokens.mean(dim=1), dim=-1)
        text = functional.normalize(mean_embeddings(model, texts), dim=-1)
        logits = audio @ text.T / self._temperature
        equal = _equal_texts(texts).to(logits)
        targets = equal / equal.sum(dim=1, keepdim=True)
        audio_to_text = functional.cross_entropy(logits, targets)
        text_to_audio = functional.cross_entropy(logits.T, targets)
        return (audio_to_text + text_to_audio) / 2


class EmbeddingLoss:
    """Distance between the mean audio token and the mean input embedding of the text.

    Args:
        distance: "cosine" or "mse"; see `Distance`.
    """

    def __init__(self, distance: Distance = "cosine") -> None:
        self._distance = distance_function(distance)

    def __call__(self, model: TrainableModel, audio_tokens: Tensor, texts: PaddedTexts) -> Tensor:
        """Return the loss, a scalar."""
        return self._distance(audio_tokens.mean(dim=1), mean_embeddings(model, texts))


class HiddenStateLoss:
    """Distance between the mean hidden states of audio tokens and of the text at the same layer.

    Args:
        layer: index of the hidden states: 0 for the input embeddings, -1 for the last layer.
        distance: "cosine" or "mse"; see `Distance`.
    """

    def __init__(self, layer: int = -1, distance: Distance = "cosine") -> None:
        self._layer = layer
        self._distance = distance_function(distance)

    def __call__(self, model: TrainableModel, audio_tokens: Tensor, texts: PaddedTexts) -> Tensor:
        """Return the loss, a scalar.

        Raises:
            InvalidInputError: if the language model has no layer with this index.
        """
        audio = self._states(model, audio_tokens, None).float().mean(dim=1)
        with torch.no_grad():
            states = self._states(model, model.embed(texts.ids), texts.mask)
            text = _masked_mean(states, texts.mask)
        return self._distance(audio, text)

    def _states(self, model: TrainableModel, embeddings: Tensor, mask: Tensor | None) -> Tensor:
        states = model.hidden_states(embeddings, None if mask is None else mask.long())
        if not -len(states) <= self._layer < len(states):
            raise InvalidInputError(
                f"The language model has hidden states 0 to {len(states) - 1}, got layer "
                f"{self._layer}."
            )
        return states[self._layer]


def encode_texts(tokenizer: PromptTokenizer, texts: Sequence[str]) -> PaddedTexts:
    """Return the token ids of texts, tokenised like answers and padded to the same length."""
    ids = [torch.tensor(tokenizer.continuation_ids(text)) for text in texts]
    mask = [torch.ones(len(each), dtype=torch.bool) for each in ids]
    return PaddedTexts(pad_sequence(ids, True, 0), pad_sequence(mask, True, False))


def mean_embeddings(model: TrainableModel, texts: PaddedTexts) -> Tensor:
    """Return the mean input embedding of each text, shape (n_clips, hidden), float32."""
    with torch.no_grad():
        return _masked_mean(model.embed(texts.ids), texts.mask)


def distance_function(name: Distance) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the distance function with this name.

    It computes the distance between the rows of two tensors of shape (n_rows, width), averaged over
    rows.

    Raises:
        InvalidInputError: if the name is unknown.
    """
    if name == "cosine":
        return lambda a, b: (1 - functional.cosine_similarity(a, b, dim=-1)).mean()
    if name == "mse":
        return functional.mse_loss
    raise InvalidInputError(f"Expected the distance cosine or mse, got {name!r}.")


def _masked_mean(states: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over the tokens of each text, in float32 for any dtype of the model."""
    weights = mask.to(states.device).float()[..., None]
    return (states.float() * weights).sum(dim=1) / weights.sum(dim=1)


def _equal_texts(texts: PaddedTexts) -> Tensor:
    """Return whether each pair of texts of a batch is equal, shape (n_clips, n_clips)."""
    ids = texts.ids.masked_fill(~texts.mask, -1)
    return (ids[:, None] == ids[None, :]).all(dim=-1)
