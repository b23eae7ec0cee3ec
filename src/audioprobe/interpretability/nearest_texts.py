"""Activations described by the texts whose own activations are nearest (LatentLens).

States of audio are compared with states of texts in context, instead of rows of the unembedding
(arXiv 2602.00462). Audio tokens at the input of a language model may resemble texts in its middle
layers, so each state is compared with the texts at all layers of a bank: the similarity of a state
and a text is the highest cosine over the sites of the bank. Each position of a span is compared
alone, and the measures are combined afterwards.

Measures of the concept of a prompt: "share of neighbours" among the nearest texts, "reciprocal
rank" of the nearest text of the concept among all texts, and "first" (whether the nearest text is
of the concept). A concept that the bank does not contain has no values (NaN).

The control "shuffled concepts" is the mean of the measure over exchanges of the concepts of the
bank: the texts of a concept get the name of another concept of the prompts. Texts of a concept stay
together, because they are alike, which alone changes ranks.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from audioprobe.interpretability.activations import States
from audioprobe.interpretability.batches import BatchResults, Item, in_batches
from audioprobe.interpretability.lens_places import (
    ItemName,
    check_concepts,
    item_names,
    places_of,
    read_places,
)
from audioprobe.interpretability.lens_result import LensResult, curves_of, target_measures
from audioprobe.interpretability.site_curve import Place
from audioprobe.interpretability.text_bank import TextBank
from audioprobe.interpretability.text_similarity import MEASURES, NearbyTexts, TextComparison
from audioprobe.io.data_table import DataTable
from audioprobe.progress import ProgressCallback, ignore_progress, prefixed
from audioprobe.protocols import Inspectable
from audioprobe.sites import InspectedPrompt

Nearby: TypeAlias = Mapping[Place, NearbyTexts]
"""Nearest texts of a prompt, by place; places that the prompt does not have are absent."""


def nearest_texts(
    model: Inspectable,
    prompts: Sequence[InspectedPrompt],
    concepts: Sequence[Hashable],
    bank: TextBank,
    *,
    sites: str | Sequence[str] = "lm.resid.*",
    spans: Sequence[str] = ("audio",),
    k: int = 5,
    center: bool = True,
    n_top: int = 5,
    batch_size: int = 8,
    progress: ProgressCallback = ignore_progress,
) -> LensResult:
    """Find the nearest texts of activations, at each site and span.

    Args:
        model: the model with whose states the bank was made.
        prompts: the prompts.
        concepts: concept of each prompt, named as in the bank; the unit of intervals and tests.
        bank: states of texts.
        sites: sites of the states that are described, or patterns.
        spans: spans whose positions are compared.
        k: number of neighbours, less than the number of texts.
        center: whether to subtract means before: from texts their mean at each site of the bank,
            from states their mean at each site and span over all prompts. This removes what only
            distinguishes the modalities. The model then runs twice.
        n_top: number of nearest texts in the table of readings.
        batch_size: prompts per forward pass.
        progress: called after every batch.

    Raises:
        InvalidInputError: if numbers of prompts and concepts differ, an argument is out of range,
            or all texts have the same states at a site of the bank.
    """
    check_concepts(len(prompts), concepts=concepts)
    places = places_of(model, sites, spans)
    comparison = TextComparison.of(bank, center=center, k=k)
    means: Mapping[Place, States] = {}
    if center:
        means = _means(model, prompts, places, batch_size, prefixed(progress, "means"))

    def compute(batch: Sequence[Item]) -> list[Nearby]:
        return [
            {p: comparison.compare(v, means.get(p), n_top) for p, v in states.items()}
            for states in read_places(model, batch, places)
        ]

    results = in_batches(
        model, prompts, compute, batch_size=batch_size, stage="nearest texts", progress=progress
    )
    lens = f"nearest texts, {'centred' if center else 'not centred'}, k = {k}"
    return _result(lens, bank, places, concepts, results)


def _result(
    lens: str,
    bank: TextBank,
    places: tuple[Place, ...],
    concepts: Sequence[Hashable],
    results: BatchResults[Nearby],
) -> LensResult:
    """Return the curves and the table of texts."""
    items = item_names(results, concepts)
    numbers = {name: number for number, name in enumerate(bank.names)}
    values = {n: {p: near.values for p, near in v.items()} for n, v in results.values.items()}
    targets = [numbers.get(concept) for concept in concepts]
    observed, shuffled = target_measures(len(MEASURES), values, places, targets, concepts)
    return LensResult(
        lens=lens,
        curves=curves_of(MEASURES, places, items, observed, {"shuffled concepts": shuffled}),
        readings=_neighbours(bank, results.values, items),
        words=DataTable({}),
        failures=results.failures,
    )


def _means(
    model: Inspectable,
    prompts: Sequence[InspectedPrompt],
    places: Sequence[Place],
    batch_size: int,
    progress: ProgressCallback,
) -> dict[Place, States]:
    """Return the mean state at each place; each prompt has the same weight."""

    def compute(batch: Sequence[Item]) -> list[dict[Place, States]]:
        return read_places(model, batch, places, "mean")

    results = in_batches(model, prompts, compute, batch_size=batch_size, progress=progress)
    states: dict[Place, list[States]] = {}
    for n in sorted(results.values):
        for place, values in results.values[n].items():
            states.setdefault(place, []).append(values)
    means = {place: np.mean(values, axis=0, dtype=np.float64) for place, values in states.items()}
    return {place: np.asarray(mean, dtype=np.float32) for place, mean in means.items()}


def _neighbours(
    bank: TextBank,
    nearby: Mapping[int, Nearby],
    items: Sequence[ItemName],
) -> DataTable:
    """Return a table of the nearest texts at each place of each prompt."""
    texts = [ItemName(text, c).texts for text, c in zip(bank.texts, bank.concepts, strict=True)]
    rows = [
        (*items[n].texts, place.site, place.span, rank, *texts[text], site, cosine)
        for n, by_place in sorted(nearby.items())
        for place, near in by_place.items()
        for rank, (text, site, cosine) in enumerate(
            zip(near.texts, near.sites, near.cosines, strict=True), 1
        )
    ]
    names = ("item", "concept", "site", "span", "rank", "text", "text_concept", "text_site")
    return DataTable.from_rows((*names, "cosine"), rows)
