"""How much attention goes along an edge between spans, and how much it contributes.

Conventions:
    Attention mass is the sum of the attention weights from a query to the keys of a span, averaged
    over the heads. A weight says nothing of the length of the value that it multiplies, and a
    model need not use what it attends to: attention to a token that collects unneeded mass, such
    as the first one, is high and contributes little.

    The contribution of a span to the output of the attention at a query is the vector
    c = sum of alpha[j] W_o v[j] over its positions j and over the heads. Its share is
    |c_span| / (|c_span| + |c_rest|), where the rest are all other positions (norm-weighted
    attention, Kobayashi et al. 2020, arXiv 2004.10102, for two groups of positions). Both vectors
    and the bias of W_o sum exactly to the output.

    Both are averaged over the queries of the span that come after at least one key. A position
    attends to itself, so that a span has mass on itself. Prompts without such a query have NaN.
    The control has uniform attention over all positions up to the query, with the same values:
    it depends only on positions and on the lengths of values. Attention windows of a model are
    not part of it.

    High mass or contribution does not show that a model uses a span: compare it with `knock_out`.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from audioprobe.errors import InvalidInputError, NonFiniteError
from audioprobe.forward_options import AttentionStates, ForwardOptions
from audioprobe.interpretability.answer_effects import (
    AnswerPrompts,
    check_concepts,
    failure_sentence,
    item_names,
)
from audioprobe.interpretability.answer_logits import NO_HOOKS, AnswerReader
from audioprobe.interpretability.attention_edges import (
    EDGES,
    Edge,
    check_edges,
    edge_name,
    edge_positions,
    layer_count,
)
from audioprobe.interpretability.batches import BatchResults, Item, in_batches
from audioprobe.interpretability.site_curve import Place, SiteCurve
from audioprobe.io.text_table import Displayed, Table
from audioprobe.progress import ProgressCallback, ignore_progress
from audioprobe.protocols import Inspectable
from audioprobe.sites import InspectedPrompt
from audioprobe.types import Float64Array

CONTROL = "uniform attention"

_Rows: TypeAlias = Float64Array
"""Shape (n_layers, n_edges, 2, 2): mass and contribution, each with its control."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class AttentionUse(Displayed):
    """Attention along edges in each layer.

    Attributes:
        mass: attention mass, from 0 to 1.
        contribution: share of the norm of the contribution, from 0 to 1.
        failures: cause of the failure of each prompt that failed, keyed by its index.
    """

    mass: SiteCurve
    contribution: SiteCurve
    failures: Mapping[int, str]

    def displayed(self) -> tuple[tuple[Table, ...], tuple[str, ...]]:
        """Return the tables of both measures, and the number of failures with the first cause."""
        tables, sentences = self.mass.displayed()
        more_tables, _ = self.contribution.displayed()
        return tables + more_tables, sentences + failure_sentence(self.failures)


def attention_use(
    model: Inspectable,
    prompts: Sequence[InspectedPrompt],
    concepts: Sequence[Hashable],
    *,
    edges: Sequence[Edge] = EDGES,
    layers: Sequence[int] | None = None,
    batch_size: int = 8,
    progress: ProgressCallback = ignore_progress,
) -> AttentionUse:
    """Measure attention mass and norm-weighted contribution along edges, in one forward pass.

    Args:
        model: the model; attention weights are computed explicitly.
        prompts: prompts; those with options are read up to where the options begin to differ.
        concepts: concept of each prompt, the unit of intervals and tests.
        edges: pairs of spans (from, to): keys and queries.
        layers: layers, counted from 0; None means all.
        batch_size: prompts per forward pass.
        progress: called after every batch.

    Returns:
        Curves with a place "lm.attn.{i}" per layer, and a span such as "audio -> last" per edge.
        Prompts of models whose attention cannot be read are failures.

    Raises:
        InvalidInputError: if there are no prompts, or a span or a layer is unknown.
    """
    check_concepts(prompts, concepts)
    check_edges(edges)
    n_layers = layer_count(model)
    chosen = tuple(range(n_layers) if layers is None else sorted(set(layers)))
    if not chosen or not 0 <= chosen[0] <= chosen[-1] < n_layers:
        raise InvalidInputError(
            f"Expected at least one layer from 0 to {n_layers - 1}, got {layers}."
        )
    results = in_batches(
        model,
        AnswerPrompts(AnswerReader(model), prompts),
        partial(_use, model, tuple(edges), chosen),
        batch_size=batch_size,
        stage="attention",
        progress=progress,
    )
    places = tuple(Place(f"lm.attn.{n}", edge_name(edge)) for n in chosen for edge in edges)
    names = ("attention mass", "share of the contribution")
    mass, contribution = (
        _curve(name, results, concepts, places, k) for k, name in enumerate(names)
    )
    return AttentionUse(mass=mass, contribution=contribution, failures=results.failures)


def _curve(
    measure: str,
    results: BatchResults[_Rows],
    concepts: Sequence[Hashable],
    places: tuple[Place, ...],
    number: int,
) -> SiteCurve:
    """Return the curve of the measure with an index."""
    values = np.full((len(concepts), len(places), 2), np.nan)
    for row, rows in results.values.items():
        values[row] = rows[:, :, number].reshape(len(places), 2)
    return SiteCurve(
        measure=measure,
        places=places,
        concepts=tuple(concepts),
        values=values[..., 0],
        controls={CONTROL: values[..., 1]},
        items=item_names(results, len(concepts)),
    )


def _use(
    model: Inspectable, edges: Sequence[Edge], layers: Sequence[int], batch: Sequence[Item]
) -> list[_Rows]:
    """Return the measures of each prompt of a batch."""
    rows = [np.full((len(layers), len(edges), 2, 2), np.nan) for _ in batch]
    positions = [[edge_positions(layout, edge) for edge in edges] for _, layout in batch]

    def read(place: int, number: int, attention: AttentionStates) -> None:
        for e, (keys, queries) in enumerate(positions[number]):
            usable = [query for query in queries if keys and query >= keys[0]]
            if usable:
                rows[number][place, e] = edge_use(attention, keys, usable)

    hooks = {layer: partial(read, place) for place, layer in enumerate(layers)}
    model.run_with_hooks([p for p, _ in batch], NO_HOOKS, ForwardOptions(attention=hooks))
    return rows


def edge_use(attention: AttentionStates, keys: Sequence[int], queries: Sequence[int]) -> _Rows:
    """Return attention mass and share of the contribution, each with its control, shape (2, 2).

    Args:
        attention: attention of a layer.
        keys: positions of the keys.
        queries: positions of the queries, each with at least one key before or at it.

    Raises:
        NonFiniteError: if a weight or a value is NaN or infinite.
    """
    weights = attention.weights[:, list(queries)]
    n = weights.shape[-1]
    positions = torch.arange(n, device=weights.device)
    allowed = positions <= positions[list(queries)][:, None]
    uniform = (allowed / allowed.sum(dim=-1, keepdim=True)).to(weights.dtype)
    is_key = torch.zeros(n, dtype=torch.bool, device=weights.device)
    is_key[list(keys)] = True
    measures = np.empty((2, 2))
    for column, each in enumerate((weights, uniform.expand_as(weights))):
        key_norms = _norms(attention, each, is_key)
        other_norms = _norms(attention, each, ~is_key)
        shares = key_norms / (key_norms + other_norms)
        mass = each[..., is_key].float().sum(dim=-1)
        if not torch.isfinite(mass).all() or not torch.isfinite(key_norms + other_norms).all():
            raise NonFiniteError(
                f"Expected finite attention, got NaN or infinity. {NonFiniteError.ADVICE}"
            )
        # A query without any contribution has the share 0 / 0, which is left out.
        measures[:, column] = float(mass.mean()), float(shares.nanmean())
    return measures


def _norms(attention: AttentionStates, weights: Tensor, chosen: Tensor) -> Tensor:
    """Return the norm of the contribution of some positions to each query, shape (n_queries,).

    Args:
        attention: attention of a layer.
        weights: weights from each query to all positions, shape (n_heads, n_queries, n_tokens).
        chosen: which positions contribute, shape (n_tokens,).
    """
    mixed = weights[..., chosen] @ attention.values[:, chosen]
    contribution = attention.project(mixed.transpose(0, 1).flatten(1))
    norms: Tensor = contribution.float().norm(dim=-1)
    return norms
