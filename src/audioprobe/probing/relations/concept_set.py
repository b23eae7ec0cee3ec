"""A concept as a probe asks about it, wherever it comes from."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from audioprobe.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked for: "a bird", of a grouse.

    Attributes:
        id: unique among the subjects and targets of a source.
        phrase: as it is said, with its article: "a bird", "weather".
    """

    id: str
    phrase: str


@dataclass(frozen=True, slots=True)
class ProbeConcept:
    """A concept with what is true of it.

    Attributes:
        id: unique in its source.
        phrase: as it reads after "the sound of", with its article: "a grouse".
        kind: the family that it belongs to: "animal"; what is no member of any class of another
            kind can be asked for there as a wrong answer.
        synonyms: other names, with their articles; may be empty.
        hypernyms: classes above it that are asked for, the nearest first; may be empty.
        above: ids of everything that lies above it; the hypernyms are among them.
        basic: id of the hypernym at which people sort such things; "" if unknown.
        label: what AudioSet or another data set calls it ("Pigeon, dove"), for clips that are
            labelled so; "" where that is no more than its names.
        also: what else a data set labels its clips with: the sounds that it makes ("Bark" of a
            dog), and groups that it is in.

    Raises:
        InvalidInputError: if a rung of the hypernyms is not among `above`, or stands there twice.
    """

    id: str
    phrase: str
    kind: str = ""
    synonyms: tuple[str, ...] = ()
    hypernyms: tuple[Target, ...] = ()
    above: frozenset[str] = frozenset()
    basic: str = ""
    label: str = ""
    also: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        rungs = [rung.id for rung in self.hypernyms]
        if len(set(rungs)) < len(rungs) or not self.above.issuperset(rungs) or self.id in rungs:
            raise InvalidInputError(
                f"{self.id}: its hypernyms must be distinct, and each must be above it; got "
                f"{', '.join(rungs)} of {', '.join(sorted(self.above))}."
            )


@dataclass(frozen=True, slots=True)
class ConceptSet:
    """The concepts of one source.

    Attributes:
        name: of the source: "shipped", "wordnet", "ontology", the name of a file.
        revision: what pins it: a hash, a version.
        subjects: of different ids, in the order of the source.
        sorted_well: kinds in which "not above" means "is not"; elsewhere a class may lack members
            that people would grant it, so wrong answers come from other kinds. None trusts all.

    Raises:
        InvalidInputError: if two have the same id.
    """

    name: str
    revision: str
    subjects: tuple[ProbeConcept, ...]
    sorted_well: frozenset[str] | None = None

    def __post_init__(self) -> None:
        names = [subject.id for subject in self.subjects]
        twice = sorted(name for name, n in Counter(names).items() if n > 1)
        if twice:
            raise InvalidInputError(f"{self.name}: two concepts have the id {twice[0]!r}.")

    def only(self, chosen: Iterable[str]) -> "ConceptSet":
        """Those with the given ids, in their order.

        Raises:
            InvalidInputError: if one is not there.
        """
        by_id = {subject.id: subject for subject in self.subjects}
        wanted = list(dict.fromkeys(chosen))
        unknown = [name for name in wanted if name not in by_id]
        if unknown:
            raise InvalidInputError(f"{self.name} has no concept {unknown[0]!r}.")
        return replace(self, subjects=tuple(by_id[name] for name in wanted))
