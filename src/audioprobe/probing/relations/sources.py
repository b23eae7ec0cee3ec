"""Load concepts from a table of relations, the label hierarchy of a data set, or WordNet."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from audioprobe.concepts.concept import with_article, without_article
from audioprobe.concepts.wordnet import NounLexicon, WordNet
from audioprobe.errors import InvalidInputError
from audioprobe.graph import ancestors_with_depth
from audioprobe.io.tables import read_rows
from audioprobe.metrics.hierarchy import Hierarchy
from audioprobe.probing.relations.concept_set import ConceptSet, ProbeConcept, Target
from audioprobe.texts import fingerprint

HYPERNYM, SYNONYM = "hypernym", "synonym"
ABSTRACT = frozenset({
    "abstraction", "artifact", "causal agent", "entity", "instrumentality", "living thing",
    "matter", "object", "organism", "physical entity", "process", "psychological feature", "thing",
    "unit", "whole",
})  # fmt: skip
"""First words of WordNet's most general synsets, which probes do not ask about."""


def from_table(path: str | Path) -> ConceptSet:
    """Read concepts from a CSV, TSV, JSONL or Parquet file.

    The file has two columns with any names (a concept, and a class above it), or the columns
    "concept", "relation" and "target", where the relation is "hypernym" or "synonym". A class that
    has classes above it is a concept, too. The nearest hypernyms of a concept come first.

    Args:
        path: the file. It contains phrases with their articles ("a crow", "weather"), because the
            library cannot know which nouns have an article. Reports show phrases without article.

    Raises:
        InvalidInputError: if the file cannot be read or has other columns or relations, or if a
            concept is above itself.
    """
    triples = [_triple(row, row.place) for row in read_rows(path)]
    parents: dict[str, list[str]] = {concept: [] for concept, _, _ in triples}
    synonyms: dict[str, list[str]] = {}
    for concept, relation, target in triples:
        if relation == SYNONYM:
            synonyms.setdefault(concept, []).append(target)
        else:
            parents[concept].append(target)
    revision = fingerprint("\t".join(triple) for triple in triples)
    return ConceptSet(Path(path).name, revision, _concepts(parents, synonyms))


def from_hierarchy(
    name: str, hierarchy: Hierarchy, phrases: Mapping[str, str] | None = None
) -> ConceptSet:
    """Return the labels of a data set with a label hierarchy, such as EDANSA, as concepts.

    A clip of a concept may also have any label above the concept; see `clips_by_concept`.

    Args:
        name: name of the resulting `ConceptSet`.
        hierarchy: hierarchy of the labels.
        phrases: phrase for a label in a sentence, keyed by label. The default is the label with
            "a" or "an".

    Raises:
        InvalidInputError: if two labels have the same phrase.
    """
    phrase_of = {
        label: (phrases or {}).get(label, with_article(label)) for label in hierarchy.labels
    }
    repeated = sorted(phrase for phrase, n in Counter(phrase_of.values()).items() if n > 1)
    if repeated:
        raise InvalidInputError(
            f"{name}: expected one phrase per label, got {repeated[0]!r} for two labels."
        )
    parents: dict[str, list[str]] = {phrase: [] for phrase in phrase_of.values()}
    for label, parent in hierarchy.edges:
        parents[phrase_of[label]].append(phrase_of[parent])
    revision = fingerprint(f"{a}\t{b}" for a, above in parents.items() for b in above)
    concepts = zip(_concepts(parents, {}), phrase_of, strict=True)
    return ConceptSet(name, revision, tuple(replace(c, label=label) for c, label in concepts))


def _triple(row: Mapping[str, object], where: str) -> tuple[str, str, str]:
    """Return (concept, relation, target) of a row of a table; raise if the row is invalid."""
    if {"concept", "target"} <= set(row):
        values = (row["concept"], row.get("relation") or HYPERNYM, row["target"])
    elif len(row) == 2:
        concept, target = row.values()
        values = (concept, HYPERNYM, target)
    else:
        raise InvalidInputError(
            f"{where}: expected two columns, or the columns concept, relation and target; got the "
            f"columns {', '.join(row)}."
        )
    concept, relation, target = (str(value or "").strip() for value in values)
    if not concept or not target or relation not in (HYPERNYM, SYNONYM):
        raise InvalidInputError(
            f"{where}: expected a concept, the relation {HYPERNYM!r} or {SYNONYM!r}, and a target; "
            f"got {concept!r}, {relation!r} and {target!r}."
        )
    return concept, relation, target


def _concepts(
    parents: Mapping[str, Sequence[str]], synonyms: Mapping[str, Sequence[str]]
) -> tuple[ProbeConcept, ...]:
    concepts = []
    for phrase in parents:
        hypernyms = tuple(Target(_id(above), above) for above in _ancestors(phrase, parents))
        concepts.append(
            ProbeConcept(
                id=_id(phrase),
                phrase=phrase,
                synonyms=tuple(synonyms.get(phrase, ())),
                hypernyms=hypernyms,
                ancestors=frozenset(hypernym.id for hypernym in hypernyms),
            )
        )
    return tuple(concepts)


def _ancestors(concept: str, parents: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return all ancestors of a concept, the nearest first; raise if it is its own ancestor."""
    depths = ancestors_with_depth(concept, lambda node: parents.get(node, ()))
    if concept in depths:
        path = [concept]
        for depth in range(depths[concept] - 1, 0, -1):
            below = (node for node in depths if depths[node] == depth)
            path.append(next(node for node in below if path[-1] in parents[node]))
        cycle = " < ".join([concept, *path[::-1]])
        raise InvalidInputError(f"{concept} is its own hypernym: {cycle}. Remove one of the rows.")
    return tuple(depths)


def _id(phrase: str) -> str:
    return without_article(phrase).replace(" ", "-")


def from_wordnet(
    words: Sequence[str],
    lexicon: NounLexicon | None = None,
    *,
    phrases: Mapping[str, str] = MappingProxyType({}),
) -> ConceptSet:
    """Return nouns of WordNet as concepts, with their hypernyms.

    A noun with several senses needs the number of the sense ("grouse#2") or the id of its synset
    ("grouse#01795088"). A synset is WordNet's set of words with the same meaning.

    Args:
        words: nouns; two nouns of the same synset are one concept.
        lexicon: `audioprobe.concepts.WordNet` or
            `audioprobe.concepts.wordnet.WnLexicon`; None reads the installed WordNet.
        phrases: phrase for a synset in a sentence, keyed by its first word ("rain"). The
            default is the word with "a" or "an", because WordNet has no articles.

    Raises:
        InvalidInputError: for an unknown noun, or if the sense of a noun with several senses is
            missing or unknown (the message lists the senses).
    """
    nouns = WordNet() if lexicon is None else lexicon
    concepts: dict[str, ProbeConcept] = {}
    for word in words:
        synset_id = _synset_id(word, nouns)
        name = word.partition("#")[0]
        concepts.setdefault(synset_id, _probe_concept(name, synset_id, nouns, phrases))
    return ConceptSet(nouns.name, nouns.version, tuple(concepts.values()))


def _synset_id(word: str, nouns: NounLexicon) -> str:
    """Return the synset id of a noun such as "grouse#2" or "crow"."""
    name, _, pin = word.partition("#")
    senses = nouns.senses(name)
    if not senses:
        raise InvalidInputError(
            f"WordNet {nouns.version} has no noun {name!r}. Use another noun, or a table of "
            "concepts."
        )
    if not pin and len(senses) == 1:
        return senses[0]
    if pin in senses:
        return pin
    if pin.isdecimal() and 1 <= int(pin) <= len(senses) and len(pin) < len(senses[0]):
        return senses[int(pin) - 1]
    listing = "\n".join(
        f"  {name}#{number}  {synset_id}  {_gloss(synset_id, nouns)}"
        for number, synset_id in enumerate(senses, 1)
    )
    received = f"the unknown sense {pin!r}" if pin else "no sense"
    raise InvalidInputError(
        f"{name!r} has {len(senses)} senses, received {received}. Add the number of one sense:\n"
        f"{listing}"
    )


def _gloss(synset_id: str, nouns: NounLexicon) -> str:
    if synset_id not in nouns:
        return "(not in these files)"
    synset = nouns.synset(synset_id)
    return f"{', '.join(synset.words)}: {synset.gloss}"


def _probe_concept(
    name: str, synset_id: str, nouns: NounLexicon, phrases: Mapping[str, str]
) -> ProbeConcept:
    def phrase(word: str) -> str:
        return phrases.get(word, with_article(word))

    words = nouns.synset(synset_id).words
    first_words = {above: nouns.synset(above).words[0] for above in nouns.ancestors(synset_id)}
    return ProbeConcept(
        id=synset_id,
        phrase=phrase(name),
        synonyms=tuple(phrase(word) for word in words if word.lower() != name.lower()),
        hypernyms=tuple(
            Target(above, phrase(word))
            for above, word in first_words.items()
            if word not in ABSTRACT
        ),
        ancestors=frozenset(first_words),
    )
