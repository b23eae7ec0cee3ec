"""What is asked of a model, before it is known which: questions, right answers and sounds."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from audioprobe.audio.sources import Source, clips_of
from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.probing.clips import ClipsByConcept, clips_by_concept
from audioprobe.probing.pairs import (
    RELATIONS,
    ConceptPair,
    Negatives,
    Pairs,
    RelationKind,
    balanced_pairs,
)
from audioprobe.probing.prepared import RATE, PreparedProbe, first_window, itself, noise
from audioprobe.probing.questions import (
    CONDITIONS,
    NOISE,
    SILENCE,
    Condition,
    QuestionConfig,
    questions_of,
)
from audioprobe.probing.relations.concept_set import ConceptSet
from audioprobe.probing.wordings import FORMS
from audioprobe.types import Clip, Option, Waveform

OF_SOUND: tuple[Condition, ...] = tuple(c for c in CONDITIONS if c not in ("text", "spoken word"))


class ProbeBuilder:
    """Balanced pairs of concepts, asked about in words and in sound.

    Args:
        subjects: what is asked about.
        plan: how pairs become questions; without conditions, under "text", and with clips also
            those that need clips, and with spoken words those.
        negatives: how wrong pairs are drawn; each way gives a balanced set of its own.

    Attributes:
        plan: as it was given.

    Raises:
        InvalidInputError: for an unknown condition or form.
    """

    def __init__(
        self,
        subjects: ConceptSet,
        plan: QuestionConfig,
        negatives: Sequence[Negatives] = ("random",),
    ) -> None:
        _known("condition", plan.conditions, CONDITIONS)
        _known("form", plan.forms, FORMS)
        self._subjects = subjects
        self.plan = plan
        self._negatives = tuple(negatives)

    @property
    def options(self) -> dict[str, Option]:
        """What a result depends on, besides the clips."""
        plan = self.plan
        return {
            "concepts": f"{self._subjects.name} {self._subjects.revision}",
            "wordings": f"{plan.wordings.name} {plan.wordings.version}",
            "negatives": self._negatives,
            "forms": plan.forms,
            "n_clips": plan.n_clips,
            "n_orders": plan.n_orders,
        }

    def __call__(
        self,
        pairs: RelationKind | Sequence[RelationKind] = "hypernym",
        clips: Source | Iterable[Source] | None = None,
        *,
        spoken: Mapping[str, Waveform] | None = None,
    ) -> PreparedProbe:
        """Every question; arguments and errors as for a call of `ConceptProbe`."""
        relations: list[RelationKind] = [pairs] if isinstance(pairs, str) else list(pairs)
        _known("relation", relations, RELATIONS)
        found, subjects = ClipsByConcept({}, {}, ()), self._subjects
        if clips is not None:
            found = _sorted(clips_of(clips), subjects)
            subjects = subjects.only(found.by_concept)
            relations = list(dict.fromkeys(["identity", *relations]))
        conditions = self._under(clips is not None, bool(spoken))
        drawn = self._drawn(subjects, relations, found)
        words = {f"(spoken) {name}": wave for name, wave in (spoken or {}).items()}
        questions = questions_of(
            drawn,
            subjects,
            {name: [clip.id for clip in own] for name, own in found.by_concept.items()},
            {name: f"(spoken) {name}" for name in spoken or {}},
            replace(self.plan, conditions=conditions),
        )
        if not questions:
            raise InvalidInputError("Nothing is left to ask: give more concepts, clips or forms.")
        return PreparedProbe(
            tuple(questions), found, drawn.unmatched, subjects, self._sounds(found, words)
        )

    def _under(self, with_clips: bool, with_words: bool) -> tuple[Condition, ...]:
        if not self.plan.conditions:
            return (
                "text",
                *(OF_SOUND if with_clips else ()),
                *(("spoken word",) if with_words else ()),
            )
        needy = [c for c in self.plan.conditions if c in OF_SOUND and not with_clips]
        needy += [c for c in self.plan.conditions if c == "spoken word" and not with_words]
        if needy:
            raise InvalidInputError(
                f"The condition {needy[0]!r} needs "
                f"{'recorded words' if needy[0] == 'spoken word' else 'clips'}: give some."
            )
        return self.plan.conditions

    def _drawn(
        self, subjects: ConceptSet, relations: Sequence[RelationKind], found: ClipsByConcept
    ) -> Pairs:
        """All sets of pairs, matches numbered through; a set may be empty, but not all."""
        popularity = {name: len(own) for name, own in found.by_concept.items()}
        pairs: list[ConceptPair] = []
        unmatched: list[tuple[str, str, str]] = []
        for relation in relations:
            for negatives in self._negatives:
                drawn = balanced_pairs(
                    subjects,
                    relation,
                    negatives,
                    popularity=popularity,
                    seed=self.plan.seed,
                    first_match=len(pairs) // 2,
                )
                pairs += drawn.pairs
                unmatched += drawn.unmatched
        if not pairs:
            raise InvalidInputError(
                f"{subjects.name}: none of {len(subjects.subjects)} concepts has a "
                f"{' or '.join(relations)} with a wrong one to match "
                f"({', '.join(self._negatives)}). Give more concepts, or draw at random."
            )
        return Pairs(tuple(pairs), tuple(unmatched))

    def _sounds(
        self, found: ClipsByConcept, words: Mapping[str, Waveform]
    ) -> dict[str, Callable[[], Waveform]]:
        sounds: dict[str, Callable[[], Waveform]] = {
            SILENCE: lambda: Waveform(np.zeros(10 * RATE, np.float32), RATE),
            NOISE: partial(noise, self.plan.seed),
        }
        sounds |= {name: partial(itself, wave) for name, wave in words.items()}
        clips = [clip for own in found.by_concept.values() for clip in own]
        return sounds | {clip.id: partial(first_window, clip) for clip in clips}


def _sorted(clips: Sequence[Clip], subjects: ConceptSet) -> ClipsByConcept:
    found = clips_by_concept(clips, subjects)
    if not found.by_concept:
        raise InvalidInputError(
            f"None of {len(found.unsorted)} clips is of a concept; the first, "
            f"{next(iter(found.unsorted))!r}, names {next(iter(found.unsorted.values()))}. "
            "Label clips with ids, names or synonyms of concepts, or name their files so."
        )
    return found


def _known(what: str, given: Sequence[str], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            raise InvalidInputError(
                f"Expected a {what} of {', '.join(known)}, got {name!r}.{did_you_mean(name, known)}"
            )
