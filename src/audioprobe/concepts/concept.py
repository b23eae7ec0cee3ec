"""Concepts: word senses for sound sources, with names and hypernyms."""

from dataclasses import dataclass, field
from typing import Literal

ARTICLES = ("a ", "an ", "the ")


@dataclass(frozen=True, slots=True)
class Hypernym:
    """A more general class of concepts: "bird" for "crow".

    Attributes:
        id: identifier, unique among concepts and hypernyms, such as "body-of-water".
        phrase: name with its article, such as "a body of water", or "weather" without an article.
        synset: offset of the noun synset in WordNet 3.0, eight digits.
    """

    id: str
    phrase: str
    synset: str

    @property
    def name(self) -> str:
        """Phrase without its article."""
        return without_article(self.phrase)


@dataclass(frozen=True, slots=True)
class Synonym:
    """Another name of a concept.

    Attributes:
        name: synonym without article.
        source: "wordnet" if the synset has this word, "curated" if audioprobe adds it.
    """

    name: str
    source: Literal["wordnet", "curated"]


@dataclass(frozen=True, slots=True)
class AudioSetClass:
    """An AudioSet class for a sound source or for its sound.

    Attributes:
        id: id in AudioSet, such as "/m/04s8yn".
        name: display name in AudioSet, such as "Crow".
    """

    id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Concept:
    """One sense of a word for a sound source (a crow), or for a sound event (thunder).

    Attributes:
        id: identifier, unique among concepts and hypernyms, such as "church-bell".
        phrase: name as it follows "the sound of": "a church bell", "rain".
        synset: offset of the noun synset in WordNet 3.0, eight digits.
        lemma: word of the synset for the concept; usually equal to the name.
        kind: broad category of the concept, such as "animal" or "weather".
        hypernyms: hypernym chain in everyday words, from specific to general; may be empty.
        basic: the hypernym that people use most ("bird" for an owl); None without hypernyms.
        ancestors: all hypernyms in the file, in the chain or outside it.
        synonyms: other names; may be empty.
        audioset: AudioSet class of the source or of its sound; None if there is none.
    """

    id: str
    phrase: str
    synset: str
    lemma: str
    kind: str
    hypernyms: tuple[Hypernym, ...] = ()
    basic: Hypernym | None = None
    ancestors: frozenset[Hypernym] = field(default=frozenset())
    synonyms: tuple[Synonym, ...] = ()
    audioset: AudioSetClass | None = None

    @property
    def name(self) -> str:
        """Phrase without its article."""
        return without_article(self.phrase)

    @property
    def names(self) -> tuple[str, ...]:
        """Name, then the synonyms."""
        return (self.name, *(synonym.name for synonym in self.synonyms))


def without_article(phrase: str) -> str:
    """Return a phrase without its article: "crow" for "a crow", "rain" for "rain"."""
    for article in ARTICLES:
        if phrase.startswith(article):
            return phrase[len(article) :]
    return phrase


def with_article(name: str) -> str:
    """Return a name with the article "a" or, before a vowel, "an"."""
    return f"an {name}" if name[:1].lower() in "aeiou" else f"a {name}"


def with_article_of(phrase: str, name: str) -> str:
    """Return a name with an article if another phrase has an article.

    The name "coach" becomes "a coach" if the phrase is "a bus".
    """
    return with_article(name) if phrase.startswith(ARTICLES) else name
