"""Concepts straight from WordNet: any noun, pinned to one of its senses."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from audioprobe.concepts.concept import with_article
from audioprobe.concepts.wordnet import Synset, WordNet
from audioprobe.errors import InvalidInputError
from audioprobe.probing.relations.concept_set import ConceptSet, ProbeConcept, Target

ABSTRACT = frozenset(
    {
        "abstraction",
        "artifact",
        "causal agent",
        "entity",
        "instrumentality",
        "living thing",
        "matter",
        "object",
        "organism",
        "physical entity",
        "process",
        "psychological feature",
        "thing",
        "unit",
        "whole",
    }
)
"""First words of synsets at WordNet's top, which nobody is asked for."""


class Nouns(Protocol):
    """Nouns with senses and what lies above them: WordNet's files, or another lexicon."""

    @property
    def version(self) -> str:
        """What pins them."""
        ...

    def __contains__(self, offset: object) -> bool:
        """Whether a synset is there."""
        ...

    def synset(self, offset: str) -> Synset:
        """A synset by its offset or other id."""
        ...

    def senses(self, word: str) -> tuple[str, ...]:
        """Offsets of a noun's synsets; () for an unknown word."""
        ...

    def ancestors(self, offset: str) -> tuple[str, ...]:
        """Offsets of everything above a synset, the nearest first."""
        ...


def from_wordnet(
    words: Sequence[str],
    wordnet: WordNet | None = None,
    *,
    phrases: Mapping[str, str] = MappingProxyType({}),
) -> ConceptSet:
    """Nouns of an installed WordNet, with everything above them.

    A word of several senses must be pinned: "grouse#2" is its second sense, "grouse#01795088" the
    synset at that offset.

    Args:
        words: nouns; those of one synset count once.
        wordnet: None reads the one that is installed.
        phrases: how a word or class is said, by its first word in WordNet: "rain" as it stands.
            Others get "a" or "an", for WordNet does not know which nouns take an article.

    Raises:
        InvalidInputError: for a word that WordNet lacks, one of several senses without a pin (shows
            their glosses), or a pin that is none of its senses.
    """
    return from_nouns("wordnet", WordNet() if wordnet is None else wordnet, words, phrases)


def from_nouns(
    name: str, nouns: Nouns, words: Sequence[str], phrases: Mapping[str, str]
) -> ConceptSet:
    """Nouns of any lexicon; otherwise as `from_wordnet`.

    Args:
        name: of the source.
        nouns: the lexicon.
        words: as for `from_wordnet`.
        phrases: as for `from_wordnet`.

    Raises:
        InvalidInputError: as for `from_wordnet`.
    """
    found: dict[str, ProbeConcept] = {}
    for word in words:
        offset = _pinned(word, nouns)
        found.setdefault(offset, _subject(word.partition("#")[0], offset, nouns, phrases))
    return ConceptSet(name, nouns.version, tuple(found.values()))


def _pinned(word: str, nouns: Nouns) -> str:
    name, _, pin = word.partition("#")
    senses = nouns.senses(name)
    if not senses:
        raise InvalidInputError(
            f"WordNet {nouns.version} has no noun {name!r}. Give another word, or a table of your "
            "own relations."
        )
    if not pin and len(senses) == 1:
        return senses[0]
    if pin in senses:
        return pin
    if pin.isdecimal() and 1 <= int(pin) <= len(senses) and len(pin) < len(senses[0]):
        return senses[int(pin) - 1]
    listed = "\n".join(
        f"  {name}#{number}  {offset}  {_glossed(offset, nouns)}"
        for number, offset in enumerate(senses, 1)
    )
    what = f"{pin!r} is none of the senses" if pin else f"there are {len(senses)} senses"
    raise InvalidInputError(f"{name!r}: {what}. Pin the one that is meant:\n{listed}")


def _glossed(offset: str, nouns: Nouns) -> str:
    if offset not in nouns:
        return "(not in these files)"
    synset = nouns.synset(offset)
    return f"{', '.join(synset.words)}: {synset.gloss}"


def _subject(name: str, offset: str, nouns: Nouns, phrases: Mapping[str, str]) -> ProbeConcept:
    synset = nouns.synset(offset)
    above = nouns.ancestors(offset)
    first = {up: nouns.synset(up).words[0] for up in above}
    hypernyms = tuple(
        Target(up, _said(first[up], phrases)) for up in above if first[up] not in ABSTRACT
    )
    others = [word for word in synset.words if word.lower() != name.lower()]
    return ProbeConcept(
        offset,
        _said(name, phrases),
        "",
        tuple(_said(word, phrases) for word in others),
        hypernyms,
        frozenset(above),
    )


def _said(word: str, phrases: Mapping[str, str]) -> str:
    return phrases.get(word, with_article(word))
