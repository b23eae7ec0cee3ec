"""Edges of attention between spans of a prompt, and random edges as a control.

An edge (from, to) leads from the positions of the span `from`, which are the keys, to the
positions of the span `to`, which are the queries and attend to them. In an edge, "last" stands for
all positions from the last token of the prompt on. These are more than one if the prompt is
continued by tokens with which all its options begin.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.protocols import Inspectable
from audioprobe.sites import PromptLayout, span_range
from audioprobe.types import BoolArray

Edge: TypeAlias = tuple[str, str]
"""Span of the keys and span of the queries."""

EDGES: tuple[Edge, ...] = (("audio", "last"), ("audio", "question"), ("question", "last"))
"""The paths on which an answer can depend on the audio and on the question."""

_SITE = "lm.resid.0"  # all sites of the language model have the same positions


def edge_name(edge: Edge) -> str:
    """Return the name of an edge in tables, such as "audio -> last"."""
    return f"{edge[0]} -> {edge[1]}"


def check_edges(edges: Sequence[Edge]) -> None:
    """Raise `InvalidInputError` unless there are edges, all different, between known spans."""
    if not edges or len(set(edges)) < len(edges):
        raise InvalidInputError(
            f"Expected at least one edge (from, to), all different, got {list(edges)}."
        )
    for edge in edges:
        for span in edge:
            span_range(span)


def layer_count(model: Inspectable) -> int:
    """Return the number of layers of the language model."""
    return sum(site.startswith("lm.resid.") for site in model.sites)


def edge_positions(layout: PromptLayout, edge: Edge) -> tuple[list[int], list[int]]:
    """Return the positions of the keys and of the queries of an edge."""
    keys, queries = (
        layout.positions(_SITE, span) + (layout.positions(_SITE, "answer") * (span == "last"))
        for span in edge
    )
    return list(keys), list(queries)


def edge_mask(layout: PromptLayout, edge: Edge) -> BoolArray:
    """Return the causal connections of an edge, shape (n_tokens, n_tokens): queries are rows.

    A position's connection to itself is left out, because it cannot be removed. Nothing is marked
    if the prompt lacks a span, or if all keys follow the queries.
    """
    n = layout.n_tokens
    mask = np.zeros((n, n), dtype=np.bool_)
    keys, queries = edge_positions(layout, edge)
    mask[np.ix_(queries, keys)] = True
    return mask & np.tri(n, k=-1, dtype=np.bool_)


def random_connections(mask: BoolArray, rng: np.random.Generator) -> BoolArray:
    """Return random causal connections that are disjoint from given ones, of the same shape.

    There are as many queries, and each has as many keys as a query of `mask`. If no query with
    enough keys is left, which can happen if the audio is longer than the text, one with the most
    keys takes its place, so that there are fewer connections than in `mask`.
    """
    allowed = np.tri(len(mask), k=-1, dtype=np.bool_) & ~mask
    n_allowed = allowed.sum(axis=1)
    control = np.zeros_like(mask)
    for n_keys in sorted(mask.sum(axis=1)[mask.any(axis=1)], reverse=True):
        enough = min(n_keys, n_allowed.max())
        query = rng.choice(np.flatnonzero(n_allowed >= enough))
        keys = rng.choice(np.flatnonzero(allowed[query]), size=enough, replace=False)
        control[query, keys] = True
        n_allowed[query] = -1  # drawn once
    return control
