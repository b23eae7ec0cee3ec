"""States of the trials of a study as items of linear probes, and columns of estimates in tables."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from audioprobe.experiments.interpretability.states import (
    ANSWER_SPAN,
    CONCEPT_SPANS,
    first_of_each,
    is_defined,
)
from audioprobe.experiments.interpretability.trials import Modality, StudyTrials
from audioprobe.interpretability.activations import States
from audioprobe.io.data_table import DataTable
from audioprobe.types import BoolArray, Estimate, IntArray

CLASS, ANSWER = "class", "answer"
"""Labels of probes: the broad class of the concept, such as "animal", or the correct answer."""
LABELS = (CLASS, ANSWER)

_FEWEST_CONCEPTS = 3  # of a class that is a label of a probe


class AnyStates(Protocol):
    """States of all trials at named sites, such as `TrialStates`."""

    @property
    def sites(self) -> tuple[str, ...]:
        """Names of the sites."""
        ...

    def at(self, site: str, span: str, /) -> States:
        """Return the states of all trials, shape (n_trials, width); NaN if they are missing."""
        ...


@dataclass(frozen=True, slots=True)
class ProbeItems:
    """States with a label and a concept each, for a probe at one site.

    Attributes:
        states: shape (n_items, width).
        labels: label of each item.
        concepts: concept of each item, which is its group.
        n_missing: number of items without states.
        n_left_out: number of items of classes with too few concepts.
    """

    states: States
    labels: tuple[str, ...]
    concepts: tuple[str, ...]
    n_missing: int
    n_left_out: int


@dataclass(frozen=True, slots=True)
class ProbeData:
    """All trials with their recorded states."""

    trials: StudyTrials
    states: Mapping[Modality, AnyStates]

    def items(self, label: str, modality: Modality, site: str, mask: BoolArray) -> ProbeItems:
        """Return the items of a probe.

        Args:
            label: "class" (one item per clip, or per concept in text) or "answer" (one per trial).
            modality: modality of the states.
            site: site of the states.
            mask: whether to use each trial.
        """
        numbers = np.flatnonzero(mask)
        n_left_out = 0
        if label == CLASS:
            names = self.trials.clips if modality == "audio" else self.trials.concepts
            numbers = numbers[first_of_each([names[n] for n in numbers])]
            n_before = len(numbers)
            numbers = self._of_frequent_classes(numbers)
            n_left_out = n_before - len(numbers)
        states = self.states[modality].at(site, span_of(label, modality))[numbers]
        defined = is_defined(states)
        chosen = numbers[defined]
        return ProbeItems(
            states[defined],
            tuple(self._label(label, n) for n in chosen),
            tuple(self.trials.concepts[n] for n in chosen),
            len(numbers) - len(chosen),
            n_left_out,
        )

    def concepts(
        self, modality: Modality, mask: BoolArray
    ) -> tuple[dict[str, States], tuple[str, ...]]:
        """Return the states of clips or phrases of concepts by site, and the concept of each item.

        Items without states at any of the sites are left out.
        """
        states, span = self.states[modality], CONCEPT_SPANS[modality]
        numbers = np.flatnonzero(mask)
        by_site = {site: states.at(site, span)[numbers] for site in states.sites}
        defined = np.all([is_defined(values) for values in by_site.values()], axis=0)
        chosen = {site: values[defined] for site, values in by_site.items()}
        return chosen, tuple(self.trials.concepts[n] for n in numbers[defined])

    def _of_frequent_classes(self, numbers: IntArray) -> IntArray:
        kinds, concepts = self.trials.kinds, self.trials.concepts
        counts = Counter(kind for _, kind in {(concepts[n], kinds[n]) for n in numbers.tolist()})
        return numbers[[counts[kinds[n]] >= _FEWEST_CONCEPTS for n in numbers]]

    def _label(self, label: str, number: int) -> str:
        if label == CLASS:
            return self.trials.kinds[number]
        return "yes" if self.trials.record.trials[number].audio.question.pair.holds else "no"


def span_of(label: str, modality: Modality) -> str:
    """Return the span from which a label is read."""
    return CONCEPT_SPANS[modality] if label == CLASS else ANSWER_SPAN


def estimate_in(table: DataTable, row: int, name: str) -> Estimate:
    """Return an estimate in a row of a table of this module.

    Args:
        table: the table.
        row: number of the row.
        name: name of the column with the value; those of interval and number of concepts follow.
    """
    value, low, high, n_concepts = (table.columns[column][row] for column in estimate_columns(name))
    n = n_concepts if isinstance(n_concepts, int) else 0
    return Estimate(
        value=_number(value),
        n=n,
        low=_number(low),
        high=_number(high),
        n_groups=n or None,
        unit="concepts",
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def estimate_columns(name: str) -> tuple[str, str, str, str]:
    """Return the names of the columns of an estimate."""
    return name, f"{name}_low", f"{name}_high", f"{name}_concepts"


def estimate_cells(
    estimate: Estimate,
) -> tuple[float | None, float | None, float | None, int | None]:
    """Return the values of the columns of an estimate."""
    return estimate.value, estimate.low, estimate.high, estimate.n_groups
