"""Do concepts say what WordNet says? Every offset, word, synonym and rung is compared."""

from collections.abc import Iterator

from audioprobe.concepts.collection import Concepts
from audioprobe.concepts.concept import Concept, Hypernym
from audioprobe.concepts.wordnet import WordNet


def disagreements(concepts: Concepts, wordnet: WordNet) -> tuple[str, ...]:
    """Where concepts and WordNet differ, in words; () where they agree.

    Ancestors must agree both ways: what a concept has above it lies above it in WordNet, and of
    what the file has, nothing that lies above it in WordNet is left out. Only then is "not an
    ancestor" as good a fact as "an ancestor".

    Raises:
        InvalidInputError: if the files of WordNet are damaged or end too early.
    """
    nodes = {rung.synset: rung for rung in concepts.rungs}
    found: list[str] = []
    for rung in concepts.rungs:
        if rung.id not in concepts:  # general concepts have their turn below
            found += _unknown(rung, rung.name, wordnet)
    for concept in concepts:
        unknown = list(_unknown(concept, concept.lemma, wordnet))
        found += unknown or [*_synonyms(concept, wordnet), *_above(concept, nodes, wordnet)]
    return tuple(found)


def _unknown(thing: Concept | Hypernym, word: str, wordnet: WordNet) -> Iterator[str]:
    if thing.synset not in wordnet:
        yield f"{thing.id}: there is no synset {thing.synset}"
    elif not _has(word, thing.synset, wordnet):
        words = ", ".join(wordnet.synset(thing.synset).words)
        yield f"{thing.id}: {word!r} is not a word of {thing.synset} ({words})"


def _synonyms(concept: Concept, wordnet: WordNet) -> Iterator[str]:
    for synonym in concept.synonyms:
        known = _has(synonym.name, concept.synset, wordnet)
        if known != (synonym.source == "wordnet"):
            is_or_not = "is" if known else "is not"
            yield (
                f"{concept.id}: the synonym {synonym.name!r} is marked {synonym.source!r}, "
                f"but {is_or_not} a word of {concept.synset}"
            )


def _above(concept: Concept, nodes: dict[str, Hypernym], wordnet: WordNet) -> Iterator[str]:
    ancestors = wordnet.ancestors(concept.synset)
    for rung in sorted(concept.ancestors, key=lambda rung: rung.id):
        if rung.synset not in ancestors:
            yield f"{concept.id}: {rung.id} ({rung.synset}) is not above {concept.synset}"
    stated = {rung.synset for rung in concept.ancestors}
    for offset in ancestors:
        if offset in nodes and offset not in stated:
            yield f"{concept.id}: {nodes[offset].id} ({offset}) is above it and is left out"


def _has(word: str, offset: str, wordnet: WordNet) -> bool:
    return word.casefold() in (known.casefold() for known in wordnet.synset(offset).words)
