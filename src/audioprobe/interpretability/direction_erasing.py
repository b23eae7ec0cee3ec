"""Erase the direction of a concept in text from audio states, and measure whether answers change.

The direction of a concept at a site is the mean state of its texts minus the mean over concepts. If
answers about a sound change more without it than without the direction of another concept, the
model uses the word of the concept, as text represents it, at the positions of the sound.
"""

from collections.abc import Hashable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from audioprobe.interpretability.answer_effects import AnswerEffects, PromptEffects
from audioprobe.interpretability.batches import BatchResults
from audioprobe.interpretability.site_curve import Place
from audioprobe.interpretability.span_edits import Edit, apply_edits
from audioprobe.interpretability.text_bank import TextBank, directions
from audioprobe.progress import ProgressCallback, ignore_progress
from audioprobe.protocols import Inspectable
from audioprobe.sites import InspectedPrompt, find_sites
from audioprobe.texts import stable_hash
from audioprobe.types import FloatArray

CONTROL = "direction of another concept"


def erase_directions(
    model: Inspectable,
    prompts: Sequence[InspectedPrompt],
    concepts: Sequence[Hashable],
    bank: TextBank,
    *,
    sites: str | Sequence[str] = "lm.resid.*",
    span: str = "audio",
    batch_size: int = 8,
    seed: int = 0,
    progress: ProgressCallback = ignore_progress,
) -> AnswerEffects:
    """Measure how answers change if the direction of the concept's text is erased from a span.

    At each position of the span, the component along the direction is removed, at one site at a
    time. The control removes the direction of another concept of the bank, drawn for each concept.

    Args:
        model: the model.
        prompts: prompts with options, the first of which is correct.
        concepts: concept of each prompt, named as in the bank; the unit of intervals and tests.
        bank: states of texts by this model; see `TextBank.of`.
        sites: sites of the bank where the direction is erased, or patterns.
        span: span at whose positions it is erased.
        batch_size: prompts per forward pass.
        seed: seed of the draw of other concepts.
        progress: called after every batch.

    Returns:
        Curves with one place per site. Values are NaN for prompts without the span, and for
        concepts that are not in the bank.

    Raises:
        InvalidInputError: if numbers of prompts and concepts differ, a span is unknown, or the bank
            has no such site.
    """
    names = find_sites(sites, list(bank.states))
    edits: dict[tuple[str, int], Sequence[Edit]] = {}
    for site in names:
        of_concept = _directions(bank, site)
        for n, concept in enumerate(concepts):
            others = [name for name in of_concept if name != concept]
            if concept in of_concept and others:
                other = others[stable_hash(f"{seed}|{concept}") % len(others)]
                edits[site, n] = [_edit(of_concept[name]) for name in (concept, other)]
    results = apply_edits(
        model, prompts, edits, names, span, batch_size=batch_size, progress=progress
    )
    effects = {n: PromptEffects(*value) for n, value in results.values.items()}
    places = [Place(site, span) for site in names]
    by_prompt = BatchResults(effects, results.failures, results.items)
    return AnswerEffects.of(by_prompt, concepts, places, [CONTROL])


def _directions(bank: TextBank, site: str) -> Mapping[Hashable, FloatArray]:
    """Return the unit vector of each concept at a site, without those equal to the mean."""
    names = bank.names
    rows = {name: [n for n, c in enumerate(bank.concepts) if c == name] for name in names}
    means = np.array([bank.states[site][rows[name]].mean(axis=0) for name in names])
    units = directions(means, means.mean(axis=0, dtype=np.float64))
    return {name: unit for name, unit in zip(names, units, strict=True) if not np.isnan(unit).any()}


def _edit(direction: FloatArray) -> Edit:
    """Return a function that removes the component of states along a unit vector."""
    return partial(_without, torch.from_numpy(np.asarray(direction, dtype=np.float32)))


def _without(direction: Tensor, states: Tensor) -> Tensor:
    unit = direction.to(states.device)
    return states - (states @ unit)[:, None] * unit
