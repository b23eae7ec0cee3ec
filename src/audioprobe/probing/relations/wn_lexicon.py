"""Concepts from a lexicon of the package `wn`, such as the Open English WordNet.

Importing this needs the extra `wordnet`. The lexicon itself is fetched or added with `wn`.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from audioprobe.concepts.wordnet import Synset
from audioprobe.errors import InvalidInputError, needs_extra
from audioprobe.graph import ancestors_with_depth
from audioprobe.probing.relations.concept_set import ConceptSet
from audioprobe.probing.relations.wordnet_nouns import from_nouns

with needs_extra("wordnet"):
    import wn


def from_wn(
    lexicon: str,
    words: Sequence[str],
    *,
    phrases: Mapping[str, str] = MappingProxyType({}),
) -> ConceptSet:
    """Nouns of a lexicon, with everything above them.

    A word of several senses must be pinned: "grouse#2" is its second sense, "grouse#ID" that of the
    synset with this id ("oewn-01797309-n").

    Args:
        lexicon: name and version, such as "oewn:2024".
        words: as for `words.from_wordnet`.
        phrases: as for `words.from_wordnet`.

    Raises:
        InvalidInputError: if there is no such lexicon, or several; else as for
            `words.from_wordnet`.
    """
    nouns = Lexicon(lexicon)
    return from_nouns("wn", nouns, words, phrases)


class Lexicon:
    """Nouns of one lexicon, by its own hypernyms alone: those of no other are borrowed.

    Args:
        name: and version, such as "oewn:2024".

    Raises:
        InvalidInputError: if there is no such lexicon, or several.
    """

    def __init__(self, name: str) -> None:
        try:
            self._nouns = wn.Wordnet(name, expand="")
        except wn.Error as error:
            raise InvalidInputError(
                f"wn has no lexicon {name!r}. Fetch it with wn.download({name!r}), or add a file "
                "with wn.add(path)."
            ) from error
        known = [each.specifier() for each in self._nouns.lexicons()]
        if len(known) != 1:
            raise InvalidInputError(
                f"Expected one lexicon; {name!r} names {', '.join(known) or 'none'}."
            )
        self.version = known[0]
        """Name and version."""

    def __contains__(self, offset: object) -> bool:
        try:
            self._nouns.synset(str(offset))
        except wn.Error:
            return False
        return True

    def synset(self, offset: str) -> Synset:
        """A synset by its id.

        Raises:
            InvalidInputError: if there is none.
        """
        try:
            found = self._nouns.synset(offset)
        except wn.Error as error:
            raise InvalidInputError(f"{self.version} has no synset {offset!r}.") from error
        above = tuple(each.id for each in found.hypernyms())
        return Synset(offset, tuple(found.lemmas()), above, found.definition() or "")

    def senses(self, word: str) -> tuple[str, ...]:
        """Ids of a noun's synsets, in the order of the lexicon; () for an unknown word."""
        found = self._nouns.senses(word.replace("_", " "), pos="n")
        return tuple(dict.fromkeys(sense.synset().id for sense in found))

    def ancestors(self, offset: str) -> tuple[str, ...]:
        """Ids of everything above a synset, the nearest first."""
        return tuple(ancestors_with_depth(offset, lambda synset: self.synset(synset).hypernyms))
