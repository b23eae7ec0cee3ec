"""Comparison of concepts with WordNet: synsets, words, synonyms and hypernyms."""

from collections.abc import Iterator

from audioprobe.concepts.collection import Concepts
from audioprobe.concepts.concept import Concept, Hypernym
from audioprobe.concepts.wordnet import WordNet


def disagreements(concepts: Concepts, wordnet: WordNet) -> tuple[str, ...]:
    """Return a sentence for each difference between concepts and WordNet.

    Ancestors are compared in both directions: each ancestor of a concept must be its ancestor in
    WordNet, and each hypernym of the file that is its ancestor in WordNet must be listed as its
    ancestor.

    Raises:
        InvalidInputError: if the files of WordNet are damaged.
    """
    nodes = {hypernym.synset: hypernym for hypernym in concepts.hypernyms}
    differences: list[str] = []
    for hypernym in concepts.hypernyms:
        if hypernym.id not in concepts:  # concepts are checked below
            differences += _word_differences(hypernym, hypernym.name, wordnet)
    for concept in concepts:
        unknown = list(_word_differences(concept, concept.lemma, wordnet))
        differences += unknown or [
            *_synonym_differences(concept, wordnet),
            *_ancestor_differences(concept, nodes, wordnet),
        ]
    return tuple(differences)


def _word_differences(entry: Concept | Hypernym, word: str, wordnet: WordNet) -> Iterator[str]:
    if entry.synset not in wordnet:
        yield f"{entry.id}: there is no synset {entry.synset}"
    elif not _has_word(word, entry.synset, wordnet):
        words = ", ".join(wordnet.synset(entry.synset).words)
        yield f"{entry.id}: {word!r} is not a word of {entry.synset} ({words})"


def _synonym_differences(concept: Concept, wordnet: WordNet) -> Iterator[str]:
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
    return word.casefold() in (known.casefold() for known in wordnet.synset(offset).words)
