"""Changes of the states of a span at single sites, and their effects on answers.

Conventions:
    What is changed at a site (a subspace, a direction) is estimated from the mean states of the
    span, one vector per prompt. It is cross-fitted: the groups of a prompt are not among those that
    its change is estimated from. A change applies to every position of the span.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
from torch import Tensor

from audioprobe.errors import InvalidInputError
from audioprobe.forward_options import ForwardOptions
from audioprobe.interpretability.activations import SpanStates, read_states
from audioprobe.interpretability.answer_effects import (
    MEASURES,
    AnswerEffects,
    AnswerPrompts,
    PromptEffects,
    answer_changes,
    answer_values,
    answer_values_and_starts,
    check_concepts,
    layer_before,
)
from audioprobe.interpretability.answer_logits import AnswerReader
from audioprobe.interpretability.batches import BatchResults, Item, in_batches, in_batches_again
from audioprobe.interpretability.probe_estimates import ProbeSettings, check_testable
from audioprobe.interpretability.probe_fitting import LabelledStates
from audioprobe.interpretability.site_curve import Place
from audioprobe.metrics.grouping import grouped
from audioprobe.progress import ProgressCallback
from audioprobe.protocols import Inspectable
from audioprobe.sites import InspectedPrompt, find_sites, span_range
from audioprobe.types import Float64Array, IntArray

Edit: TypeAlias = Callable[[Tensor], Tensor]
"""Function of states in float32, shape (n_positions, width), that returns changed states."""

Fit: TypeAlias = Callable[[Float64Array, Sequence[Hashable], tuple[int, int]], "EditsOfLabel"]
"""Function of training states, their labels, and the indices of site and fold."""

EditsOfLabel: TypeAlias = Callable[[Hashable], Sequence[Edit]]
"""Function that returns the changes of an item with a label, one per variant."""


@dataclass(frozen=True, slots=True, eq=False)
class EditedPrompts:
    """Effects of several variants of a change at each site.

    Attributes:
        sites: the sites, in the order of the forward pass.
        results: for each prompt, the logit difference without a change, and the changes of
            `answer_effects.MEASURES`, shape (n_variants, n_sites, 2).
    """

    sites: tuple[str, ...]
    results: BatchResults[tuple[float, Float64Array]]

    def effects(
        self, concepts: Sequence[Hashable], control: str, span: str, n_kinds: int = 1
    ) -> tuple[AnswerEffects, ...]:
        """Return the effects of each kind of change.

        Args:
            concepts: concept of each prompt.
            control: name of the control.
            span: name of the span.
            n_kinds: number of kinds, such as factors. The variants of a kind follow each other; the
                first is the change, and the mean of the others is the control.
        """
        effects = []
        for kind in range(n_kinds):
            values = {}
            for n, (baseline, changes) in self.results.values.items():
                change, *controls = np.split(changes, n_kinds)[kind]
                both = np.stack([change, np.mean(controls, axis=0)])
                values[n] = PromptEffects(baseline, both)
            results = BatchResults(values, self.results.failures, self.results.items)
            places = [Place(site, span) for site in self.sites]
            effects.append(AnswerEffects.of(results, concepts, places, [control]))
        return tuple(effects)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class EditSettings:
    """Settings that all changes of spans share.

    Attributes:
        sites: patterns of sites.
        span: the span.
        n_folds: largest number of folds, at least 2.
        seed: seed of folds and controls.
        batch_size: prompts per forward pass.
        progress: called after every batch.
    """

    sites: Sequence[str]
    span: str
    n_folds: int
    seed: int
    batch_size: int
    progress: ProgressCallback


def edit_spans(
    model: Inspectable,
    prompts: Sequence[InspectedPrompt],
    *,
    labels: Sequence[Hashable],
    groups: Sequence[Hashable],
    fit: Fit,
    settings: EditSettings,
) -> EditedPrompts:
    """Estimate changes from the states of a span, apply them, and return their effects.

    Args:
        model: the model.
        prompts: prompts with options, the first of which is correct.
        labels: label of each prompt.
        groups: group of each prompt.
        fit: function that estimates the changes.
        settings: sites, span, folds and batches.

    Raises:
        InvalidInputError: if lengths differ, labels are missing, a site or span is unknown, or a
            label has too few groups.
    """
    check_concepts(prompts, groups)
    if grouped(len(prompts), labels).n_missing or grouped(len(prompts), groups).n_missing:
        raise InvalidInputError("Expected a label and a group for each prompt, got missing ones.")
    span_range(settings.span)
    sites, reader = find_sites(settings.sites, model.sites), AnswerReader(model)
    if "lm.logits" in sites:
        raise InvalidInputError("Expected sites before the logits, got lm.logits.")

    def pooled(batch: Sequence[Item]) -> list[SpanStates]:
        return read_states(model, batch, sites, [settings.span])

    size, progress = settings.batch_size, settings.progress
    prepared = AnswerPrompts(reader, prompts)
    plain = in_batches(model, prepared, pooled, batch_size=size, stage="states", progress=progress)
    edits = _fitted(plain, sites, labels=labels, groups=groups, fit=fit, settings=settings)
    effects = _EditedBatch(reader, sites, settings.span, edits).effects
    results = in_batches_again(
        model, prepared, plain, effects, batch_size=size, stage="changes", progress=progress
    )
    return EditedPrompts(sites, results)


def apply_edits(
    model: Inspectable,
    prompts: Sequence[InspectedPrompt],
    edits: Mapping[tuple[str, int], Sequence[Edit]],
    sites: Sequence[str],
    span: str,
    *,
    batch_size: int,
    progress: ProgressCallback,
) -> BatchResults[tuple[float, Float64Array]]:
    """Apply given changes to a span at one site at a time, and return their effects.

    Args:
        model: the model.
        prompts: prompts with options, the first of which is correct.
        edits: changes of a prompt, one per variant, keyed by site and index of the prompt.
        sites: sites of the changes.
        span: the span.
        batch_size: prompts per forward pass.
        progress: called after every batch.

    Returns:
        See `EditedPrompts.results`.
    """
    span_range(span)
    reader = AnswerReader(model)

    prepared = AnswerPrompts(reader, prompts)
    every_prompt: BatchResults[None] = BatchResults(dict.fromkeys(range(len(prompts))), {}, {})
    effects = _EditedBatch(reader, tuple(sites), span, edits).effects
    return in_batches_again(
        model,
        prepared,
        every_prompt,
        effects,
        batch_size=batch_size,
        stage="changes",
        progress=progress,
    )


def _fitted(
    plain: BatchResults[SpanStates],
    sites: Sequence[str],
    *,
    labels: Sequence[Hashable],
    groups: Sequence[Hashable],
    fit: Fit,
    settings: EditSettings,
) -> dict[tuple[str, int], Sequence[Edit]]:
    """Return the changes of each prompt that has the span, keyed by site and prompt."""
    edits: dict[tuple[str, int], Sequence[Edit]] = {}
    for place, site in enumerate(sites):
        key = site, settings.span
        rows = [n for n in sorted(plain.values) if key in plain.values[n]]
        if not rows:
            continue
        states = np.array([plain.values[n][key] for n in rows], dtype=np.float64)
        names = [labels[n] for n in rows]
        folds = _folds(states, names, [groups[n] for n in rows], f"{site} ({key[1]})", settings)
        for fold, (train, test) in enumerate(folds):
            edits_of = fit(states[train], [names[n] for n in train], (place, fold))
            edits |= {(site, rows[n]): edits_of(names[n]) for n in test.tolist()}
    if not edits:
        raise InvalidInputError(
            f"Expected prompts with the span {settings.span!r} at {', '.join(sites)}, got none."
        )
    return edits


def _folds(
    states: Float64Array,
    labels: Sequence[Hashable],
    groups: Sequence[Hashable],
    where: str,
    settings: EditSettings,
) -> list[tuple[IntArray, IntArray]]:
    """Return indices of training and test items, which do not depend on the order of the items."""
    data = LabelledStates.of(states, labels, groups)
    check_testable(data, where)
    n_folds = ProbeSettings(n_folds=settings.n_folds).n_folds
    folds = data.folds(n_folds, settings.seed)
    return [(data.order[train], data.order[test]) for train, test in folds]


@dataclass(frozen=True, slots=True, eq=False)
class _EditedBatch:
    """Forward passes with changed spans."""

    reader: AnswerReader
    sites: tuple[str, ...]
    span: str
    edits: Mapping[tuple[str, int], Sequence[Edit]]

    def effects(
        self, numbers: Sequence[int], batch: Sequence[Item]
    ) -> list[tuple[float, Float64Array]]:
        """Return logit difference and changes, (n_variants, n_sites, 2), of each prompt."""
        prompts = [prompt for prompt, _ in batch]
        layers = {layer for layer in map(layer_before, self.sites) if layer >= 0}
        before, starts = answer_values_and_starts(self.reader, prompts, layers)
        n_variants = len(next(iter(self.edits.values()), ()))
        changes = np.full((len(batch), n_variants, len(self.sites), len(MEASURES)), np.nan)
        for place, site in enumerate(self.sites):
            edits = [self.edits.get((site, n)) for n in numbers]
            positions = [list(layout.positions(site, self.span)) for _, layout in batch]
            changed = [n for n, each in enumerate(edits) if each is not None]
            options = ForwardOptions(start=starts.get(layer_before(site)))
            for variant in range(n_variants if changed else 0):
                chosen = [None if each is None else each[variant] for each in edits]
                hook = partial(_edited, chosen, positions)
                after = answer_values(self.reader, prompts, {site: hook}, options)
                changes[changed, variant, place] = answer_changes(before, after)[changed]
        return [(float(value[0]), rows) for value, rows in zip(before, changes, strict=True)]


def _edited(
    edits: Sequence[Edit | None], positions: Sequence[list[int]], number: int, states: Tensor
) -> Tensor | None:
    """Return the states of a prompt with changed positions; None for no change."""
    edit = edits[number]
    if edit is None:
        return None
    changed = states.clone()
    changed[positions[number]] = edit(states[positions[number]].float()).to(states.dtype)
    return changed
