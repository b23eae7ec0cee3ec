"""Measurements of what fine-tuning changed: text loss, weights, and hidden states.

Perplexity is per token, so only models with the same tokenizer can be compared. Its confidence
interval describes the variation between passages, not between training runs.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.similarity import linear_cka
from audioprobe.metrics.vectorized_metrics import ratio
from audioprobe.training.examples import IGNORED, TrainingExample
from audioprobe.training.trainable import GROUPS, TrainableModel
from audioprobe.types import Estimate

Float32Array: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TextLoss:
    """Negative log-likelihood of a text passage.

    Attributes:
        nats: sum over the target tokens (tokens that the model predicts).
        n_tokens: number of target tokens.
    """

    nats: float
    n_tokens: int


def text_losses(
    model: TrainableModel, examples: Sequence[TrainingExample], *, batch_size: int = 8
) -> tuple[TextLoss, ...]:
    """Return the loss of each example, computed in evaluation mode.

    Args:
        model: model on any device; its training mode is restored afterwards.
        examples: examples without audio.
        batch_size: number of examples per forward pass; it changes results only by rounding errors.

    Raises:
        InvalidInputError: if the batch size is below 1, or an example has audio.
    """
    if batch_size < 1 or any(example.audio_id for example in examples):
        raise InvalidInputError(
            f"Expected a batch size of at least 1, got {batch_size}, and examples without audio, "
            f"got {sum(bool(example.audio_id) for example in examples)} examples with audio."
        )
    starts = range(0, len(examples), batch_size)
    with _evaluation_mode(model.network), torch.inference_mode():
        return tuple(
            loss for at in starts for loss in _losses(model, examples[at : at + batch_size])
        )


def mean_text_loss(losses: Sequence[TextLoss]) -> float:
    """Return the mean loss per token over all passages, in nats."""
    return sum(loss.nats for loss in losses) / sum(loss.n_tokens for loss in losses)


def perplexity(losses: Sequence[TextLoss], bootstrap: Bootstrap) -> Estimate:
    """Return the perplexity: exp(mean loss per token). The bootstrap resamples passages.

    Raises:
        InvalidInputError: if a loss is not finite.
    """
    per_token = ratio([loss.nats for loss in losses], [loss.n_tokens for loss in losses])
    return bootstrap.estimate(
        lambda counts: np.exp(per_token(counts)), len(losses), unit="passages"
    )


def perplexity_ratio(
    before: Sequence[TextLoss], after: Sequence[TextLoss], bootstrap: Bootstrap
) -> Estimate:
    """Return perplexity after / perplexity before on the same passages; above 1 means forgetting.

    Raises:
        InvalidInputError: if the numbers of passages or of their tokens differ, or a loss is not
            finite.
    """
    n_before, n_after = ([loss.n_tokens for loss in losses] for losses in (before, after))
    if n_before != n_after:
        raise InvalidInputError(
            f"Expected the same passages before and after, got {len(n_before)} of "
            f"{n_before!s:.40} tokens and {len(n_after)} of {n_after!s:.40}."
        )
    # Since the token counts are equal, the ratio is exp(increase of the loss per token).
    increase = [TextLoss(b.nats - a.nats, a.n_tokens) for a, b in zip(before, after, strict=True)]
    return perplexity(increase, bootstrap)


@dataclass(frozen=True, slots=True)
class WeightDrift:
    """Change of the weights of one parameter group.

    Attributes:
        group: name of the group; see `training.trainable.GROUPS`.
        absolute: Euclidean norm of the change of all weights of the group.
        relative: `absolute` divided by the norm of the initial weights; None if that norm is 0.
        n_weights: number of compared weights.
    """

    group: str
    absolute: float
    relative: float | None
    n_weights: int


def weight_drift(before: Mapping[str, Tensor], model: TrainableModel) -> tuple[WeightDrift, ...]:
    """Return the change of each parameter group since its weights were copied, in float64.

    Args:
        before: copies of the initial parameters, by name in the network, on any device.
        model: the model after training.

    Returns:
        One entry for each group with a parameter in `before`, in the order of `GROUPS`.

    Raises:
        InvalidInputError: if a name is not a parameter of the model, or its tensor has another
            shape or is the parameter itself instead of a copy.
    """
    parameters = dict(model.network.named_parameters())
    sums: dict[str, tuple[float, float, int]] = {}
    for name, initial in before.items():
        if name not in parameters:
            raise InvalidInputError(f"{name} is not a parameter of this model.")
        now = parameters[name].detach()
        if initial.shape != now.shape:
            raise InvalidInputError(
                f"{name} has shape {tuple(now.shape)} in the model, got shape "
                f"{tuple(initial.shape)} in `before`."
            )
        if initial.numel() and initial.data_ptr() == now.data_ptr():
            raise InvalidInputError(f"{name} is the parameter itself; copy it before training.")
        start = initial.detach().cpu().double()
        change = float(((now.cpu().double() - start) ** 2).sum())
        group = model.group_of(name)
        changes, norms, n_weights = sums.get(group, (0.0, 0.0, 0))
        norm = float((start**2).sum())
        sums[group] = changes + change, norms + norm, n_weights + start.numel()
    return tuple(
        WeightDrift(group, math.sqrt(change), math.sqrt(change / norm) if norm else None, n_weights)
        for group in GROUPS
        if group in sums
        for change, norm, n_weights in [sums[group]]
    )


def mean_states(
    model: TrainableModel, ids: Sequence[Tensor], audio_tokens: Tensor | None = None
) -> list[Float32Array]:
    """Return the mean hidden state of each item at every layer, computed in evaluation mode.

    An item is a text, or a clip with a text. Items are computed one by one, so their results do not
    depend on each other.

    Args:
        model: the model; its training mode is restored afterwards.
        ids: token ids of each item, shape (n_tokens,); at least one item.
        audio_tokens: audio tokens of each item, shape (n_items, n_audio, hidden). If given, the
            means are over the audio tokens only; the text that follows does not change their
            states.

    Returns:
        n_layers + 1 arrays of shape (n_items, hidden): the embeddings, then the states after each
        layer. The final normalisation is applied to the states after the last layer.

    Raises:
        InvalidInputError: if there are no items, or an array does not have its expected shape.
    """
    if not len(ids) or any(item.ndim != 1 or not item.numel() for item in ids):
        raise InvalidInputError("Expected at least one item with ids of shape (n_tokens,).")
    audio = audio_tokens
    if audio is not None and (audio.ndim != 3 or len(audio) != len(ids) or not audio.shape[1]):
        raise InvalidInputError(
            f"Expected audio tokens of shape ({len(ids)}, n_audio, hidden), got "
            f"{tuple(audio.shape)}."
        )
    items: list[list[Tensor]] = []
    with _evaluation_mode(model.network), torch.inference_mode():
        for index, item in enumerate(ids):
            tokens = None if audio is None else audio[index : index + 1]
            states = model.hidden_states(model.embed(item[None], tokens))
            span = slice(None if audio is None else audio.shape[1])
            items.append([state[0, span].float().mean(dim=0).cpu() for state in states])
    return [torch.stack(layer).numpy() for layer in zip(*items, strict=True)]


def layer_similarity(
    before: Sequence[npt.ArrayLike], after: Sequence[npt.ArrayLike]
) -> tuple[float | None, ...]:
    """Return the similarity of each layer before and after training, from 0 to 1.

    The similarity is linear CKA; see `metrics.similarity.linear_cka`. It is biased if there are
    fewer items than dimensions, so compare training runs only on the same items.

    Args:
        before: mean states of each layer, shape (n_items, hidden), from `mean_states`.
        after: mean states of the same items after training.

    Raises:
        InvalidInputError: if the number of layers or items differs, or a value is not finite.
    """
    if len(before) != len(after):
        raise InvalidInputError(
            f"Expected the same layers before and after, got {len(before)} and {len(after)}."
        )
    return tuple(linear_cka(*layer) for layer in zip(before, after, strict=True))


def _losses(model: TrainableModel, examples: Sequence[TrainingExample]) -> Iterator[TextLoss]:
    # Padding follows the text, and attention is causal: no mask is needed.
    ids = pad_sequence([torch.tensor(x.ids) for x in examples], True)
    labels = pad_sequence([torch.tensor(x.labels("answer")) for x in examples], True, IGNORED)
    (states,) = model.hidden_states(model.embed(ids), last_only=True)
    logits = model.logits(states)[:, :-1].float()
    targets = labels[:, 1:].to(logits.device)
    losses = functional.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none"
    ).view_as(targets)
    n_tokens = (targets != IGNORED).sum(1)
    yield from map(TextLoss, losses.double().sum(1).tolist(), n_tokens.tolist())


@contextmanager
def _evaluation_mode(module: nn.Module) -> Iterator[None]:
    """Set evaluation mode in the context; afterwards restore the mode of each submodule."""
    modes = [(submodule, submodule.training) for submodule in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for submodule, mode in modes:
            submodule.training = mode
