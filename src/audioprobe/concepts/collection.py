"""Collections of concepts: the shipped concepts, or the concepts of a file."""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from audioprobe.concepts.concept import Concept, Hypernym
from audioprobe.concepts.concept_file import read_concepts
from audioprobe.errors import InvalidInputError, did_you_mean

SHIPPED = Path(__file__).parent / "concepts.toml"
_N_SUGGESTIONS = 3


class Concepts:
    """Concepts of a file, in the order of the file.

    Attributes:
        hypernyms: all hypernyms of the concepts, including concepts that are hypernyms of other
            concepts.
        revision: first 16 digits of the SHA-256 of the file.

    Example:
        ```python
        from audioprobe import Concepts

        concepts = Concepts.shipped()
        crow = concepts["crow"]
        assert crow.phrase == "a crow" and crow.basic.name == "bird"
        ```
    """

    def __init__(
        self, concepts: Sequence[Concept], hypernyms: Sequence[Hypernym], revision: str
    ) -> None:
        self._by_id = {concept.id: concept for concept in concepts}
        self._by_name = {name.casefold(): c for c in concepts for name in c.names}
        self.hypernyms = tuple(hypernyms)
        self.revision = revision

    @classmethod
    def shipped(cls) -> "Concepts":
        """Return the concepts that ship with the library."""
        return _shipped()

    @classmethod
    def from_file(cls, path: str | Path) -> "Concepts":
        """Read a concept file in TOML; `README.md` beside the shipped file describes the format.

        Raises:
            InvalidInputError: if the file cannot be read or breaks a rule of the format.
        """
        return cls(*read_concepts(Path(path)))

    def __iter__(self) -> Iterator[Concept]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, concept_id: object) -> bool:
        return concept_id in self._by_id

    def __getitem__(self, concept_id: str) -> Concept:
        if concept_id not in self._by_id:
            hint = did_you_mean(concept_id, self._by_id, _N_SUGGESTIONS)
            raise InvalidInputError(f"No concept has the id {concept_id!r}.{hint}")
        return self._by_id[concept_id]

    def named(self, name: str) -> Concept:
        """Return the concept that has a name or synonym, ignoring case.

        Raises:
            InvalidInputError: if no concept has this name.
        """
        if name.casefold() not in self._by_name:
            hint = did_you_mean(name, self._by_name, _N_SUGGESTIONS)
            raise InvalidInputError(f"No concept is called {name!r}.{hint}")
        return self._by_name[name.casefold()]

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of the concepts ("animal", "weather", ...), in the order of the file."""
        return tuple(dict.fromkeys(concept.kind for concept in self))

    def of_kind(self, kind: str) -> tuple[Concept, ...]:
        """Return the concepts of a kind.

        Raises:
            InvalidInputError: if no concept is of this kind.
        """
        concepts = tuple(concept for concept in self if concept.kind == kind)
        if not concepts:
            raise InvalidInputError(f"No concept is of kind {kind!r}; there are {self.kinds}.")
        return concepts

    def hyponyms(self, hypernym_id: str) -> tuple[Concept, ...]:
        """Return all concepts that have a hypernym.

        Raises:
            InvalidInputError: if no hypernym has this id.
        """
        known = [hypernym.id for hypernym in self.hypernyms]
        if hypernym_id not in known:
            hint = did_you_mean(hypernym_id, known, _N_SUGGESTIONS)
            raise InvalidInputError(f"No hypernym has the id {hypernym_id!r}.{hint}")
        return tuple(c for c in self if any(h.id == hypernym_id for h in c.ancestors))


@cache
def _shipped() -> Concepts:
    return Concepts.from_file(SHIPPED)
