"""What fine-tuning changed: text loss, weights by parameter group, hidden states by layer.

Perplexity is per token, so it compares models with the same tokenizer only. Its interval is over
passages, not over training runs.
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
        nats: sum over the targets.
        n_tokens: number of targets.
    """

    nats: float
    n_tokens: int


def text_losses(
    model: TrainableModel, examples: Sequence[TrainingExample], *, batch_size: int = 8
) -> tuple[TextLoss, ...]:
    """Return the loss of each example, computed in evaluation mode.

    Args:
        model: on any device; its training mode is restored.
        examples: without audio.
        batch_size: examples at a time; changes results by rounding only.

    Raises:
        InvalidInputError: for a batch size below 1, or an example with audio.
    """
    if batch_size < 1 or any(example.audio_id for example in examples):
        raise InvalidInputError(
            f"Expected examples without audio and a batch size of at least 1, got {batch_size}."
        )
    starts = range(0, len(examples), batch_size)
    with _evaluation_mode(model.network), torch.inference_mode():
        return tuple(
            loss for at in starts for loss in _losses(model, examples[at : at + batch_size])
        )


def mean_text_loss(losses: Sequence[TextLoss]) -> float:
    """Return the loss per token over all passages, in nats."""
    return sum(loss.nats for loss in losses) / sum(loss.n_tokens for loss in losses)


def perplexity(losses: Sequence[TextLoss], bootstrap: Bootstrap) -> Estimate:
    """Return the exponential of the mean loss per token; passages are resampled.

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
    """Return perplexity after / before on the same passages; above 1 is forgetting.

    Raises:
        InvalidInputError: if passages or their token counts differ, or a loss is not finite.
    """
    n_before, n_after = ([loss.n_tokens for loss in losses] for losses in (before, after))
    if n_before != n_after:
        raise InvalidInputError(
            f"Expected the same passages before and after, got {len(n_before)} of "
            f"{n_before!s:.40} tokens and {len(n_after)} of {n_after!s:.40}."
        )
    # With equal token counts, the ratio is the exponential of the increase of the loss per token.
    increase = [TextLoss(b.nats - a.nats, a.n_tokens) for a, b in zip(before, after, strict=True)]
    return perplexity(increase, bootstrap)


@dataclass(frozen=True, slots=True)
class WeightDrift:
    """Change of the weights of one parameter group.

    Attributes:
        group: name of the group; see `training.trainable.GROUPS`.
        absolute: Euclidean norm of the change of all its weights together.
        relative: the same divided by the norm of the weights before; None if that is 0.
        n_weights: number of weights compared.
    """

    group: str
    absolute: float
    relative: float | None
    n_weights: int


def weight_drift(before: Mapping[str, Tensor], model: TrainableModel) -> tuple[WeightDrift, ...]:
    """Return the change of each parameter group since its weights were copied, in float64.

    Args:
        before: copies of parameters, by name in the network, on any device.
        model: the model now.

    Returns:
        One entry for each group with a parameter in `before`, in the order of `GROUPS`.

    Raises:
        InvalidInputError: if a tensor is not a parameter of the model, has another shape, or is the
            parameter itself instead of a copy.
    """
    parameters = dict(model.network.named_parameters())
    sums: dict[str, tuple[float, float, int]] = {}
    for name, initial in before.items():
        if name not in parameters:
            raise InvalidInputError(f"{name} is not a parameter of this model.")
        now = parameters[name].detach()
        if initial.shape != now.shape:
            raise InvalidInputError(
                f"{name} has shape {tuple(now.shape)}, got {tuple(initial.shape)} for before."
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
    """Return the mean hidden state of each item at every layer, in evaluation mode.

    Items are computed one by one, so none depends on the others.

    Args:
        model: its training mode is restored.
        ids: token ids of each item, shape (n_tokens,) each, at least one item.
        audio_tokens: of the items, shape (n_items, n_audio, hidden). The means are then over these
            tokens, not over the text that follows them and does not change them.

    Returns:
        n_layers + 1 arrays of shape (n_items, hidden): the embeddings, then the states after each
        layer, the last of them normalised.

    Raises:
        InvalidInputError: for no items, ids of another shape, or another number of audio tokens.
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
    """Return the linear CKA of each layer before and after; see `metrics.similarity.linear_cka`.

    CKA is biased if there are fewer items than dimensions: compare training runs on the same items.

    Args:
        before: shape (n_items, hidden) for each layer, from `mean_states`.
        after: of the same items.

    Raises:
        InvalidInputError: for another number of layers or items, or values that are not finite.
    """
    if len(before) != len(after):
        raise InvalidInputError(
            f"Expected the same layers before and after, got {len(before)} and {len(after)}."
        )
    return tuple(linear_cka(*layer) for layer in zip(before, after, strict=True))


def _losses(model: TrainableModel, examples: Sequence[TrainingExample]) -> Iterator[TextLoss]:
    # Padding follows the tokens, and causal attention does not see it: no mask is needed.
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
    """Evaluation mode; afterwards each submodule has its previous mode."""
    modes = [(submodule, submodule.training) for submodule in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for submodule, mode in modes:
            submodule.training = mode
