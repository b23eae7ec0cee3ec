"""AudioSet's ontology, read from the file that its authors publish.

The file, `ontology.json` (github.com/audioset/ontology), is under CC BY-SA 4.0 and does not ship
with the library.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from audioprobe.errors import InvalidInputError
from audioprobe.graph import ancestors_with_depth


@dataclass(frozen=True, slots=True)
class Node:
    """A class of sound.

    Attributes:
        id: "/m/04s8yn".
        name: "Crow".
        description: one or two sentences.
        children: ids of the nodes below.
        restrictions: "abstract" where it groups others, "blacklist" where raters could not use it.
    """

    id: str
    name: str
    description: str
    children: tuple[str, ...]
    restrictions: tuple[str, ...]


class Ontology:
    """Nodes by their ids, in the order of the file; a node may have several parents.

    Args:
        nodes: whose children are all among them.

    Raises:
        InvalidInputError: if a child is not there, or a node lies above itself.
    """

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._nodes = {node.id: node for node in nodes}
        self._parents: dict[str, list[str]] = {name: [] for name in self._nodes}
        for node in self._nodes.values():
            for child in node.children:
                if child not in self._nodes:
                    raise InvalidInputError(f"{node.name}: its child {child!r} is not there.")
                self._parents[child].append(node.id)
        for name in self._nodes:
            if name in self.ancestors(name):
                raise InvalidInputError(f"{self._nodes[name].name} lies above itself.")

    @classmethod
    def from_json(cls, path: str | Path) -> "Ontology":
        """Read `ontology.json`.

        Raises:
            InvalidInputError: if it cannot be read, or is another file.
        """
        file = Path(path).expanduser()
        try:
            entries = json.loads(file.read_text(encoding="utf-8"))
            nodes = [
                Node(
                    entry["id"],
                    entry["name"],
                    entry["description"],
                    tuple(entry["child_ids"]),
                    tuple(entry["restrictions"]),
                )
                for entry in entries
            ]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InvalidInputError(f"{file}: not AudioSet's ontology ({error!r}).") from error
        return cls(nodes)

    def __getitem__(self, node_id: str) -> Node:
        if node_id not in self._nodes:
            raise InvalidInputError(f"The ontology has no node {node_id!r}.")
        return self._nodes[node_id]

    def __iter__(self) -> Iterator[Node]:
        return iter(self._nodes.values())

    def __len__(self) -> int:
        return len(self._nodes)

    @cached_property
    def by_name(self) -> dict[str, Node]:
        """Nodes by their names, each of which is there once."""
        return {node.name: node for node in self}

    def parents(self, node_id: str) -> tuple[str, ...]:
        """Ids of the nodes just above."""
        return tuple(self._parents[self[node_id].id])

    def ancestors(self, node_id: str) -> tuple[str, ...]:
        """Ids of all nodes above, the nearest first, each once."""
        return tuple(ancestors_with_depth(self[node_id].id, self._parents.__getitem__))
