"""Does the model know what it hears? The same questions of the word and of the sound."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from audioprobe.audio.sources import Source, clips_of
from audioprobe.concepts import Concepts
from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probes.asking import Asker, Manners
from audioprobe.probes.clips import Sorted, sort_clips
from audioprobe.probes.outcome import Place, ProbeOutcome
from audioprobe.probes.pairs import (
    RELATIONS,
    ConceptPair,
    Negatives,
    Pairs,
    RelationKind,
    balanced_pairs,
)
from audioprobe.probes.prepared import RATE, Prepared, first_window, itself, noise
from audioprobe.probes.questions import (
    CONDITIONS,
    NOISE,
    SILENCE,
    Condition,
    Plan,
    questions_of,
)
from audioprobe.probes.relations.shipped import from_concepts
from audioprobe.probes.relations.subject import Subjects
from audioprobe.probes.streaming import Failed
from audioprobe.probes.wording import FORMS, Form, Wordings, read_wordings
from audioprobe.protocols import LanguageModel
from audioprobe.registry import load
from audioprobe.results.provenance import Provenance, now, versions
from audioprobe.runs.progress import Progress
from audioprobe.types import Clip, Option, Waveform

OF_SOUND: tuple[Condition, ...] = tuple(c for c in CONDITIONS if c not in ("text", "spoken word"))


class ConceptProbe:
    """Asks about classes and names of concepts, in words and in sound.

    Args:
        model: a language model, or the name of one as `audioprobe backends` lists it.
        concepts: what is asked about; None takes the concepts that ship.
        conditions: under which each question is asked; None takes "text", and with clips also those
            that need clips, and with spoken words those.
        forms: "yes-no", "negated", "choice".
        negatives: how wrong pairs are drawn; each way gives a balanced set of its own.
        manners: how the model is asked.
        n_clips: of each concept at most; 0 takes all.
        n_orders: orders of the options of a choice.
        bootstrap: how intervals are computed; concepts are resampled.
        seed: of wrong pairs, wrong clips, orders and noise.

    Raises:
        InvalidInputError: for an unknown condition or form, or a file of wordings that is none.

    Example:
        ```python
        from audioprobe import ConceptProbe, Recordings

        probe = ConceptProbe("ltu:mini", conditions=("text", "audio"))
        outcome = probe(pairs="hypernym", clips=Recordings().clips())
        print(outcome.modality_gap())
        ```
    """

    def __init__(
        self,
        model: LanguageModel | str,
        *,
        concepts: Subjects | Concepts | None = None,
        conditions: Sequence[Condition] | None = None,
        forms: Sequence[Form] = ("yes-no",),
        negatives: Sequence[Negatives] = ("random",),
        manners: Manners | None = None,
        n_clips: int = 2,
        n_orders: int = 1,
        bootstrap: Bootstrap | None = None,
        seed: int = 0,
    ) -> None:
        _known("condition", conditions or (), CONDITIONS)
        _known("form", forms, FORMS)
        self._model: LanguageModel = (
            load("language_model", model) if isinstance(model, str) else model
        )
        self._subjects = concepts if isinstance(concepts, Subjects) else from_concepts(concepts)
        self._conditions = None if conditions is None else tuple(conditions)
        self._negatives = tuple(negatives)
        self._manners = manners or Manners()
        self._plan = Plan(
            read_wordings(self._manners.wordings), (), tuple(forms), n_orders, n_clips, seed
        )
        self._bootstrap = bootstrap or Bootstrap()

    def __call__(
        self,
        pairs: RelationKind | Sequence[RelationKind] = "hypernym",
        clips: Source | Iterable[Source] | None = None,
        *,
        spoken: Mapping[str, Waveform] | None = None,
        familiar: Iterable[str] = (),
        progress: Progress = lambda *_: None,
    ) -> ProbeOutcome:
        """Ask everything.

        Args:
            pairs: what is asked for: "hypernym", "synonym" or both. With clips, the concept itself
                ("identity") is asked for as well, for that tells perception from reasoning.
            clips: labelled clips, a folder, or sound files named after what is heard; None asks in
                words alone. Only concepts with clips are asked about. Of a long one the first 10 s
                are played.
            spoken: recordings of the words themselves, by id of the concept.
            familiar: ids of concepts that the model learned from such sound.
            progress: told how far it is.

        Raises:
            InvalidInputError: if no clip is of a concept, nothing can be asked, a relation is
                unknown, or a condition needs clips or words that are not there.
            AudioProbeError: for what no single question is the cause of, such as missing weights.
        """
        asked = self.prepared(pairs, clips, spoken=spoken)
        around = self._plan.wordings.caption
        asker = Asker(self._model, asked.sounds, self._manners, around, progress)
        trials = asker(asked.questions)
        played = {c.id: (name, c) for name, own in asked.clips.by_concept.items() for c in own}
        used = dict.fromkeys(q.clip for q in asked.questions if q.clip)
        return ProbeOutcome(
            trials,
            {clip: _place(*played[clip]) for clip in used},
            {clip: text for clip, text in asker.captions.items() if not isinstance(text, Failed)},
            tuple(familiar),
            asked.unmatched,
            asked.clips.unsorted,
            asked.clips.silent,
            asker.n_calls,
            self._bootstrap,
            self._provenance(asked),
        )

    def prepared(
        self,
        pairs: RelationKind | Sequence[RelationKind] = "hypernym",
        clips: Source | Iterable[Source] | None = None,
        *,
        spoken: Mapping[str, Waveform] | None = None,
    ) -> Prepared:
        """Every question, before any is asked; arguments and errors as for a call."""
        relations: list[RelationKind] = [pairs] if isinstance(pairs, str) else list(pairs)
        _known("relation", relations, RELATIONS)
        found = Sorted({}, {}, ()) if clips is None else sort_clips(clips_of(clips), self._subjects)
        if clips is not None and not found.by_concept:
            raise InvalidInputError(
                f"None of {len(found.unsorted)} clips is of a concept; the first, "
                f"{next(iter(found.unsorted))!r}, names {next(iter(found.unsorted.values()))}. "
                "Label clips with ids, names or synonyms of concepts, or name their files so."
            )
        subjects = self._subjects.only(found.by_concept) if clips is not None else self._subjects
        conditions = self._under(clips is not None, bool(spoken))
        if clips is not None and "identity" not in relations:
            relations.insert(0, "identity")
        drawn = self._drawn(subjects, relations, found)
        words = {f"(spoken) {name}": wave for name, wave in (spoken or {}).items()}
        questions = questions_of(
            drawn,
            subjects,
            {name: [clip.id for clip in own] for name, own in found.by_concept.items()},
            {name: f"(spoken) {name}" for name in spoken or {}},
            replace(self._plan, conditions=conditions),
        )
        if not questions:
            raise InvalidInputError("Nothing is left to ask: give more concepts, clips or forms.")
        return Prepared(
            tuple(questions), found, drawn.unmatched, subjects, self._sounds(found, words)
        )

    def _under(self, with_clips: bool, with_words: bool) -> tuple[Condition, ...]:
        if self._conditions is None:
            return (
                "text",
                *(OF_SOUND if with_clips else ()),
                *(("spoken word",) if with_words else ()),
            )
        needy = [c for c in self._conditions if c in OF_SOUND and not with_clips]
        needy += [c for c in self._conditions if c == "spoken word" and not with_words]
        if needy:
            raise InvalidInputError(
                f"The condition {needy[0]!r} needs "
                f"{'recorded words' if needy[0] == 'spoken word' else 'clips'}: give some."
            )
        return self._conditions

    def _drawn(self, subjects: Subjects, relations: Sequence[RelationKind], found: Sorted) -> Pairs:
        """All sets of pairs, matches numbered through."""
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
                    seed=self._plan.seed,
                    first_match=len(pairs) // 2,
                )
                pairs += drawn.pairs
                unmatched += drawn.unmatched
        return Pairs(tuple(pairs), tuple(unmatched))

    def _sounds(
        self, found: Sorted, words: Mapping[str, Waveform]
    ) -> dict[str, Callable[[], Waveform]]:
        sounds: dict[str, Callable[[], Waveform]] = {
            SILENCE: lambda: Waveform(np.zeros(10 * RATE, np.float32), RATE),
            NOISE: partial(noise, self._plan.seed),
        }
        sounds |= {name: partial(itself, wave) for name, wave in words.items()}
        clips = [clip for own in found.by_concept.values() for clip in own]
        return sounds | {clip.id: partial(first_window, clip) for clip in clips}

    def _provenance(self, asked: Prepared) -> Provenance:
        wordings: Wordings = self._plan.wordings
        options: dict[str, Option] = {
            "concepts": f"{asked.subjects.name} {asked.subjects.revision}",
            "wordings": f"{wordings.name} {wordings.version}",
            "negatives": self._negatives,
            "forms": self._plan.forms,
            "n_clips": self._plan.n_clips,
            "n_orders": self._plan.n_orders,
            "answers": (self._manners.yes, self._manners.no, self._manners.option),
            "max_new_tokens": self._manners.max_new_tokens,
        }
        return Provenance(
            {"language_model": self._model.info},
            options,
            self._plan.seed,
            asked.digest(),
            versions(),
            now(),
        )


def _place(concept: str, clip: Clip) -> Place:
    path = "" if clip.path is None else str(clip.path.resolve())
    return Place(concept, path, clip.start, clip.duration)


def _known(what: str, given: Sequence[str], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            raise InvalidInputError(
                f"Expected a {what} of {', '.join(known)}, got {name!r}.{did_you_mean(name, known)}"
            )
