"""Erase a label from activations, and measure whether answers change.

If answers change more than without a random subspace of the same rank, the model uses what a
linear classifier reads there. If they do not, the information may still be used in a form that no
linear classifier reads, or be available at other positions.
"""

from collections.abc import Hashable, Sequence

import numpy as np
import torch
from torch import Tensor

from audioprobe.interpretability.answer_effects import AnswerEffects, PromptEffects
from audioprobe.interpretability.batches import BatchResults
from audioprobe.interpretability.leace import Leace
from audioprobe.interpretability.probe_estimates import check_counts
from audioprobe.interpretability.site_curve import Place
from audioprobe.interpretability.span_edits import Edit, EditSettings, EditsOfLabel, edit_spans
from audioprobe.progress import ProgressCallback, ignore_progress
from audioprobe.protocols import Inspectable
from audioprobe.sites import InspectedPrompt
from audioprobe.types import Float64Array

CONTROL = "random subspace"


def erase(
    model: Inspectable,
    prompts: Sequence[InspectedPrompt],
    concepts: Sequence[Hashable],
    labels: Sequence[Hashable],
    *,
    groups: Sequence[Hashable] | None = None,
    sites: Sequence[str] = ("lm.resid.*",),
    span: str = "audio",
    shrinkage: float | None = None,
    n_controls: int = 3,
    n_folds: int = 5,
    batch_size: int = 8,
    seed: int = 0,
    progress: ProgressCallback = ignore_progress,
) -> AnswerEffects:
    """Measure how answers change if a label is erased from a span at one site at a time (LEACE).

    The erased subspace is fitted to prompts of other groups, see `span_edits`. The control erases a
    random subspace of the same rank of the whitened states, and is the mean of `n_controls` draws.

    Args:
        model: the model.
        prompts: prompts with options, the first of which is correct.
        concepts: concept of each prompt, the unit of intervals and tests.
        labels: label of each prompt that is erased, such as whether its audio is of a bird.
        groups: group of each prompt; None means its concept.
        sites: sites where the label is erased; "*" stands for any text.
        span: span at whose positions it is erased.
        shrinkage: see `Leace.fit`.
        n_controls: number of random subspaces, at least 1.
        n_folds: largest number of folds, at least 2; a label in fewer groups reduces it.
        batch_size: prompts per forward pass.
        seed: seed of folds and random subspaces.
        progress: called after every batch.

    Returns:
        Curves with one place per site. Values are NaN for prompts without the span.

    Raises:
        InvalidInputError: if an argument is out of range, lengths differ, a site or span is
            unknown, or a label has too few groups.
    """
    check_counts(n_controls=n_controls)

    def fit(states: Float64Array, names: Sequence[Hashable], key: tuple[int, int]) -> EditsOfLabel:
        eraser = Leace.fit(states, names, shrinkage=shrinkage)
        controls = [eraser.random([seed, *key, number]) for number in range(n_controls)]
        edits = [_edit(each) for each in (eraser, *controls)]
        return lambda _: edits

    settings = EditSettings(
        sites=sites, span=span, n_folds=n_folds, seed=seed, batch_size=batch_size, progress=progress
    )
    held_out = concepts if groups is None else groups
    edited = edit_spans(model, prompts, labels=labels, groups=held_out, fit=fit, settings=settings)
    effects = {
        n: PromptEffects(value, np.stack([changes[0], changes[1:].mean(axis=0)]))
        for n, (value, changes) in edited.results.values.items()
    }
    results = BatchResults(effects, edited.results.failures, edited.results.items)
    places = [Place(site, span) for site in edited.sites]
    return AnswerEffects.of(results, concepts, places, [CONTROL])


def _edit(eraser: Leace) -> Edit:
    """Return the map of an eraser as a function of tensors."""
    mean, left, right = (
        torch.from_numpy(array.astype(np.float32))
        for array in (eraser.mean, eraser.left, eraser.right)
    )

    def erased(states: Tensor) -> Tensor:
        device = states.device
        return states - (states - mean.to(device)) @ right.to(device) @ left.to(device).T

    return erased
