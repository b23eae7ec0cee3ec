"""How far training has moved a network: its weights by part, its states of items by layer."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.similarity import linear_cka
from audioprobe.models.ltu.network import LTUNetwork
from audioprobe.training.trainable import PARTS, Part, part_of

Float32Array: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class WeightDrift:
    """How far the weights of one part have moved.

    Attributes:
        part: of the network, as `training.parts` names it.
        absolute: Euclidean norm of the change of all its weights together.
        relative: the same over the norm of these weights before; None where that is 0.
        n_weights: how many numbers were compared.
    """

    part: Part
    absolute: float
    relative: float | None
    n_weights: int


def weight_drift(before: Mapping[str, Tensor], module: nn.Module) -> tuple[WeightDrift, ...]:
    """How far each part has moved since its weights were copied.

    Args:
        before: copies of parameters, by name in the module, such as clones of what
            `snapshots.trained` gave before training; on any device.
        module: an LTU, or what trains one, such as a loss.

    Returns:
        One for each part of which something is in `before`, in the order of `PARTS`; computed in
        float64.

    Raises:
        InvalidInputError: if a tensor is no parameter of this LTU, is of another shape, or is the
            parameter itself and no copy.
    """
    own = dict(module.named_parameters())
    # A loss has the network as an attribute, and its parameters by longer names.
    path = next((name for name, m in module.named_modules() if isinstance(m, LTUNetwork)), None)
    root = f"{path}." if path else ""
    sums: dict[Part, tuple[float, float, int]] = {}
    for name, began in before.items():
        if path is None or name not in own or not name.startswith(root):
            raise InvalidInputError(f"{name} is no parameter of an LTU in this module.")
        now = own[name].detach()
        if began.shape != now.shape:
            raise InvalidInputError(
                f"{name} has shape {tuple(now.shape)}, got {tuple(began.shape)} for before."
            )
        if began.numel() and began.data_ptr() == now.data_ptr():
            raise InvalidInputError(f"{name} is the parameter itself: clone it before training.")
        start = _exact(began)
        part = part_of(name.removeprefix(root))
        moved, norm, n_weights = sums.get(part, (0.0, 0.0, 0))
        moved += float(((_exact(now) - start) ** 2).sum())
        sums[part] = moved, norm + float((start**2).sum()), n_weights + start.numel()
    return tuple(
        WeightDrift(part, math.sqrt(moved), math.sqrt(moved / norm) if norm else None, n_weights)
        for part in PARTS
        if part in sums
        for moved, norm, n_weights in [sums[part]]
    )


def states(
    net: LTUNetwork, ids: Sequence[Tensor], audio: Tensor | None = None
) -> list[Float32Array]:
    """What the language model makes of items, layer by layer: means over their positions.

    Items are read one by one, in evaluation mode: no item depends on the others.

    Args:
        net: left in the mode that it was in.
        ids: token ids of each item, shape (n_tokens,) each, at least one.
        audio: audio tokens of the items as `net.prefix` gives them, shape (n_items, n_audio,
            hidden). The means are then over these tokens, not over those of the text: they come
            first, and the text that follows does not change them.

    Returns:
        n_layers + 1 arrays of shape (n_items, hidden): the embeddings, then the states behind each
        layer; those behind the last one are normalised, as its head reads them.

    Raises:
        InvalidInputError: if there are no items, ids are not so, or there are not as many sounds.
    """
    if not len(ids) or any(item.ndim != 1 or not item.numel() for item in ids):
        raise InvalidInputError("Expected items of token ids of shape (n_tokens,), at least one.")
    if audio is not None and (audio.ndim != 3 or len(audio) != len(ids) or not audio.shape[1]):
        raise InvalidInputError(
            f"Expected audio tokens of shape ({len(ids)}, n_audio, hidden), got "
            f"{tuple(audio.shape)}."
        )
    device = net.llama.device
    n_audio = 0 if audio is None else audio.shape[1]
    found: list[list[Tensor]] = []
    with _evaluating(net), torch.inference_mode():
        for index, item in enumerate(ids):
            heard = None if audio is None else audio[index : index + 1].to(device)
            hidden = net.llama.model(
                inputs_embeds=net.embed(item[None].to(device), heard),
                output_hidden_states=True,
                use_cache=False,
            ).hidden_states
            # With sound, its own positions; without, all.
            found.append(
                [state[0, : n_audio or None].float().mean(dim=0).cpu() for state in hidden]
            )
    return [torch.stack(layer).numpy() for layer in zip(*found, strict=True)]


def layer_similarity(
    before: Sequence[npt.ArrayLike], after: Sequence[npt.ArrayLike]
) -> tuple[float | None, ...]:
    """Linear CKA of each layer with itself, before and after; see `linear_cka`.

    It is the biased one: with fewer items than dimensions, compare it with other trainings on the
    same items only.

    Args:
        before: shape (n_items, hidden) for each layer, as `states` gives them.
        after: of the same items.

    Raises:
        InvalidInputError: if there are not as many layers or items, or arrays are not finite.
    """
    if len(before) != len(after):
        raise InvalidInputError(
            f"Expected the same layers twice, got {len(before)} and {len(after)}."
        )
    return tuple(linear_cka(*layer) for layer in zip(before, after, strict=True))


def _exact(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().double()


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode for a while, whatever mode each of its modules was in."""
    modes = [(m, m.training) for m in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for one, was_training in modes:
            one.training = was_training
