"""Draw resamples of groups of items for the bootstrap."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from audioprobe.metrics.grouping import Grouping, groups_by_stratum, has_both
from audioprobe.types import BoolArray, Float64Array

_CHUNK = 1_000_000  # largest number of counts in memory, unless `_LEAST_ROWS` resamples are more
_LEAST_ROWS = 16  # the counts of an item then fill at least a cache line


@dataclass(frozen=True, slots=True, eq=False)
class GroupSampler:
    """Sampler that draws groups of items at random, separately in each stratum.

    Attributes:
        grouping: group of each item.
        strata: indices of the groups of each stratum.
        n_merged: number of strata with a single group, which were merged.
    """

    grouping: Grouping
    strata: tuple[np.ndarray, ...]
    n_merged: int

    @classmethod
    def of(cls, grouping: Grouping, strata: Sequence[Hashable] | None) -> "GroupSampler":
        """Return the sampler of groups in strata; None is a single stratum."""
        return cls(grouping, *groups_by_stratum(grouping, strata))

    def __str__(self) -> str:
        merged = f", {self.n_merged} strata of a single group merged" if self.n_merged else ""
        return f"{self.grouping}{merged}"

    def reason_for_no_interval(self, present: BoolArray | None) -> str:
        """Return why resamples would not show how a value varies, or "" if they do.

        Args:
            present: whether each item has each of the labels that the value depends on.
        """
        if self.grouping.n_groups < 2:
            return "a single group"
        if present is not None and not has_both(self.grouping, present):
            return "no label is in two groups and missing in two"
        return ""

    def resamples(self, n: int, seed: int) -> Iterator[Float64Array]:
        """Yield how often each resample contains each item, in chunks of shape (n, n_items).

        The draws in a stratum do not depend on the chunk size or on the other strata.
        """
        rngs = [np.random.default_rng([seed, number]) for number in range(len(self.strata))]
        for n_rows in self._chunk_sizes(n):
            # Contiguous by group, because statistics add up rows of items.
            counts = np.zeros((self.grouping.n_groups, n_rows))
            for rng, members in zip(rngs, self.strata, strict=True):
                shares = np.full(len(members), 1 / len(members))
                counts[members] = rng.multinomial(len(members), shares, size=n_rows).T
            is_item = self.grouping.n_groups == len(self.grouping.of_item)
            yield (counts if is_item else counts[self.grouping.of_item]).T

    def leave_one_out(self) -> Iterator[Float64Array]:
        """Yield the counts of the jackknife, in chunks of shape (n, n_items).

        There is one row per group: 0 for the items of this group, 1 for the other items.
        """
        start = 0
        for n_rows in self._chunk_sizes(self.grouping.n_groups):
            removed = np.arange(start, start + n_rows)[:, None]
            yield (self.grouping.of_item != removed).astype(np.float64)
            start += n_rows

    def _chunk_sizes(self, n: int) -> Iterator[int]:
        largest = max(_LEAST_ROWS, _CHUNK // len(self.grouping.of_item))
        for start in range(0, n, largest):
            yield min(largest, n - start)
