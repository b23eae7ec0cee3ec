"""What a concept is: one sense of a word for something that can be heard."""

from dataclasses import dataclass, field
from typing import Literal

ARTICLES = ("a ", "an ", "the ")


@dataclass(frozen=True, slots=True)
class Hypernym:
    """What lies above a concept: "bird" above "crow".

    Attributes:
        id: unique among concepts and rungs: "body-of-water".
        phrase: as it is said, with its article: "a body of water", "weather".
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
    """Another word for a concept.

    Attributes:
        name: without article.
        source: "wordnet" where the synset has it, "curated" where only we say so.
    """

    name: str
    source: Literal["wordnet", "curated"]


@dataclass(frozen=True, slots=True)
class AudioSetClass:
    """A class of AudioSet: the source itself, or the sound that it makes.

    Attributes:
        id: "/m/04s8yn".
        name: AudioSet's display name: "Crow".
    """

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Concept:
    """One sense of a word for a source of sound, or for a sound that is an event of its own.

    Attributes:
        id: unique among concepts and rungs: "church-bell".
        phrase: as it reads after "the sound of": "a church bell", "rain".
        synset: offset of the noun synset in WordNet 3.0, eight digits.
        lemma: the word of that synset that is meant; mostly the name itself.
        kind: the family that it belongs to: "animal", "weather".
        hypernyms: hypernyms that people say, from the nearest upwards; may be empty.
        basic: the rung of the hypernyms at which people sort such sounds ("bird", "weather"); None
            where the hypernyms is empty.
        ancestors: the hypernyms and whatever else of its file lies above the concept.
        synonyms: other words for it; may be empty.
        audioset: its class in AudioSet, or None.
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
        """The name, then the synonyms."""
        return (self.name, *(synonym.name for synonym in self.synonyms))


def without_article(phrase: str) -> str:
    """The phrase without the article that opens it, if one does."""
    for article in ARTICLES:
        if phrase.startswith(article):
            return phrase[len(article) :]
    return phrase


def like(phrase: str, name: str) -> str:
    """Another name, with an article where the phrase has one: "a coach", like "a bus"."""
    return with_article(name) if phrase.startswith(ARTICLES) else name


def with_article(name: str) -> str:
    """The name with "a", or with "an" before a vowel."""
    return f"an {name}" if name[:1].lower() in "aeiou" else f"a {name}"
