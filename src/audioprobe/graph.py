"""Ancestors in directed graphs, such as hierarchies of labels or word senses."""

from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

Node = TypeVar("Node", bound=Hashable)


def ancestors_with_depth(start: Node, parents: Callable[[Node], Iterable[Node]]) -> dict[Node, int]:
    """Return a dictionary from each ancestor of a node to its distance in edges, nearest first.

    Args:
        start: the node; it is its own ancestor only if the graph has a cycle.
        parents: function that returns the parents of a node.
    """
    distances: dict[Node, int] = {}
    level, distance = [start], 0
    while level:
        distance += 1
        candidates = dict.fromkeys(parent for node in level for parent in parents(node))
        level = [node for node in candidates if node not in distances]
        distances |= dict.fromkeys(level, distance)
    return distances
