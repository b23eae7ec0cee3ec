"""Knock-out of attention: does an answer need the information that flows along an edge?

Conventions:
    An edge such as ("audio", "last") is removed in a window of consecutive layers: its queries do
    not attend to its keys there (Geva et al. 2023, arXiv 2304.14767). Scores are masked before the
    softmax, so that the other weights still sum to 1, and rotary positions stay. The place
    "lm.edge.{i}" is the window with layer i in its centre: the layers from i - window // 2 on.
    All windows lie within the model, so that all have the same number of layers.

    Control: as many random connections, with as many queries and keys, disjoint from the edge, in
    the same layers. They show what the removal of any connections does.

    A removed edge has no effect if the information reached the queries in earlier layers, or takes
    another path. So a small effect does not show that the information is unused.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from audioprobe.errors import InvalidInputError
from audioprobe.forward_options import ForwardOptions, ResidualStart
from audioprobe.interpretability.answer_effects import (
    MEASURES,
    AnswerEffects,
    AnswerPrompts,
    PromptEffects,
    answer_changes,
    answer_values,
    answer_values_and_starts,
    check_concepts,
)
from audioprobe.interpretability.answer_logits import NO_HOOKS, AnswerReader
from audioprobe.interpretability.attention_edges import (
    EDGES,
    Edge,
    check_edges,
    edge_mask,
    edge_name,
    layer_count,
    random_connections,
)
from audioprobe.interpretability.batches import Item, in_batches
from audioprobe.interpretability.site_curve import Place
from audioprobe.progress import ProgressCallback, ignore_progress
from audioprobe.protocols import Inspectable
from audioprobe.sites import InspectedPrompt
from audioprobe.texts import stable_hash
from audioprobe.types import BoolArray, Float64Array

CONTROL = "random edges"


def knock_out(
    model: Inspectable,
    prompts: Sequence[InspectedPrompt],
    concepts: Sequence[Hashable],
    *,
    edges: Sequence[Edge] = EDGES,
    window: int | None = None,
    stride: int = 1,
    batch_size: int = 8,
    seed: int = 0,
    progress: ProgressCallback = ignore_progress,
) -> AnswerEffects:
    """Measure how answers change if attention edges are removed in windows of layers.

    Each prompt needs one whole forward pass, and two per edge and window that start at the window.
    The residual streams before all windows are in memory for one batch.

    Args:
        model: the model.
        prompts: prompts with options, the first of which is correct.
        concepts: concept of each prompt, the unit of intervals and tests.
        edges: pairs of spans (from, to): positions of `to` no longer attend to those of `from`.
        window: number of layers; None means about one fifth of the layers, and an odd number.
        stride: distance between the first layers of two windows; 1 means every window.
        batch_size: prompts per forward pass.
        seed: seed of the random edges.
        progress: called after every batch.

    Returns:
        Curves with a place "lm.edge.{centre}" per window, and a span such as "audio -> last" per
        edge. Values are NaN for prompts without the edge.

    Raises:
        InvalidInputError: if there are no prompts, a span is unknown, or window or stride are
            impossible.
    """
    check_concepts(prompts, concepts)
    check_edges(edges)
    windows = layer_windows(layer_count(model), window, stride)
    reader = AnswerReader(model)
    results = in_batches(
        model,
        AnswerPrompts(reader, prompts),
        _KnockOut(reader, tuple(edges), windows, seed).effects,
        batch_size=batch_size,
        stage="knock-out",
        progress=progress,
    )
    places = [
        Place(f"lm.edge.{layers[len(layers) // 2]}", edge_name(edge))
        for layers in windows
        for edge in edges
    ]
    return AnswerEffects.of(results, concepts, places, [CONTROL])


def layer_windows(n_layers: int, window: int | None = None, stride: int = 1) -> list[range]:
    """Return windows of consecutive layers, in order.

    Args:
        n_layers: number of layers of the model.
        window: number of layers; None means 2 * (n_layers // 10) + 1.
        stride: distance between the first layers of two windows.

    Raises:
        InvalidInputError: if a window has no layer or more than the model, or the stride is 0.
    """
    size = 2 * (n_layers // 10) + 1 if window is None else window
    if not 1 <= size <= n_layers or stride < 1:
        raise InvalidInputError(
            f"Expected a window of 1 to {n_layers} layers and a stride of at least 1, got window "
            f"{size} and stride {stride}."
        )
    return [range(first, first + size) for first in range(0, n_layers - size + 1, stride)]


@dataclass(frozen=True, slots=True, eq=False)
class _KnockOut:
    """Removal of edges in windows of layers."""

    reader: AnswerReader
    edges: tuple[Edge, ...]
    windows: Sequence[range]
    seed: int

    def effects(self, batch: Sequence[Item]) -> list[PromptEffects]:
        """Return the effects of all edges and windows on each prompt of a batch."""
        prompts = [prompt for prompt, _ in batch]
        before, starts = answer_values_and_starts(
            self.reader, prompts, [layers.start - 1 for layers in self.windows if layers.start]
        )
        shape = (len(prompts), 2, len(self.windows), len(self.edges), len(MEASURES))
        changes = np.full(shape, np.nan)
        for e, edge in enumerate(self.edges):
            masks = [edge_mask(layout, edge) for _, layout in batch]
            if not any(mask.any() for mask in masks):
                continue
            controls = [self._random(m, p, edge) for m, p in zip(masks, prompts, strict=True)]
            for variant, removed in enumerate((masks, controls)):
                for w, layers in enumerate(self.windows):
                    after = self._blocked(prompts, removed, layers, starts.get(layers.start - 1))
                    changes[:, variant, w, e] = answer_changes(before, after)
            changes[[not mask.any() for mask in masks], :, :, e] = np.nan
        return [
            PromptEffects(float(value[0]), rows.reshape(2, -1, len(MEASURES)))
            for value, rows in zip(before, changes, strict=True)
        ]

    def _random(self, mask: BoolArray, prompt: InspectedPrompt, edge: Edge) -> BoolArray:
        """Return random connections, which depend on the prompt and not on its batch."""
        key = f"{self.seed}|{edge_name(edge)}|{prompt.prompt.digest()}"
        return random_connections(mask, np.random.default_rng(stable_hash(key)))

    def _blocked(
        self,
        prompts: Sequence[InspectedPrompt],
        masks: Sequence[BoolArray],
        layers: range,
        start: ResidualStart | None,
    ) -> Float64Array:
        """Return the values of the answers without some connections in a window of layers."""
        tensors = [torch.from_numpy(mask) for mask in masks]
        options = ForwardOptions(start=start, blocked=dict.fromkeys(layers, tensors))
        return answer_values(self.reader, prompts, NO_HOOKS, options)
