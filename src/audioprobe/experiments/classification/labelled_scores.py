"""What of a cell can be scored: the clips that have both scores and annotations."""

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from audioprobe.experiments.classification.run import ClassificationCell
from audioprobe.metrics.grouping import merge_single_group_strata
from audioprobe.results.evaluation import targets_of
from audioprobe.types import BoolArray, FloatArray

RARE = 5
"""A label in no more groups than so many is rare: resamples are drawn so that they keep as many."""


@dataclass(frozen=True, eq=False)
class LabelledScores:
    """The clips of a cell that have both scores and annotations, in order."""

    cell: ClassificationCell

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Which clips."""
        return tuple(name for name in self.cell.result.clip_ids if name in self.cell.result.truth)

    @cached_property
    def targets(self) -> BoolArray:
        """Shape (n_clips, n_labels)."""
        return targets_of(self.cell.result.truth, self.ids, self.cell.result.labels)

    @cached_property
    def scores(self) -> FloatArray:
        """Shape (n_clips, n_labels)."""
        return self.cell.result.scores[self.rows(self.ids)]

    @cached_property
    def groups(self) -> list[str]:
        """What is resampled together; a clip without a group is its own."""
        groups = self.cell.groups
        return [f"group {groups[n]}" if n in groups else f"clip {n}" for n in self.ids]

    @property
    def unit(self) -> str:
        """What is resampled: groups, or clips where none has a group."""
        return "groups" if any(name in self.cell.groups for name in self.ids) else "clips"

    @cached_property
    def strata(self) -> list[Hashable]:
        """Which of the rare labels a clip's group has; groups of each kind are drawn apart."""
        having = [{self.groups[row] for row in np.flatnonzero(column)} for column in self.targets.T]
        rare = [n for n, groups in enumerate(having) if 0 < len(groups) <= RARE]
        kinds = {
            g: frozenset(n for n in rare if g in having[n]) for g in dict.fromkeys(self.groups)
        }
        # A kind that a single group has would always be drawn: it joins those without a rare label.
        sizes = Counter(kinds.values())
        common = {g: kind if sizes[kind] > 1 else frozenset() for g, kind in kinds.items()}
        strata = merge_single_group_strata(common)
        return [strata[g] for g in self.groups]

    def rows(self, ids: Sequence[str]) -> list[int]:
        """Where clips stand in the result."""
        where = {name: n for n, name in enumerate(self.cell.result.clip_ids)}
        return [where[name] for name in ids]
