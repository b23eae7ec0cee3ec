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
from audioprobe.finetuning.components import (
    ContrastiveAlignment,
    Distance,
    EmbeddingAlignment,
    HiddenStateAlignment,
)
from audioprobe.training.trainable import PromptTokenizer, TrainableModel

LossAlignment: TypeAlias = ContrastiveAlignment | EmbeddingAlignment | HiddenStateAlignment
"""Options of the alignments that are losses."""


_CKA_CLIPS = 3  # smallest number of clips with a CKA below 1
_REGULARIZATION = 0.05  # of optimal transport, in units of cosine distance
_ITERATIONS = 100  # of Sinkhorn's algorithm


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
        with torch.no_grad():
            embedded = model.embed(targets.captions.ids)
        return distance_loss(audio_tokens, embedded, targets.captions.mask, alignment.distance)
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
    """Return the distance between the hidden states of clips and their texts at a layer.

    Layer 0 is the input embeddings, -1 the last layer.

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
    return distance_loss(states[layer], of_text[layer], texts.mask, distance)


def distance_loss(audio: Tensor, text: Tensor, mask: Tensor, distance: Distance) -> Tensor:
    """Return a distance between the tokens of clips and of their texts, a scalar.

    Args:
        audio: vectors of audio tokens, shape (n_clips, n_audio, width).
        text: vectors of text tokens, shape (n_clips, n_text, width).
        mask: True for tokens of the text, False for padding, shape (n_clips, n_text).
        distance: "cosine" and "mse" compare the mean vectors of each clip and its text; "cka" is 1
            minus the linear CKA of the mean vectors of all clips and of all texts; "transport" is
            the mean of the optimal-transport costs between the tokens of a clip and of its text.
    """
    if distance == "transport":
        return transport_cost(audio.float(), text.float(), mask.to(audio.device)).mean()
    first, second = audio.float().mean(dim=1), _masked_mean(text, mask)
    if distance == "cosine":
        return (1 - functional.cosine_similarity(first, second, dim=-1)).mean()
    return functional.mse_loss(first, second) if distance == "mse" else cka_loss(first, second)


def cka_loss(first: Tensor, second: Tensor) -> Tensor:
    """Return 1 minus the linear CKA of two tensors of shape (n_clips, width), in [0, 1].

    It compares which clips are similar to which, and not the vectors themselves; see
    `metrics.linear_cka`. The loss is 0 for fewer than three clips, because the CKA of two clips is
    always 1.
    """
    if len(first) < _CKA_CLIPS:
        return first.sum() * 0
    kernels = []
    for values in (first, second):
        centered = values - values.mean(dim=0)
        kernels.append(functional.normalize((centered @ centered.T).flatten(), dim=0))
    return 1 - kernels[0] @ kernels[1]


def transport_cost(audio: Tensor, text: Tensor, mask: Tensor) -> Tensor:
    """Return the cost of optimal transport between the tokens of each clip and of its text.

    All audio tokens have the same mass, and so have all text tokens; the cost of moving mass is the
    cosine distance. The transport plan P minimises <P, C> - regularization * entropy(P), as in
    `ot.sinkhorn` of POT; the result is <P, C>. Gradients treat the plan as constant: they are those
    of the regularised minimum (envelope theorem). Source: Cuturi, "Sinkhorn distances", NeurIPS
    2013.

    Args:
        audio: shape (n_clips, n_audio, width).
        text: shape (n_clips, n_text, width).
        mask: True for tokens of the text, shape (n_clips, n_text).

    Returns:
        Cost of each clip, in [0, 2], shape (n_clips,).
    """
    directions = functional.normalize(audio, dim=-1), functional.normalize(text, dim=-1)
    cost = 1 - directions[0] @ directions[1].transpose(1, 2)
    with torch.no_grad():
        plan = _sinkhorn(cost.detach().double(), mask).to(cost)
    return (plan * cost).sum(dim=(1, 2))


def _sinkhorn(cost: Tensor, mask: Tensor) -> Tensor:
    """Return regularised transport plans, shape (n_clips, n_audio, n_text); padding has mass 0."""
    scaled = (-cost / _REGULARIZATION).masked_fill(~mask[:, None], -torch.inf)
    rows = torch.full(cost.shape[:2], 1 / cost.shape[1], dtype=cost.dtype, device=cost.device).log()
    columns = (mask / mask.sum(dim=1, keepdim=True)).to(cost).log()  # -inf for padding
    of_rows, potential = rows, torch.zeros_like(columns)
    for _ in range(_ITERATIONS):
        of_rows = rows - (scaled + potential[:, None]).logsumexp(dim=2)
        update = columns - (scaled + of_rows[..., None]).logsumexp(dim=1)
        potential = update.masked_fill(~mask, 0.0)  # -inf minus -inf is NaN
    return (scaled + of_rows[..., None] + potential[:, None]).exp()


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
