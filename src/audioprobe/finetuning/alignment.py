"""Alignment losses: distances between the audio tokens of clips and texts about these clips.

Audio tokens are the vectors that the language model receives for a clip. Gradients are
computed for the audio only, not for the texts, so the losses bring audio closer to text. There are
no projection heads.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from audioprobe.errors import InvalidInputError
from audioprobe.finetuning.strategy import (
    ContrastiveAlignment,
    Distance,
    EmbeddingAlignment,
    HiddenStateAlignment,
)
from audioprobe.training.trainable import PromptTokenizer, TrainableModel

LossAlignment: TypeAlias = ContrastiveAlignment | EmbeddingAlignment | HiddenStateAlignment
"""Options of the alignments that are losses."""


class PaddedTexts(NamedTuple):
    """Token ids of one text per clip, padded to the same length.

    Attributes:
        ids: token ids, shape (n_clips, n_tokens); padding may have any id.
        mask: True for tokens of the text, False for padding, shape (n_clips, n_tokens); each row
            has at least one True.
    """

    ids: Tensor
    mask: Tensor


class AlignmentTargets(NamedTuple):
    """Clips, and the texts with which their audio tokens are aligned.

    Attributes:
        audio: input of the audio encoder, shape (n_clips, ...).
        labels: labels of each clip, as one text.
        captions: caption of each clip.
    """

    audio: Tensor
    labels: PaddedTexts
    captions: PaddedTexts


def alignment_loss(
    alignment: LossAlignment, model: TrainableModel, audio_tokens: Tensor, targets: AlignmentTargets
) -> Tensor:
    """Return the loss of an alignment without its weight, a scalar.

    The contrastive loss uses the labels, all other losses use the captions. Audio tokens have shape
    (n_clips, n_tokens, hidden).
    """
    if isinstance(alignment, ContrastiveAlignment):
        return contrastive_loss(model, audio_tokens, targets.labels, alignment.temperature)
    if isinstance(alignment, EmbeddingAlignment):
        text = mean_embeddings(model, targets.captions)
        return mean_distance(audio_tokens.mean(dim=1), text, alignment.distance)
    layer, distance = alignment.layer, alignment.distance
    return hidden_state_loss(model, audio_tokens, targets.captions, layer, distance)


def contrastive_loss(
    model: TrainableModel, audio_tokens: Tensor, texts: PaddedTexts, temperature: float
) -> Tensor:
    """Return the InfoNCE loss between mean audio tokens and mean text embeddings, in nats.

    The loss is the mean of audio-to-text and text-to-audio, as in CLIP (Radford et al., 2021), but
    without projection heads. It is 0 for a batch of one clip. Clips with equal texts split the
    target probability equally. Source: van den Oord et al., 2018.
    """
    audio = functional.normalize(audio_tokens.mean(dim=1), dim=-1)
    text = functional.normalize(mean_embeddings(model, texts), dim=-1)
    logits = audio @ text.T / temperature
    ids = texts.ids.masked_fill(~texts.mask, -1)
    equal = (ids[:, None] == ids[None, :]).all(dim=-1).to(logits)
    targets = equal / equal.sum(dim=1, keepdim=True)
    audio_to_text = functional.cross_entropy(logits, targets)
    text_to_audio = functional.cross_entropy(logits.T, targets)
    return (audio_to_text + text_to_audio) / 2


def hidden_state_loss(
    model: TrainableModel,
    audio_tokens: Tensor,
    texts: PaddedTexts,
    layer: int,
    distance: Distance,
) -> Tensor:
    """Return the mean distance between the hidden states of clips and their texts at a layer.

    Hidden states are averaged over the audio tokens of a clip, or the tokens of its text. Layer 0
    is the input embeddings, -1 the last layer.

    Raises:
        InvalidInputError: if the language model has no layer with this index.
    """
    states = model.hidden_states(audio_tokens, None)
    if not -len(states) <= layer < len(states):
        raise InvalidInputError(
            f"The language model has hidden states 0 to {len(states) - 1}, got layer {layer}. "
            "Change `layer` of the alignment."
        )
    with torch.no_grad():
        of_text = model.hidden_states(model.embed(texts.ids), texts.mask.long())
        text = _masked_mean(of_text[layer], texts.mask)
    return mean_distance(states[layer].float().mean(dim=1), text, distance)


def mean_distance(first: Tensor, second: Tensor, distance: Distance) -> Tensor:
    """Return the mean cosine distance or squared error of tensors of shape (n_rows, width)."""
    if distance == "cosine":
        return (1 - functional.cosine_similarity(first, second, dim=-1)).mean()
    return functional.mse_loss(first, second)


def encode_texts(tokenizer: PromptTokenizer, texts: Sequence[str]) -> PaddedTexts:
    """Return the token ids of texts, without control tokens, padded to the same length."""
    ids = [torch.tensor(tokenizer.continuation_ids(text)) for text in texts]
    mask = [torch.ones(len(each), dtype=torch.bool) for each in ids]
    return PaddedTexts(pad_sequence(ids, True, 0), pad_sequence(mask, True, False))


def mean_embeddings(model: TrainableModel, texts: PaddedTexts) -> Tensor:
    """Return the mean input embedding of each text, shape (n_clips, hidden), float32."""
    with torch.no_grad():
        return _masked_mean(model.embed(texts.ids), texts.mask)


def _masked_mean(states: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of `states` over the tokens of each text, always in float32."""
    weights = mask.to(states.device).float()[..., None]
    return (states.float() * weights).sum(dim=1) / weights.sum(dim=1)
