"""Cut the excerpt of WordNet that the tests need: python tests/data/wordnet/excerpt.py FOLDER.

FOLDER holds `data.noun` and `index.noun` of WordNet 3.0, as /usr/share/wordnet of Debian's
wordnet-base does. Lines are copied as they are, the copyright notice included.
"""

import sys
from pathlib import Path

from audioprobe.concepts import Concepts, WordNet
from audioprobe.concepts.wordnet import DATA, INDEX

HERE = Path(__file__).parent


def words(concepts: Concepts) -> set[str]:
    """Return the lemmas of concepts and hypernyms, as the index writes them."""
    lemmas = {concept.lemma for concept in concepts}
    lemmas |= {hypernym.name for hypernym in concepts.hypernyms if hypernym.id not in concepts}
    return {word.lower().replace(" ", "_") for word in lemmas}


def synsets(concepts: Concepts, wordnet: WordNet) -> set[str]:
    """Return offsets of concepts, hypernyms, first senses of lemmas, and all their ancestors."""
    offsets = {hypernym.synset for hypernym in concepts.hypernyms}
    for concept in concepts:
        offsets |= {concept.synset, wordnet.senses(concept.lemma)[0]}
    return offsets.union(*(wordnet.ancestors(offset) for offset in offsets))


def cut(source: Path, target: Path, keep: set[str]) -> None:
    """Copy the notice, and the lines that begin with one of these words."""
    with source.open(encoding="utf-8", newline="") as stream:
        lines = [line for line in stream if line.startswith("  ") or line.split(" ", 1)[0] in keep]
    target.write_text("".join(lines), encoding="utf-8", newline="")


if __name__ == "__main__":
    full = WordNet(sys.argv[1])
    shipped = Concepts.shipped()
    cut(full.folder / DATA, HERE / DATA, synsets(shipped, full))
    cut(full.folder / INDEX, HERE / INDEX, words(shipped))
