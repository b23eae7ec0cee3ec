"""Activations of a batch of prompts in memory, pooled over spans."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
from torch import Tensor

from audioprobe.errors import NonFiniteError
from audioprobe.interpretability.batches import Item
from audioprobe.protocols import Inspectable

Pooling: TypeAlias = Literal["mean", "last", "each"]
"""How the positions of a span become one vector: their mean, the last one, or no pooling."""
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)

States: TypeAlias = npt.NDArray[np.float32]
SpanStates: TypeAlias = Mapping[tuple[str, str], States]
"""States of one prompt, keyed by site and span: shape (width,), or (n_positions, width) without
pooling. Spans that the prompt does not have are absent."""


def read_states(
    model: Inspectable,
    prompts: Sequence[Item],
    sites: Sequence[str],
    spans: Sequence[str],
    pooling: Pooling = "mean",
) -> list[SpanStates]:
    """Return the states of each prompt of a batch, from one call of `model.run_with_hooks`.

    Args:
        model: the model.
        prompts: prompts of one batch with their layouts, from `model.layout`.
        sites: names of sites.
        spans: names of spans.
        pooling: how the positions of a span are pooled, in float32.

    Raises:
        NonFiniteError: if states are NaN or infinite, which would look like missing states.
    """
    results: list[dict[tuple[str, str], States]] = [{} for _ in prompts]

    def store(site: str, number: int, states: Tensor) -> None:
        for span in spans:
            positions = prompts[number][1].positions(site, span)
            if positions:
                results[number][site, span] = _pooled(states, positions, pooling, site)

    model.run_with_hooks(
        [item for item, _ in prompts], {site: partial(store, site) for site in sites}
    )
    return list(results)


def states_at(states: Tensor, positions: Sequence[int]) -> Tensor:
    """Return the states of some positions in ascending order, as a view if they are adjacent."""
    first, last = positions[0], positions[-1]
    if last - first == len(positions) - 1:  # much faster than an index
        return states[first : last + 1]
    return states[list(positions)]


def _pooled(states: Tensor, positions: Sequence[int], pooling: Pooling, site: str) -> States:
    """Return the pooled states of some positions."""
    rows = states_at(states, positions[-1:] if pooling == "last" else positions).float()
    # The model may overwrite its states, so that they are copied unless a mean is.
    pooled: States = (rows.clone() if pooling == "each" else rows.mean(dim=0)).cpu().numpy()
    if not np.isfinite(pooled).all():
        raise NonFiniteError(
            f"Expected finite states at {site}, got NaN or infinity. {NonFiniteError.ADVICE}"
        )
    return pooled
