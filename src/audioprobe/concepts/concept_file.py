"""From a concept file to concepts; every rule of the format is checked here.

`README.md` beside the shipped file describes the format.
"""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

from audioprobe.concepts.concept import AudioSetClass, Concept, Hypernym, Synonym
from audioprobe.errors import InvalidInputError

ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
SYNSET = re.compile(r"[0-9]{8}")
# AudioSet's own: ids of Freebase (/m/, /g/), and made for it (/t/).
AUDIOSET_ID = re.compile(r"/[mgt]/\w+")
RUNG_KEYS = {"phrase": True, "synset": True, "above": False}
CONCEPT_KEYS = {
    "phrase": True,
    "synset": True,
    "kind": True,
    "lemma": False,
    "hypernyms": False,
    "basic": False,
    "also": False,
    "synonyms": False,
    "audioset": False,
}


def read(path: Path) -> tuple[tuple[Concept, ...], tuple[Hypernym, ...], str]:
    """Concepts, rungs and the revision of a concept file.

    Raises:
        InvalidInputError: if the file cannot be read or breaks a rule of the format.
    """
    try:
        content = path.read_bytes()
        tables = tomllib.loads(content.decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidInputError(f"Cannot read {path} as a concept file: {error}") from error
    concepts, rungs = _File(path.name, tables).read()
    return concepts, rungs, hashlib.sha256(content).hexdigest()[:16]


class _File:
    """The tables of one file, and what every error says about it."""

    def __init__(self, name: str, tables: dict[str, Any]) -> None:
        self._name = name
        self._keys(tables, {"rungs": False, "concepts": True}, "the file")
        self._rungs = self._entries(tables.get("rungs", {}), RUNG_KEYS, "rungs")
        self._concepts = self._entries(tables["concepts"], CONCEPT_KEYS, "concepts")
        if not self._concepts:
            raise InvalidInputError(f"{name}: at least one concept is needed, got none.")
        self._nodes: dict[str, Hypernym] = {}
        self._above: dict[str, frozenset[str]] = {}

    def read(self) -> tuple[tuple[Concept, ...], tuple[Hypernym, ...]]:
        for id_, table in [*self._rungs.items(), *self._concepts.items()]:
            if id_ in self._nodes:
                self._refuse(id_, "is both a rung and a concept; a concept can be used as a rung")
            self._nodes[id_] = self._node(id_, table)
        for id_ in self._nodes:
            self._closure(id_, ())
        concepts = tuple(self._concept(id_, table) for id_, table in self._concepts.items())
        self._unique("synset", [(node.synset, id_) for id_, node in self._nodes.items()])
        rungs = [(self._nodes[id_].name.casefold(), id_) for id_ in self._rungs]
        names = [(name.casefold(), c.id) for c in concepts for name in c.names]
        self._unique("name", [*rungs, *names])
        used = frozenset().union(*(self._above[concept.id] for concept in concepts))
        for id_ in self._rungs:
            if id_ not in used:
                self._refuse(id_, "is a rung that lies above no concept")
        return concepts, tuple(node for id_, node in self._nodes.items() if id_ in used)

    def _node(self, id_: str, table: dict[str, Any]) -> Hypernym:
        if not ID.fullmatch(id_):
            self._refuse(id_, "needs an id of lower-case letters, digits and single hyphens")
        synset = self._text(id_, table, "synset")
        if not SYNSET.fullmatch(synset):
            self._refuse(id_, f"needs a synset of eight digits, got {synset!r}")
        return Hypernym(id_, self._text(id_, table, "phrase"), synset)

    def _closure(self, id_: str, below: tuple[str, ...]) -> frozenset[str]:
        """Ids of everything above a node."""
        if id_ in below:
            self._refuse(id_, f"lies above itself: {' < '.join([*below, id_])}")
        if id_ not in self._above:
            found: set[str] = set()
            for above in self._direct(id_):
                found |= {above} | self._closure(above, (*below, id_))
            self._above[id_] = frozenset(found)
        return self._above[id_]

    def _direct(self, id_: str) -> tuple[str, ...]:
        if id_ in self._rungs:
            return self._ids(id_, self._rungs[id_], "above")
        table = self._concepts[id_]
        return self._ids(id_, table, "hypernyms") + self._ids(id_, table, "also")

    def _ids(self, id_: str, table: dict[str, Any], key: str) -> tuple[str, ...]:
        ids = self._texts(id_, table, key)
        for other in ids:
            if other not in self._nodes:
                self._refuse(id_, f"has {other!r} in {key}, which is neither a rung nor a concept")
        return ids

    def _concept(self, id_: str, table: dict[str, Any]) -> Concept:
        node = self._nodes[id_]
        hypernyms = self._hypernyms(id_, table)
        return Concept(
            id=id_,
            phrase=node.phrase,
            synset=node.synset,
            lemma=self._text(id_, {"lemma": node.name, **table}, "lemma"),
            kind=self._text(id_, table, "kind"),
            hypernyms=hypernyms,
            basic=self._basic(id_, table, hypernyms),
            ancestors=frozenset(self._nodes[above] for above in self._above[id_]),
            synonyms=self._synonyms(id_, table),
            audioset=self._audioset(id_, table),
        )

    def _hypernyms(self, id_: str, table: dict[str, Any]) -> tuple[Hypernym, ...]:
        ids = self._ids(id_, table, "hypernyms")
        for lower, upper in pairwise(ids):
            if upper not in self._above[lower]:
                self._refuse(
                    id_,
                    f"has a hypernyms that does not go upwards: {upper!r} is not above {lower!r}",
                )
        return tuple(self._nodes[rung] for rung in ids)

    def _basic(
        self, id_: str, table: dict[str, Any], hypernyms: tuple[Hypernym, ...]
    ) -> Hypernym | None:
        if not hypernyms and "basic" not in table:
            return None
        basic = self._text(id_, table, "basic")
        if basic not in (rung.id for rung in hypernyms):
            self._refuse(id_, f"has the basic level {basic!r}, which is not on its hypernyms")
        return self._nodes[basic]

    def _synonyms(self, id_: str, table: dict[str, Any]) -> tuple[Synonym, ...]:
        lists = table.get("synonyms", {})
        self._keys(lists, {"wordnet": False, "curated": False}, f"synonyms of {id_!r}")
        known = [Synonym(name, "wordnet") for name in self._texts(id_, lists, "wordnet")]
        return (*known, *(Synonym(name, "curated") for name in self._texts(id_, lists, "curated")))

    def _audioset(self, id_: str, table: dict[str, Any]) -> AudioSetClass | None:
        if "audioset" not in table:
            return None
        self._keys(table["audioset"], {"id": True, "name": True}, f"audioset of {id_!r}")
        mid = self._text(id_, table["audioset"], "id")
        if not AUDIOSET_ID.fullmatch(mid):
            self._refuse(id_, f"needs an AudioSet id such as '/m/04s8yn', got {mid!r}")
        return AudioSetClass(mid, self._text(id_, table["audioset"], "name"))

    def _entries(self, tables: object, keys: Mapping[str, bool], where: str) -> dict[str, Any]:
        if not isinstance(tables, dict):
            raise InvalidInputError(f"{self._name}: {where!r} must be a table, got {tables!r:.60}.")
        for id_, table in tables.items():
            self._keys(table, keys, repr(id_))
        return tables

    def _keys(self, table: object, keys: Mapping[str, bool], where: str) -> None:
        if not isinstance(table, dict):
            raise InvalidInputError(f"{self._name}: {where} must be a table, got {table!r:.60}.")
        missing = [key for key, needed in keys.items() if needed and key not in table]
        unknown = [key for key in table if key not in keys]
        if missing or unknown:
            raise InvalidInputError(
                f"{self._name}: {where} has unknown keys {unknown} and lacks {missing}; "
                f"known are {list(keys)}."
            )

    def _text(self, id_: str, table: dict[str, Any], key: str) -> str:
        value = table.get(key)
        if not isinstance(value, str) or not value or value != " ".join(value.split()):
            self._refuse(id_, f"needs a text without stray spaces as {key}, got {value!r:.60}")
        return value

    def _texts(self, id_: str, table: dict[str, Any], key: str) -> tuple[str, ...]:
        values = table.get(key, [])
        if not isinstance(values, list):
            self._refuse(id_, f"needs a list of texts as {key}, got {values!r:.60}")
        texts = tuple(self._text(id_, {key: value}, key) for value in values)
        if len(set(texts)) != len(texts):
            self._refuse(id_, f"has something twice in {key}: {values}")
        return texts

    def _unique(self, what: str, pairs: list[tuple[str, str]]) -> None:
        owners: dict[str, str] = {}
        for value, id_ in pairs:
            if value in owners:
                self._refuse(id_, f"has the {what} {value!r}, which {owners[value]!r} has already")
            owners[value] = id_

    def _refuse(self, id_: str, why: str) -> NoReturn:
        raise InvalidInputError(f"{self._name}: {id_!r} {why}.")
