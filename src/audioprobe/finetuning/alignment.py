"""How sound is tied to text: losses between audio tokens and what a caption is made of.

Each takes audio tokens of sounds and the token ids of a text about each. The text's side is never
trained by them: it is what sound is to come close to. No head stands between both, so that what is
learned is in the tokens that the language model reads.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from audioprobe.errors import InvalidInputError
from audioprobe.models.ltu.network import LTUNetwork

Distance = Literal["cosine", "mse"]


class Texts(NamedTuple):
    """A text about each sound.

    Attributes:
        ids: token ids, shape (n_sounds, n_tokens), filled up with any id.
        there: the same shape; True where a token is of the text. At least one of each row.
    """

    ids: Tensor
    there: Tensor


AlignmentLoss = Callable[[LTUNetwork, Tensor, Texts], Tensor]
"""A loss, a scalar, of audio tokens of shape (n_sounds, n_tokens, hidden) and their texts."""


class ContrastiveLoss:
    """InfoNCE in both directions: each sound is to find its text among those of the batch.

    Equal texts share the probability. Source: van den Oord et al., 2018; as CLIP has it, Radford et
    al., 2021, without heads.

    Args:
        temperature: above 0; CLIP begins at 0.07.

    Raises:
        InvalidInputError: for another temperature.
    """

    def __init__(self, temperature: float = 0.07) -> None:
        if not temperature > 0:
            raise InvalidInputError(f"A temperature must be above 0, got {temperature}.")
        self._temperature = temperature

    def __call__(self, net: LTUNetwork, tokens: Tensor, texts: Texts) -> Tensor:
        """The loss, in nats; 0 for a batch of one sound."""
        sound = functional.normalize(tokens.mean(dim=1), dim=-1)
        text = functional.normalize(embedded(net, texts), dim=-1)
        logits = sound @ text.T / self._temperature
        same = _same(texts).to(logits)
        shares = same / same.sum(dim=1, keepdim=True)
        there = functional.cross_entropy(logits, shares)
        back = functional.cross_entropy(logits.T, shares)
        return (there + back) / 2


class EmbeddingLoss:
    """Mean audio token to the mean of the language model's own embeddings of the text.

    Args:
        distance: one minus cosine similarity, or mean squared difference.
    """

    def __init__(self, distance: Distance = "cosine") -> None:
        self._distance = distance_of(distance)

    def __call__(self, net: LTUNetwork, tokens: Tensor, texts: Texts) -> Tensor:
        """The loss."""
        return self._distance(tokens.mean(dim=1), embedded(net, texts))


class HiddenStateLoss:
    """Mean state of the audio tokens at a layer, to the mean state of the text at the same layer.

    Args:
        layer: 0 is before the first layer, -1 behind the last.
        distance: as for `EmbeddingLoss`.
    """

    def __init__(self, layer: int = -1, distance: Distance = "cosine") -> None:
        self._layer = layer
        self._distance = distance_of(distance)

    def __call__(self, net: LTUNetwork, tokens: Tensor, texts: Texts) -> Tensor:
        """The loss.

        Raises:
            InvalidInputError: if the language model has no such layer.
        """
        heard = self._states(net, tokens).float().mean(dim=1)
        with torch.no_grad():
            read = _mean(self._states(net, _embed(net, texts), texts.there), texts.there)
        return self._distance(heard, read)

    def _states(self, net: LTUNetwork, inputs: Tensor, there: Tensor | None = None) -> Tensor:
        states = net.llama.model(
            inputs_embeds=inputs.to(net.llama.dtype),
            attention_mask=None if there is None else there.long(),
            output_hidden_states=True,
        ).hidden_states
        if not -len(states) <= self._layer < len(states):
            raise InvalidInputError(
                f"The language model has states 0 to {len(states) - 1}, got layer {self._layer}."
            )
        found: Tensor = states[self._layer]
        return found


def embedded(net: LTUNetwork, texts: Texts) -> Tensor:
    """Mean of the language model's embeddings of each text, shape (n_sounds, hidden)."""
    with torch.no_grad():
        return _mean(_embed(net, texts), texts.there)


def distance_of(name: Distance) -> Callable[[Tensor, Tensor], Tensor]:
    """A distance of rows, meant over them.

    Raises:
        InvalidInputError: for an unknown name.
    """
    if name == "cosine":
        return lambda a, b: (1 - functional.cosine_similarity(a, b, dim=-1)).mean()
    if name == "mse":
        return functional.mse_loss
    raise InvalidInputError(f"Expected a distance of cosine or mse, got {name!r}.")


def _embed(net: LTUNetwork, texts: Texts) -> Tensor:
    found: Tensor = net.llama.get_input_embeddings()(texts.ids.to(net.llama.device))
    return found


def _mean(states: Tensor, there: Tensor) -> Tensor:
    """In float32, whatever the language model computes in."""
    weights = there.to(states.device).float()[..., None]
    return (states.float() * weights).sum(dim=1) / weights.sum(dim=1)


def _same(texts: Texts) -> Tensor:
    """Which texts of a batch are equal, shape (n_sounds, n_sounds)."""
    ids = texts.ids.masked_fill(~texts.there, -1)
    return (ids[:, None] == ids[None, :]).all(dim=-1)
