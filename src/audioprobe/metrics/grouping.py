"""Groups of items that a bootstrap draws together, or a permutation test exchanges together.

Conventions:
    Items of a group (a site, a recorder, a concept) are not independent. If no groups are given,
    each item is its own group. An item whose group is missing (None, NaN, NaT) is its own group,
    too; `Grouping.n_missing` counts such items.
"""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.types import BoolArray

_RARE = 5  # largest number of groups of a rare label

_Group = TypeVar("_Group", bound=Hashable)


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """The group of each item.

    Attributes:
        of_item: index of the group of each item, shape (n_items,); groups are indexed in the order
            of first appearance.
        n_groups: number of groups.
        n_missing: number of items whose group is missing.
        unit: plural name of the groups, such as "sites".
    """

    of_item: np.ndarray
    n_groups: int
    n_missing: int
    unit: str

    def __str__(self) -> str:
        missing = f", {self.n_missing} of them items without a group" if self.n_missing else ""
        return f"{self.n_groups} {self.unit}{missing}"


def grouped(n_items: int, groups: Sequence[Hashable] | None, unit: str = "") -> Grouping:
    """Return the `Grouping` of a list of group names.

    Args:
        n_items: number of items.
        groups: group of each item; None makes each item its own group.
        unit: plural name of the groups; "" means "groups", or "items" if `groups` is None.

    Raises:
        InvalidInputError: if the number of groups differs from `n_items`, or a group is not
            hashable.
    """
    if groups is None:
        return Grouping(np.arange(n_items), n_items, 0, unit or "items")
    if len(groups) != n_items:
        raise InvalidInputError(f"Expected a group for each of {n_items} items, got {len(groups)}.")
    numbers: dict[Hashable, int] = {}
    of_item = np.zeros(n_items, dtype=np.int64)
    n_missing = 0
    for item, group in enumerate(groups):
        missing = _is_missing(group)
        n_missing += missing
        try:
            of_item[item] = numbers.setdefault((missing, item if missing else group), len(numbers))
        except TypeError as error:
            raise InvalidInputError(
                f"Groups must be names or numbers, got {group!r:.60} for item {item}."
            ) from error
    return Grouping(of_item, len(numbers), n_missing, unit or "groups")


def groups_by_stratum(
    grouping: Grouping, strata: Sequence[Hashable] | None
) -> tuple[tuple[np.ndarray, ...], int]:
    """Return the indices of the groups in each stratum, and the number of merged strata.

    Strata with a single group are merged.

    Args:
        grouping: groups of the items.
        strata: stratum of each item; None means a single stratum.

    Raises:
        InvalidInputError: if the number of strata differs from the number of items, or a group is
            in two strata.
    """
    names = [None] * len(grouping.of_item) if strata is None else list(strata)
    if len(names) != len(grouping.of_item):
        raise InvalidInputError(
            f"Expected a stratum for each of {len(grouping.of_item)} items, got {len(names)}."
        )
    stratum_of: dict[int, Hashable] = {}
    for group, stratum in zip(grouping.of_item.tolist(), names, strict=True):
        if stratum_of.setdefault(group, stratum) != stratum:
            raise InvalidInputError(
                f"A group is in the strata {stratum_of[group]!r} and {stratum!r}, but its items "
                "are drawn together. Assign all items of a group to one stratum."
            )
    members: dict[Hashable, list[int]] = {}
    for group, stratum in merge_single_group_strata(stratum_of).items():
        members.setdefault(stratum, []).append(group)
    sizes = Counter(stratum_of.values())
    n_merged = sum(size == 1 for size in sizes.values()) if len(sizes) > 1 else 0
    return tuple(np.array(groups) for groups in members.values()), n_merged


def merge_single_group_strata(strata: Mapping[_Group, Hashable]) -> dict[_Group, Hashable]:
    """Return the stratum of each group after merging strata that have a single group.

    A stratum with a single group would be the same in every resample. All such strata become one
    stratum; if there is only one, it is merged into the smallest other stratum.

    Args:
        strata: stratum by group.
    """
    sizes = Counter(strata.values())
    single = [stratum for stratum, size in sizes.items() if size == 1]
    several = [stratum for stratum, size in sizes.items() if size > 1]
    merged = dict.fromkeys(single, single[0]) if single else {}
    if len(single) == 1 and several:
        merged = {single[0]: min(several, key=sizes.__getitem__)}
    return {group: merged.get(stratum, stratum) for group, stratum in strata.items()}


def rare_label_strata(groups: Sequence[Hashable], targets: BoolArray) -> list[Hashable]:
    """Return the stratum of each clip, so that resamples within strata contain the rare labels.

    Groups with the same rare labels (labels in at most 5 groups) form a stratum. A stratum of a
    single group would be the same in every resample, so it is merged with groups without rare
    labels, or with another stratum.

    Args:
        groups: group of each clip.
        targets: whether each clip has each label, shape (n_clips, n_labels).
    """
    groups_of_label = [{groups[row] for row in np.flatnonzero(column)} for column in targets.T]
    rare = [n for n, names in enumerate(groups_of_label) if 0 < len(names) <= _RARE]
    kinds = {
        g: frozenset(n for n in rare if g in groups_of_label[n]) for g in dict.fromkeys(groups)
    }
    sizes = Counter(kinds.values())
    common = {g: kind if sizes[kind] > 1 else frozenset() for g, kind in kinds.items()}
    strata = merge_single_group_strata(common)
    return [strata[g] for g in groups]


def has_both(grouping: Grouping, present: BoolArray) -> bool:
    """Return whether any label occurs in at least two groups and is absent in at least two groups.

    Otherwise a bootstrap cannot estimate how positives or negatives vary.

    Args:
        grouping: groups of the items.
        present: whether each item has each label, shape (n_items,) or (n_items, n_labels).
    """
    n_items = np.bincount(grouping.of_item, minlength=grouping.n_groups)
    for column in np.asarray(present, dtype=np.bool_).reshape(len(grouping.of_item), -1).T:
        n_present = np.bincount(grouping.of_item[column], minlength=grouping.n_groups)
        is_in, is_missing = n_present > 0, n_present < n_items
        if is_in.sum() >= 2 and is_missing.sum() >= 2:
            return True
    return False


def _is_missing(value: object) -> bool:
    """Return True if a group name is None, NaN, NaT or pandas.NA, otherwise False."""
    if value is None:
        return True
    is_equal = value == value  # noqa: PLR0124
    return not isinstance(is_equal, bool | np.bool_) or not is_equal


def named_groups(groups: Sequence[Hashable] | None, n_items: int) -> list[Hashable]:
    """Return the group of each item; an item without a group is a group of its own."""
    known = [None] * n_items if groups is None else groups
    return [("clip", n) if group is None else ("group", group) for n, group in enumerate(known)]
