"""Steer answers: add the direction of a label to activations, and measure how answers change.

Conventions:
    The direction of a label is the mean state of items with this label minus the mean state of
    items with other labels. Each prompt is moved along the direction of its own label: a positive
    factor makes its states more typical of the label, a negative one of the other labels. So a
    positive change of the logit difference after a positive factor means that the model reads the
    direction like the label.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import torch
from torch import Tensor

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.answer_effects import (
    AnswerEffects,
    failure_sentence,
)
from audioprobe.interpretability.probe_estimates import check_counts
from audioprobe.interpretability.span_edits import (
    Edit,
    EditSettings,
    EditsOfLabel,
    edit_spans,
)
from audioprobe.io.data_table import DataTable, TidyData
from audioprobe.io.text_table import Displayed, Table
from audioprobe.progress import ProgressCallback, ignore_progress
from audioprobe.protocols import Inspectable
from audioprobe.sites import InspectedPrompt
from audioprobe.types import Float64Array

CONTROL = "random direction"

DirectionNorm: TypeAlias = Literal["natural", "unit"]
"""Norm of the direction: that of the difference of the means, or 1."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SteeringEffects(TidyData, Displayed):
    """Effects of directions that are added with several factors.

    Attributes:
        factors: the factors.
        effects: effects of each factor.
    """

    factors: tuple[float, ...]
    effects: tuple[AnswerEffects, ...]

    def at(self, factor: float) -> AnswerEffects:
        """Return the effects of a factor."""
        if factor not in self.factors:
            raise InvalidInputError(f"Expected one of the factors {self.factors}, got {factor}.")
        return self.effects[self.factors.index(factor)]

    def data(self) -> DataTable:
        """Return a table of changes of the logit difference: a row per factor, item and site."""
        pairs = zip(self.factors, self.effects, strict=True)
        return DataTable.joined(({"factor": f}, e.logit_difference.data()) for f, e in pairs)

    def displayed(self) -> tuple[tuple[Table, ...], tuple[str, ...]]:
        """Return a table with one row per factor and site, and the number of failures."""
        shown = [effects.logit_difference.displayed() for effects in self.effects]
        (first,), (counts,) = shown[0]
        rows = tuple(
            (f"{factor:g}", *row)
            for factor, (tables, _) in zip(self.factors, shown, strict=True)
            for row in tables[0].rows
        )
        columns = (0, *(n + 1 for n in first.numeric))
        failures = failure_sentence(self.effects[0].failures)
        return (Table(("factor", *first.header), rows, columns),), (counts, *failures)


def steer(
    model: Inspectable,
    prompts: Sequence[InspectedPrompt],
    concepts: Sequence[Hashable],
    labels: Sequence[Hashable],
    *,
    factors: Sequence[float] = (-2.0, -1.0, 1.0, 2.0),
    norm: DirectionNorm = "natural",
    groups: Sequence[Hashable] | None = None,
    sites: Sequence[str] = ("lm.resid.*",),
    span: str = "audio",
    n_controls: int = 3,
    n_folds: int = 5,
    batch_size: int = 8,
    seed: int = 0,
    progress: ProgressCallback = ignore_progress,
) -> SteeringEffects:
    """Measure how answers change if the direction of a label is added to a span.

    The direction is fitted to prompts of other groups, see `span_edits`. The control adds a random
    direction of the same norm, and is the mean of `n_controls` draws.

    Args:
        model: the model.
        prompts: prompts with options, the first of which is correct.
        concepts: concept of each prompt, the unit of intervals and tests.
        labels: label of each prompt whose direction is added.
        factors: the direction is multiplied by each of them in turn.
        norm: "natural" is the difference of the means itself, "unit" has norm 1.
        groups: group of each prompt; None means its concept.
        sites: sites where the direction is added, one at a time; "*" stands for any text.
        span: span to whose positions it is added.
        n_controls: number of random directions, at least 1.
        n_folds: largest number of folds, at least 2; a label in fewer groups reduces it.
        batch_size: prompts per forward pass.
        seed: seed of folds and random directions.
        progress: called after every batch.

    Raises:
        InvalidInputError: if an argument is out of range, lengths differ, a site or span is
            unknown, or a label has too few groups.
    """
    check_counts(n_controls=n_controls)
    _check(factors, norm)

    settings = EditSettings(
        sites=sites, span=span, n_folds=n_folds, seed=seed, batch_size=batch_size, progress=progress
    )
    edited = edit_spans(
        model,
        prompts,
        labels=labels,
        groups=concepts if groups is None else groups,
        fit=_Directions(tuple(factors), norm, n_controls, seed).fit,
        settings=settings,
    )
    return SteeringEffects(tuple(factors), edited.effects(concepts, CONTROL, span, len(factors)))


@dataclass(frozen=True, slots=True)
class _Directions:
    """Settings of edits that add a direction."""

    factors: tuple[float, ...]
    norm: DirectionNorm
    n_controls: int
    seed: int

    def fit(
        self, states: Float64Array, labels: Sequence[Hashable], key: tuple[int, int]
    ) -> EditsOfLabel:
        """Return the edits of each label: for each factor its direction, then random ones."""
        edits: dict[Hashable, list[Edit]] = {}
        for number, label in enumerate(sorted(set(labels), key=repr)):
            has = np.array([name == label for name in labels])
            direction = states[has].mean(axis=0) - states[~has].mean(axis=0)
            size = float(np.linalg.norm(direction))
            if self.norm == "unit" and size:
                direction, size = direction / size, 1.0
            rng = np.random.default_rng([self.seed, *key, number])
            random = rng.normal(size=(self.n_controls, len(direction)))
            random *= size / np.linalg.norm(random, axis=1, keepdims=True)
            added = (direction, *random)
            edits[label] = [_edit(factor * each) for factor in self.factors for each in added]
        return edits.__getitem__


def _check(factors: Sequence[float], norm: DirectionNorm) -> None:
    """Raise `InvalidInputError` unless there are finite factors, and the norm is known."""
    if not factors or not np.isfinite(factors).all() or norm not in get_args(DirectionNorm):
        raise InvalidInputError(
            f"Expected finite factors and the norm 'natural' or 'unit', got {tuple(factors)} and "
            f"{norm!r}."
        )


def _edit(direction: Float64Array) -> Edit:
    """Return a function that adds a direction."""
    tensor = torch.from_numpy(direction.astype(np.float32))

    def moved(states: Tensor) -> Tensor:
        return states + tensor.to(states.device)

    return moved
