"""Collections of concepts (word senses for sound sources), and their comparison with WordNet."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType

from audioprobe.concepts.concept import Concept, Hypernym, read_concepts
from audioprobe.concepts.wordnet import WordNet
from audioprobe.errors import InvalidInputError, did_you_mean

SHIPPED = Path(__file__).parent / "concepts.toml"
_N_SUGGESTIONS = 3
_AMBIGUOUS = tomllib.loads((SHIPPED.parent / "ambiguous_classes.toml").read_text("utf-8"))

AMBIGUOUS_CLASSES: frozenset[str] = frozenset(_AMBIGUOUS["classes"])
"""Ids of hypernyms about which no question asks, such as "device".

People also use these words for concepts that do not have the hypernym in WordNet.
"""

CLOSED_WORLD_KINDS: frozenset[str] = frozenset(_AMBIGUOUS["closed_world_kinds"])
"""Kinds of concepts whose hypernyms in WordNet agree with everyday language.

In these kinds, a class that is not a hypernym of a concept is a wrong answer. In other kinds, it
may be right: in WordNet, a train is not a vehicle.
"""

UNCERTAIN_NEGATIVES: Mapping[str, frozenset[str]] = MappingProxyType(
    {name: frozenset(ids) for name, ids in _AMBIGUOUS["uncertain_negatives"].items()}
)
"""Concepts for which the answer "no" is not scored, by the class or concept in the question.

For example, "no" to "Is a bell a musical instrument?" agrees with WordNet, but may be wrong. Keys
and values are ids.
"""


class Concepts:
    """Collection of concepts, which are word senses for sound sources such as "crow".

    `concepts["crow"]` is the concept with the id "crow". `named` finds a concept by its name.

    Attributes:
        hypernyms: all hypernyms of the concepts; a hypernym may itself be a concept.
        revision: version of the concept file, stored in results: the first 16 hexadecimal digits
            of its SHA-256 hash.

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
        """Read a concept file in TOML; `concepts/README.md` describes the format.

        Raises:
            InvalidInputError: if the file cannot be read or does not have this format.
        """
        return cls(*read_concepts(Path(path)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} concepts, revision {self.revision!r})"

    def __iter__(self) -> Iterator[Concept]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, concept_id: object) -> bool:
        return concept_id in self._by_id

    def __getitem__(self, concept_id: str) -> Concept:
        if concept_id not in self._by_id:
            hint = did_you_mean(concept_id, self._by_id, _N_SUGGESTIONS)
            raise InvalidInputError(f"Expected the id of a concept, got {concept_id!r}.{hint}")
        return self._by_id[concept_id]

    def named(self, name: str) -> Concept:
        """Return the concept that has this name or synonym; upper and lower case are equal.

        Raises:
            InvalidInputError: if no concept has this name.
        """
        if name.casefold() not in self._by_name:
            hint = did_you_mean(name, self._by_name, _N_SUGGESTIONS)
            raise InvalidInputError(f"Expected the name of a concept, got {name!r}.{hint}")
        return self._by_name[name.casefold()]

    @property
    def kinds(self) -> tuple[str, ...]:
        """Categories of the concepts, such as "animal" and "weather", in the order of the file."""
        return tuple(dict.fromkeys(concept.kind for concept in self))

    def hyponyms(self, hypernym_id: str) -> tuple[Concept, ...]:
        """Return all concepts with the given hypernym: for the id "bird", crow, owl and others.

        Raises:
            InvalidInputError: if no hypernym has this id.
        """
        known = [hypernym.id for hypernym in self.hypernyms]
        if hypernym_id not in known:
            hint = did_you_mean(hypernym_id, known, _N_SUGGESTIONS)
            raise InvalidInputError(f"Expected the id of a hypernym, got {hypernym_id!r}.{hint}")
        return tuple(c for c in self if any(h.id == hypernym_id for h in c.ancestors))


@cache
def _shipped() -> Concepts:
    return Concepts.from_file(SHIPPED)


def disagreements(concepts: Concepts, wordnet: WordNet) -> tuple[str, ...]:
    """Return a sentence for each difference between concepts and WordNet; () if they agree.

    The synset of a concept must exist in WordNet. It must contain the concept's lemma and the
    synonyms with the source "wordnet", but no synonym with the source "curated". Every hypernym of
    a concept must be an ancestor of its synset in WordNet. Every ancestor in WordNet that is among
    `concepts.hypernyms` must be a hypernym of the concept.

    Raises:
        InvalidInputError: if the files of WordNet are damaged.
    """
    nodes = {hypernym.synset: hypernym for hypernym in concepts.hypernyms}
    differences: list[str] = []
    for hypernym in concepts.hypernyms:
        if hypernym.id not in concepts:  # the next loop checks concepts
            differences += _word_differences(hypernym, hypernym.name, wordnet)
    for concept in concepts:
        unknown = list(_word_differences(concept, concept.lemma, wordnet))
        differences += unknown or [
            *_synonym_differences(concept, wordnet),
            *_ancestor_differences(concept, nodes, wordnet),
        ]
    return tuple(differences)


def _word_differences(entry: Concept | Hypernym, word: str, wordnet: WordNet) -> Iterator[str]:
    """Yield one sentence if WordNet lacks the entry's synset, or if the synset lacks `word`."""
    if entry.synset not in wordnet:
        yield f"{entry.id}: there is no synset {entry.synset}"
    elif not _has_word(word, entry.synset, wordnet):
        words = ", ".join(wordnet.synset(entry.synset).words)
        yield f"{entry.id}: {word!r} is not a word of {entry.synset} ({words})"


def _synonym_differences(concept: Concept, wordnet: WordNet) -> Iterator[str]:
    """Yield a sentence for each synonym with a wrong source.

    The source must be "wordnet" if the concept's synset contains the synonym, else "curated".
    """
    for synonym in concept.synonyms:
        known = _has_word(synonym.name, concept.synset, wordnet)
        if known != (synonym.source == "wordnet"):
            yield (
                f"{concept.id}: the synonym {synonym.name!r} is marked {synonym.source!r}, "
                f"but {'is' if known else 'is not'} a word of {concept.synset}"
            )


def _ancestor_differences(
    concept: Concept, nodes: dict[str, Hypernym], wordnet: WordNet
) -> Iterator[str]:
    """Yield a sentence for each ancestor that is only in the concept file or only in WordNet.

    `nodes` contains all hypernyms of the collection, keyed by synset. Other ancestors in WordNet
    are ignored.
    """
    ancestors = wordnet.ancestors(concept.synset)
    for hypernym in sorted(concept.ancestors, key=lambda hypernym: hypernym.id):
        if hypernym.synset not in ancestors:
            yield (
                f"{concept.id}: {hypernym.id} ({hypernym.synset}) is not an ancestor of "
                f"{concept.synset}"
            )
    listed = {hypernym.synset for hypernym in concept.ancestors}
    for offset in ancestors:
        if offset in nodes and offset not in listed:
            yield f"{concept.id}: the ancestor {nodes[offset].id} ({offset}) is not listed"


def _has_word(word: str, offset: str, wordnet: WordNet) -> bool:
    """Return whether the synset at `offset` contains a word; upper and lower case are equal."""
    return word.casefold() in (known.casefold() for known in wordnet.synset(offset).words)
