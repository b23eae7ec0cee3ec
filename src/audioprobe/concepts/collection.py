"""Concepts to choose from: those that ship with the library, or a file of one's own."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from audioprobe.concepts.concept import Concept, Hypernym
from audioprobe.concepts.concept_file import read
from audioprobe.errors import InvalidInputError, did_you_mean

SHIPPED = Path(__file__).parent / "concepts.toml"
_NEAR = 3  # suggestions


class Concepts:
    """The concepts of a file, in its order; for a file of one's own, `Concepts.from_file(path)`.

    Example:
        ```python
        from audioprobe import Concepts

        concepts = Concepts.shipped()
        crow = concepts["crow"]
        assert crow.phrase == "a crow" and crow.basic.name == "bird"
        ```
    """

    def __init__(
        self, concepts: tuple[Concept, ...], rungs: tuple[Hypernym, ...], revision: str
    ) -> None:
        self._by_id = {concept.id: concept for concept in concepts}
        self._by_name = {name.casefold(): c for c in concepts for name in c.names}
        self.rungs = rungs
        """Everything that lies above some concept; general concepts are among them."""
        self.revision = revision
        """What pins the file: the first 16 digits of its SHA-256."""

    @classmethod
    def shipped(cls) -> "Concepts":
        """The concepts that ship with the library."""
        return _shipped()

    @classmethod
    def from_file(cls, path: str | Path) -> "Concepts":
        """The concepts of a TOML file; the format is described beside the shipped one.

        Raises:
            InvalidInputError: if the file cannot be read or breaks a rule of the format.
        """
        return cls(*read(Path(path)))

    def __iter__(self) -> Iterator[Concept]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, concept_id: object) -> bool:
        return concept_id in self._by_id

    def __getitem__(self, concept_id: str) -> Concept:
        if concept_id not in self._by_id:
            near = did_you_mean(concept_id, self._by_id, _NEAR)
            raise InvalidInputError(f"No concept has the id {concept_id!r}.{near}")
        return self._by_id[concept_id]

    def named(self, name: str) -> Concept:
        """The concept with this name or synonym, in any case.

        Raises:
            InvalidInputError: if no concept has it.
        """
        found = self._by_name.get(name.casefold())
        if found is None:
            raise InvalidInputError(
                f"No concept is called {name!r}.{did_you_mean(name, self._by_name, _NEAR)}"
            )
        return found

    @property
    def kinds(self) -> tuple[str, ...]:
        """Each kind once, in the order of the file."""
        return tuple(dict.fromkeys(concept.kind for concept in self))

    def of_kind(self, kind: str) -> tuple[Concept, ...]:
        """The concepts of a kind.

        Raises:
            InvalidInputError: if no concept is of this kind.
        """
        found = tuple(concept for concept in self if concept.kind == kind)
        if not found:
            raise InvalidInputError(f"No concept is of kind {kind!r}; there are {self.kinds}.")
        return found

    def under(self, rung_id: str) -> tuple[Concept, ...]:
        """The concepts that have this rung above them, on their hypernyms or beside it.

        Raises:
            InvalidInputError: if there is no such rung.
        """
        known = [rung.id for rung in self.rungs]
        if rung_id not in known:
            raise InvalidInputError(
                f"No rung has the id {rung_id!r}.{did_you_mean(rung_id, known, _NEAR)}"
            )
        return tuple(c for c in self if any(rung.id == rung_id for rung in c.ancestors))


@cache
def _shipped() -> Concepts:
    return Concepts.from_file(SHIPPED)
