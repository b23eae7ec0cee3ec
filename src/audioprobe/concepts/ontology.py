"""AudioSet's ontology, read from the published file `ontology.json`.

The file is available at github.com/audioset/ontology under CC BY-SA 4.0. It does not ship with the
library.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audioprobe.errors import InvalidInputError
from audioprobe.graph import ancestors_with_depth
from audioprobe.parsing import parse_json


@dataclass(frozen=True, slots=True)
class OntologyNode:
    """A class of sounds in AudioSet's ontology.

    Attributes:
        id: id of the class, such as "/m/04s8yn".
        name: display name, such as "Crow".
        description: one or two sentences.
        children: ids of the direct subclasses.
    """

    id: str
    name: str
    description: str
    children: tuple[str, ...]


class Ontology:
    """Ontology of AudioSet: classes in the order of the file; `ontology["/m/04s8yn"]` is a class.

    A class may have several parents.

    Args:
        nodes: all classes; every child of a class must be among them.

    Raises:
        InvalidInputError: if a child is not among `nodes`, or a class is its own ancestor.
    """

    def __init__(self, nodes: Iterable[OntologyNode]) -> None:
        self._nodes = {node.id: node for node in nodes}
        self._parents: dict[str, list[str]] = {name: [] for name in self._nodes}
        for node in self._nodes.values():
            for child in node.children:
                if child not in self._nodes:
                    raise InvalidInputError(
                        f"Ontology: the child {child!r} of {node.name} is missing. Use the "
                        "published file."
                    )
                self._parents[child].append(node.id)
        for name in self._nodes:
            if name in self.ancestors(name):
                raise InvalidInputError(
                    f"Ontology: {self._nodes[name].name} is its own ancestor. Use the published "
                    "file."
                )

    @classmethod
    def from_json(cls, path: str | Path) -> "Ontology":
        """Read the published file `ontology.json`.

        Raises:
            InvalidInputError: if the file cannot be read or has another format.
        """
        file = Path(path).expanduser()
        try:
            nodes = [_node(entry) for entry in parse_json(file.read_text(encoding="utf-8"))]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InvalidInputError(
                f"{file}: cannot be read as AudioSet's ontology ({error!r}). Use the published "
                "ontology.json."
            ) from error
        return cls(nodes)

    def __getitem__(self, node_id: str) -> OntologyNode:
        if node_id not in self._nodes:
            raise InvalidInputError(
                f"Expected the id of a class in the ontology, such as '/m/04s8yn', got {node_id!r}."
            )
        return self._nodes[node_id]

    def __iter__(self) -> Iterator[OntologyNode]:
        return iter(self._nodes.values())

    def __len__(self) -> int:
        return len(self._nodes)

    def parents(self, node_id: str) -> tuple[str, ...]:
        """Return the ids of the direct parents of a class; () for a class without parents."""
        return tuple(self._parents[self[node_id].id])

    def ancestors(self, node_id: str) -> tuple[str, ...]:
        """Return the ids of all ancestors of a class, the nearest ancestors first."""
        return tuple(ancestors_with_depth(self[node_id].id, self._parents.__getitem__))


def _node(entry: Mapping[str, Any]) -> OntologyNode:
    """Return a class of the published file; raise `TypeError` if it has other values than texts."""
    texts = (entry["id"], entry["name"], entry["description"])
    children = entry["child_ids"]
    if not isinstance(children, list) or not all(isinstance(t, str) for t in (*texts, *children)):
        raise TypeError(f"{texts[0]!r:.60}: expected texts")
    return OntologyNode(*texts, tuple(children))
