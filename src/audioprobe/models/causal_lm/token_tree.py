"""Token sequences that share their beginnings, as one input of a causal model.

Sequences with the same first tokens share the nodes of a tree. A model computes each node once, if
a token attends to its ancestors alone (tree attention).

Source: Miao et al., "SpecInfer", ASPLOS 2024.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

_ROOT = -1  # parent of the first tokens


class TokenTree:
    """A tree of tokens; each path from the root is the beginning of an added sequence.

    Attributes:
        ids: token of each node; a node comes after its ancestors.
    """

    def __init__(self) -> None:
        self.ids: list[int] = []
        self._parents: list[int] = []
        self._depths: list[int] = []
        self._children: dict[tuple[int, int], int] = {}

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, ids: Sequence[int]) -> list[int]:
        """Add a sequence, and return the node of each of its tokens."""
        node, path = _ROOT, []
        for token in ids:
            known = self._children.get((node, token))
            node = self._append(node, token) if known is None else known
            path.append(node)
        return path

    def n_new(self, ids: Sequence[int]) -> int:
        """Return how many nodes a sequence would add."""
        node = _ROOT
        for known, token in enumerate(ids):
            if (node, token) not in self._children:
                return len(ids) - known
            node = self._children[node, token]
        return 0

    def visible(self) -> Tensor:
        """Return True where a node (row) is or descends from a node (column), (n, n) on the CPU."""
        mask = torch.eye(len(self), dtype=torch.bool)
        for node, parent in enumerate(self._parents):
            if parent != _ROOT:
                mask[node] |= mask[parent]
        return mask

    def depths(self) -> Tensor:
        """Return the number of ancestors of each node, shape (n,)."""
        return torch.tensor(self._depths, dtype=torch.long)

    def _append(self, parent: int, token: int) -> int:
        node = self._children[parent, token] = len(self.ids)
        self.ids.append(token)
        self._parents.append(parent)
        self._depths.append(0 if parent == _ROOT else self._depths[parent] + 1)
        return node
