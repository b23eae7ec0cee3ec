"""Load concepts from WordNet: any noun, with the sense that is meant."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from audioprobe.concepts.concept import with_article
from audioprobe.concepts.wordnet import NounLexicon, WordNet
from audioprobe.errors import InvalidInputError
from audioprobe.probing.relations.concept_set import ConceptSet, ProbeConcept, Target

ABSTRACT = frozenset({
    "abstraction", "artifact", "causal agent", "entity", "instrumentality", "living thing",
    "matter", "object", "organism", "physical entity", "process", "psychological feature", "thing",
    "unit", "whole",
})  # fmt: skip
"""First words of the most general synsets; probes do not ask about these synsets."""


def from_wordnet(
    words: Sequence[str],
    lexicon: NounLexicon | None = None,
    *,
    phrases: Mapping[str, str] = MappingProxyType({}),
) -> ConceptSet:
    """Return nouns of WordNet as concepts, with their hypernyms.

    A word with several senses must name the sense: "grouse#2" is its second sense,
    "grouse#01795088" is the sense with this synset id.

    Args:
        words: nouns; two words of the same synset give one concept.
        lexicon: `audioprobe.concepts.WordNet` or
            `audioprobe.concepts.wordnet.WnLexicon`; None reads the installed WordNet.
        phrases: phrase of a synset in a sentence, by the first word of the synset ("rain"). The
            default is the word with "a" or "an", because WordNet does not have articles.

    Raises:
        InvalidInputError: for an unknown word, for a word with several senses that does not name
            one (the message lists the senses), or for a sense that the word does not have.
    """
    nouns = WordNet() if lexicon is None else lexicon
    concepts: dict[str, ProbeConcept] = {}
    for word in words:
        synset_id = _pinned(word, nouns)
        name = word.partition("#")[0]
        concepts.setdefault(synset_id, _probe_concept(name, synset_id, nouns, phrases))
    return ConceptSet(nouns.name, nouns.version, tuple(concepts.values()))


def _pinned(word: str, nouns: NounLexicon) -> str:
    name, _, pin = word.partition("#")
    senses = nouns.senses(name)
    if not senses:
        raise InvalidInputError(
            f"WordNet {nouns.version} has no noun {name!r}. Use another word, or a table of "
            "relations."
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
    what = f"{pin!r} is none of the senses" if pin else f"there are {len(senses)} senses"
    raise InvalidInputError(f"{name!r}: {what}. Add the number of the meant sense:\n{listing}")


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
