"""A concept: one sense of a word for a sound source, with its names and hypernyms."""

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
        """The phrase without its article."""
        return without_article(self.phrase)


@dataclass(frozen=True, slots=True)
class Synonym:
    """Another name of a concept.

    Attributes:
        name: synonym without article.
        source: "wordnet" if the synset has it, "curated" if audioprobe adds it.
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
    """One sense of a word for a source of sound, or for a sound event such as thunder.

    Attributes:
        id: identifier, unique among concepts and hypernyms, such as "church-bell".
        phrase: name in the form that fits after "the sound of": "a church bell", "rain".
        synset: offset of the noun synset in WordNet 3.0, eight digits.
        lemma: word of the synset that stands for the concept; usually equal to the name.
        kind: broad category of the concept, such as "animal" or "weather".
        hypernyms: hypernym chain in everyday words, from specific to general; may be empty.
        basic: the hypernym at the basic level ("bird", "weather"); None if there are no hypernyms.
        ancestors: all hypernyms in the file, including hypernyms that are not in the chain.
        synonyms: other names; may be empty.
        audioset: corresponding AudioSet class, or None.
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
        """The phrase without its article."""
        return without_article(self.phrase)

    @property
    def names(self) -> tuple[str, ...]:
        """The name, followed by the synonyms."""
        return (self.name, *(synonym.name for synonym in self.synonyms))


def without_article(phrase: str) -> str:
    """Remove the leading article from a phrase, if it has an article."""
    for article in ARTICLES:
        if phrase.startswith(article):
            return phrase[len(article) :]
    return phrase


def with_article(name: str) -> str:
    """Return a name with the article "a", or with "an" before a vowel."""
    return f"an {name}" if name[:1].lower() in "aeiou" else f"a {name}"


def with_article_of(phrase: str, name: str) -> str:
    """Return a name with an article if `phrase` has an article: "a coach" for "a bus"."""
    return with_article(name) if phrase.startswith(ARTICLES) else name
