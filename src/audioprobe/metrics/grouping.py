"""Groups of items: what is resampled, exchanged or flipped together.

Conventions:
    Items that share a group (a site, a recorder, a concept) are not independent. Where no groups
    are given, each item is a group of its own. The same holds for an item whose group is missing
    (None, NaN, NaT), and such items are counted.
"""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.types import BoolArray

_Group = TypeVar("_Group", bound=Hashable)


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """Which group each item is in.

    Attributes:
        of_item: number of the group of each item, shape (n_items,), in order of first appearance.
        n_groups: how many groups there are.
        n_missing: items whose group was missing.
        unit: what the groups are, in the plural.
    """

    of_item: np.ndarray
    n_groups: int
    n_missing: int
    unit: str

    def __str__(self) -> str:
        alone = f", {self.n_missing} of them items without a group" if self.n_missing else ""
        return f"{self.n_groups} {self.unit}{alone}"


def grouped(n_items: int, groups: Sequence[Hashable] | None, unit: str = "") -> Grouping:
    """Number the groups.

    Args:
        n_items: how many items there are.
        groups: of each item; None lets each be its own.
        unit: what the groups are, in the plural; "" is "groups", or "items" where there are none.

    Raises:
        InvalidInputError: if there is not one group per item, or a group is not hashable.
    """
    if groups is None:
        return Grouping(np.arange(n_items), n_items, 0, unit or "items")
    if len(groups) != n_items:
        raise InvalidInputError(f"Expected a group for each of {n_items} items, got {len(groups)}.")
    numbers: dict[Hashable, int] = {}
    of_item = np.zeros(n_items, dtype=np.int64)
    n_missing = 0
    for item, group in enumerate(groups):
        missing = is_missing(group)
        n_missing += missing
        try:
            of_item[item] = numbers.setdefault((missing, item if missing else group), len(numbers))
        except TypeError as error:
            raise InvalidInputError(
                f"Groups must be names or numbers, got {group!r:.60} for item {item}."
            ) from error
    return Grouping(of_item, len(numbers), n_missing, unit or "groups")


def is_missing(value: object) -> bool:
    """Whether a cell of a table is empty: None, or a value that does not equal itself (NaN)."""
    if value is None:
        return True
    # pandas.NA compares to itself as neither True nor False.
    equal = value == value  # noqa: PLR0124
    return not isinstance(equal, bool | np.bool_) or not equal


def drawn_within(
    groups: Grouping, strata: Sequence[Hashable] | None
) -> tuple[tuple[np.ndarray, ...], int]:
    """The groups of each stratum, for draws within strata; see `merged_strata`.

    Args:
        groups: of the items.
        strata: of each item; None is a single stratum.

    Returns:
        Numbers of the groups that are drawn together, and how many strata of one group were merged.

    Raises:
        InvalidInputError: if there is not one stratum per item, or a group is in two of them.
    """
    names = [None] * len(groups.of_item) if strata is None else list(strata)
    if len(names) != len(groups.of_item):
        raise InvalidInputError(
            f"Expected a stratum for each of {len(groups.of_item)} items, got {len(names)}."
        )
    home: dict[int, Hashable] = {}
    for group, stratum in zip(groups.of_item.tolist(), names, strict=True):
        if home.setdefault(group, stratum) != stratum:
            raise InvalidInputError(
                f"A group is in the strata {home[group]!r} and {stratum!r}, but is drawn as a "
                "whole. Give its items one stratum."
            )
    merged = merged_strata(home)
    members: dict[Hashable, list[int]] = {}
    for group, stratum in merged.items():
        members.setdefault(stratum, []).append(group)
    sizes = Counter(home.values())
    n_merged = sum(size == 1 for size in sizes.values()) if len(sizes) > 1 else 0
    return tuple(np.array(some) for some in members.values()), n_merged


def merged_strata(strata: Mapping[_Group, Hashable]) -> dict[_Group, Hashable]:
    """The stratum of each group, without strata of a single group where there are several groups.

    Such a stratum would be the same in every draw. They become one stratum, and one that is alone
    joins the smallest of the others.
    """
    sizes = Counter(strata.values())
    single = [stratum for stratum, size in sizes.items() if size == 1]
    several = [stratum for stratum, size in sizes.items() if size > 1]
    home = dict.fromkeys(single, single[0]) if single else {}
    if len(single) == 1 and several:
        home = {single[0]: min(several, key=sizes.__getitem__)}
    return {group: home.get(stratum, stratum) for group, stratum in strata.items()}


def has_both(groups: Grouping, present: BoolArray) -> bool:
    """Whether some label is present in two groups or more, and absent in two or more.

    Without, resamples show nothing of how positives or negatives vary: all have the same ones.

    Args:
        groups: of the items.
        present: whether each item has each label, shape (n_items,) or (n_items, n_labels).
    """
    table = np.asarray(present, dtype=np.bool_).reshape(len(groups.of_item), -1)
    having, lacking = (_groups_with(groups, column) for column in (table, ~table))
    return bool(((having >= 2) & (lacking >= 2)).any())


def _groups_with(groups: Grouping, table: BoolArray) -> np.ndarray:
    """How many groups have at least one item that is True, shape (n_labels,)."""
    found = np.zeros((groups.n_groups, table.shape[1]), dtype=np.bool_)
    np.logical_or.at(found, groups.of_item, table)
    return np.asarray(found.sum(axis=0))
