"""Nouns of a lexicon that is installed with the package `wn`, such as the Open English WordNet.

Importing this module requires the extra `wordnet`. Use `wn` to download or add the lexicon.
"""

from audioprobe.concepts.wordnet import Synset
from audioprobe.errors import InvalidInputError, needs_extra
from audioprobe.graph import ancestors_with_depth

with needs_extra("wordnet"):
    import wn


class WnLexicon:
    """Nouns of one lexicon; hypernyms of other lexicons are not used.

    Args:
        lexicon: name and version, such as "oewn:2024".

    Raises:
        InvalidInputError: if no lexicon matches, or if several lexicons match.
    """

    name = "wn"

    def __init__(self, lexicon: str) -> None:
        try:
            self._nouns = wn.Wordnet(lexicon, expand="")
        except wn.Error as error:
            raise InvalidInputError(
                f"wn has no lexicon {lexicon!r}. Download it with wn.download({lexicon!r}), or add "
                "a file with wn.add(path)."
            ) from error
        matches = [each.specifier() for each in self._nouns.lexicons()]
        if len(matches) != 1:
            raise InvalidInputError(
                f"Expected one lexicon for {lexicon!r}, got {', '.join(matches) or 'none'}."
            )
        self.version = matches[0]
        """Name and version of the lexicon, such as "oewn:2024"."""

    def __contains__(self, synset_id: object) -> bool:
        try:
            self._nouns.synset(str(synset_id))
        except wn.Error:
            return False
        return True

    def synset(self, synset_id: str) -> Synset:
        """Return a synset by its id.

        Raises:
            InvalidInputError: if no synset has this id.
        """
        try:
            synset = self._nouns.synset(synset_id)
        except wn.Error as error:
            raise InvalidInputError(f"{self.version} has no synset {synset_id!r}.") from error
        hypernyms = tuple(each.id for each in synset.hypernyms())
        return Synset(synset_id, tuple(synset.lemmas()), hypernyms, synset.definition() or "")

    def senses(self, word: str) -> tuple[str, ...]:
        """Return the ids of a noun's synsets in order; () if the word is unknown."""
        senses = self._nouns.senses(word.replace("_", " "), pos="n")
        return tuple(dict.fromkeys(sense.synset().id for sense in senses))

    def ancestors(self, synset_id: str) -> tuple[str, ...]:
        """Return the ids of all ancestors of a synset, the nearest ancestors first."""
        return tuple(ancestors_with_depth(synset_id, lambda name: self.synset(name).hypernyms))
