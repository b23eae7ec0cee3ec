"""Concepts (word senses for sound sources), and the TOML files that define them.

`README.md` in this folder describes the format of the files.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, NoReturn

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from audioprobe.errors import InvalidInputError
from audioprobe.graph import ancestors_with_depth
from audioprobe.parsing import parse_toml

ARTICLES = ("a ", "an ", "the ")


@dataclass(frozen=True, slots=True)
class Hypernym:
    """A more general class of concepts: "bird" for "crow".

    Attributes:
        id: identifier, unique among concepts and hypernyms, such as "body-of-water".
        phrase: name with its article, such as "a body of water", or "weather" without an article.
        synset: id of the noun synset in WordNet 3.0: its offset of eight digits.
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
        synset: id of the noun synset in WordNet 3.0: its offset of eight digits.
        lemma: the synset's word for the concept; usually equal to the name.
        kind: broad category of the concept, such as "animal" or "weather".
        hypernyms: hypernym chain in everyday words, from specific to general; may be empty.
        basic: the hypernym that people use most ("bird" for an owl); None without hypernyms.
        ancestors: all hypernyms, including hypernyms that are not in the chain `hypernyms`.
        synonyms: other names of the concept; may be empty.
        audioset: AudioSet class of the source or of its sound; None if there is none.
    """

    id: str
    phrase: str
    synset: str
    lemma: str
    kind: str
    hypernyms: tuple[Hypernym, ...] = ()
    basic: Hypernym | None = None
    ancestors: frozenset[Hypernym] = frozenset()
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
    """Return `name` with the article "a" or "an" if `phrase` has an article, else `name`.

    The name "coach" becomes "a coach" if the phrase is "a bus", and remains "coach" if the phrase
    is "rain".
    """
    return with_article(name) if phrase.startswith(ARTICLES) else name


def _without_stray_spaces(text: str) -> str:
    if not text or text != " ".join(text.split()):
        raise ValueError("expected a non-empty text without leading, trailing or repeated spaces")
    return text


def _unique(items: list[str]) -> list[str]:
    if len(set(items)) < len(items):
        raise ValueError("expected each item once")
    return items


_Text = Annotated[str, AfterValidator(_without_stray_spaces)]
_Texts = Annotated[list[_Text], AfterValidator(_unique)]
_Id = Annotated[str, StringConstraints(pattern="^[a-z0-9]+(-[a-z0-9]+)*$")]
_Synset = Annotated[str, StringConstraints(pattern="^[0-9]{8}$")]
# Ids from Freebase begin with /m/ or /g/, ids made for AudioSet with /t/.
_AudioSetId = Annotated[str, StringConstraints(pattern=r"^/[mgt]/\w+$")]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Synonyms(_Entry):
    wordnet: _Texts = []
    curated: _Texts = []


class _AudioSetEntry(_Entry):
    id: _AudioSetId
    name: _Text


class _HypernymEntry(_Entry):
    phrase: _Text
    synset: _Synset
    hypernyms: _Texts = []

    @property
    def parents(self) -> list[str]:
        """Ids of the hypernyms that are written in the entry; they may have further hypernyms."""
        return self.hypernyms


class _ConceptEntry(_HypernymEntry):
    kind: _Text
    lemma: _Text | None = None
    basic: _Text | None = None
    other_hypernyms: _Texts = []
    synonyms: _Synonyms = _Synonyms()
    audioset: _AudioSetEntry | None = None

    @property
    def parents(self) -> list[str]:
        return [*self.hypernyms, *self.other_hypernyms]


class _ConceptFile(_Entry):
    hypernyms: dict[_Id, _HypernymEntry] = {}
    concepts: Annotated[dict[_Id, _ConceptEntry], Field(min_length=1)]


def read_concepts(path: Path) -> tuple[tuple[Concept, ...], tuple[Hypernym, ...], str]:
    """Return the concepts in a file, their hypernyms, and the revision of the file.

    The revision is the first 16 hexadecimal digits of the SHA-256 hash of the file. Results contain
    it as the version of the concepts.

    Raises:
        InvalidInputError: if the file cannot be read, or does not have the format in `README.md`.
    """
    try:
        content = path.read_bytes()
        tables = parse_toml(content.decode("utf-8-sig"))
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"Cannot read {path} as a concept file in TOML: {error}") from error
    try:
        file = _ConceptFile.model_validate(tables)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        message = f"{first['msg'].removeprefix('Value error, ')}, got {first['input']!r:.60}"
        raise InvalidInputError(f"{path.name}: {place}: {message}.") from error
    concepts, hypernyms = _Builder(path.name, file).build()
    return concepts, hypernyms, hashlib.sha256(content).hexdigest()[:16]


class _Builder:
    """Builder of the concepts in a file; raises if entries are not consistent."""

    def __init__(self, name: str, file: _ConceptFile) -> None:
        self._name = name
        self._file = file
        for id_ in file.hypernyms.keys() & file.concepts.keys():
            self._refuse(id_, "is both a hypernym and a concept; remove the hypernym")
        self._entries: dict[str, _HypernymEntry] = {**file.hypernyms, **file.concepts}
        self._nodes = {id_: Hypernym(id_, e.phrase, e.synset) for id_, e in self._entries.items()}
        self._ancestors = {id_: self._ancestors_of(id_) for id_ in self._entries}

    def build(self) -> tuple[tuple[Concept, ...], tuple[Hypernym, ...]]:
        """Return all concepts, and all entries that are a hypernym of a concept."""
        concepts = tuple(self._concept(id_, entry) for id_, entry in self._file.concepts.items())
        self._refuse_repeated("synset", ((node.synset, id_) for id_, node in self._nodes.items()))
        names = [(self._nodes[id_].name, id_) for id_ in self._file.hypernyms]
        names += [(name, concept.id) for concept in concepts for name in concept.names]
        self._refuse_repeated("name", ((name.casefold(), id_) for name, id_ in names))
        used = set().union(*(self._ancestors[concept.id] for concept in concepts))
        for id_ in self._file.hypernyms:
            if id_ not in used:
                self._refuse(id_, "is not a hypernym of any concept; remove it")
        return concepts, tuple(node for id_, node in self._nodes.items() if id_ in used)

    def _ancestors_of(self, id_: str) -> frozenset[str]:
        """Return the ids of all hypernyms of an entry, including hypernyms of hypernyms."""

        def parents(node: str) -> list[str]:
            for parent in self._entries[node].parents:
                if parent not in self._entries:
                    self._refuse(node, f"has the unknown hypernym {parent!r}; add it")
            return self._entries[node].parents

        ancestors = frozenset(ancestors_with_depth(id_, parents))
        if id_ in ancestors:
            self._refuse(id_, "is its own hypernym; remove one of the hypernyms")
        return ancestors

    def _concept(self, id_: str, entry: _ConceptEntry) -> Concept:
        for lower, upper in pairwise(entry.hypernyms):
            if upper not in self._ancestors[lower]:
                self._refuse(id_, f"has a wrong chain: {upper!r} is not a hypernym of {lower!r}")
        if (entry.basic or entry.hypernyms) and entry.basic not in entry.hypernyms:
            self._refuse(
                id_,
                f"has the basic level {entry.basic!r}, not one of its hypernyms; correct `basic`",
            )
        node, lists, audioset = self._nodes[id_], entry.synonyms, entry.audioset
        return Concept(
            id=id_,
            phrase=entry.phrase,
            synset=entry.synset,
            lemma=entry.lemma or node.name,
            kind=entry.kind,
            hypernyms=tuple(self._nodes[hypernym] for hypernym in entry.hypernyms),
            basic=self._nodes[entry.basic] if entry.basic else None,
            ancestors=frozenset(self._nodes[ancestor] for ancestor in self._ancestors[id_]),
            synonyms=(
                *(Synonym(name, "wordnet") for name in lists.wordnet),
                *(Synonym(name, "curated") for name in lists.curated),
            ),
            audioset=AudioSetClass(audioset.id, audioset.name) if audioset else None,
        )

    def _refuse_repeated(self, what: str, pairs: Iterable[tuple[str, str]]) -> None:
        """Raise if two entries have the same value; `pairs` contains (value, entry id)."""
        owners: dict[str, str] = {}
        for value, id_ in pairs:
            if value in owners:
                self._refuse(id_, f"has the {what} {value!r}, which {owners[value]!r} already has")
            owners[value] = id_

    def _refuse(self, id_: str, reason: str) -> NoReturn:
        raise InvalidInputError(f"{self._name}: {id_!r} {reason}.")
