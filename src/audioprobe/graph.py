"""Graphs of what lies above what, in which a node may have several parents."""

from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

Node = TypeVar("Node", bound=Hashable)


def ancestors_with_depth(start: Node, parents: Callable[[Node], Iterable[Node]]) -> dict[Node, int]:
    """Everything above a node with the steps up to it, the nearest first.

    Args:
        start: is among what is found only where it lies above itself.
        parents: of a node, in order.
    """
    found: dict[Node, int] = {}
    level, steps = [start], 0
    while level:
        steps += 1
        above = dict.fromkeys(parent for node in level for parent in parents(node))
        level = [node for node in above if node not in found]
        found |= dict.fromkeys(level, steps)
    return found
