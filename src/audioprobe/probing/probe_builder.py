"""Build the questions, correct answers and sounds of a probe, before any model is asked."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from audioprobe.audio.files import open_sound
from audioprobe.audio.sources import Source, clips_of
from audioprobe.audio.windowing import Windowing, read_windows
from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.probing.clips import ClipsByConcept, clips_by_concept
from audioprobe.probing.pairs import RELATIONS, Negatives, Pairs, RelationKind, balanced_pairs
from audioprobe.probing.questions import (
    CONDITIONS,
    NOISE,
    SILENCE,
    Condition,
    ProbeQuestion,
    QuestionConfig,
    questions_of,
)
from audioprobe.probing.relations.concept_set import ConceptSet
from audioprobe.probing.wordings import FORMS
from audioprobe.types import Clip, Option, Waveform

PLAYED_S = 10.0
"""Seconds from the start of each clip that the model receives."""
_RATE = 16_000
_NOISE_RMS = 0.05  # of full scale: about as loud as a quiet recording
_NEED_CLIPS: tuple[Condition, ...] = tuple(
    c for c in CONDITIONS if c not in ("text", "spoken word")
)


@dataclass(frozen=True, slots=True)
class PreparedProbe:
    """The questions of a probe and the sounds that they use.

    Attributes:
        questions: all questions, in order.
        clips: clips by concept.
        unmatched: true pairs that are left out because they have no matched false pair, as
            (concept, target, negatives).
        concepts: the concepts that are asked about.
        sounds: functions that load a waveform, by `ProbeQuestion.audio`.
    """

    questions: tuple[ProbeQuestion, ...]
    clips: ClipsByConcept
    unmatched: tuple[tuple[str, str, str], ...]
    concepts: ConceptSet
    sounds: Mapping[str, Callable[[], Waveform]]

    def unused_clips(self) -> dict[str, str]:
        """Return the ids of clips without a question, each with the reason."""
        used = {question.clip for question in self.questions}
        concepts = {question.pair.concept for question in self.questions if question.clip}
        reasons = {
            clip: f"its labels name no concept, or several: {names}"
            for clip, names in self.clips.unassigned.items()
        }
        for concept, clips in self.clips.by_concept.items():
            reason = f"its concept, {concept}, has enough other clips"
            if concept not in concepts:
                reason = f"its concept, {concept}, has no questions about audio"
            reasons |= {clip.id: reason for clip in clips if clip.id not in used}
        return reasons

    def digest(self) -> str:
        """Return the SHA-256 of questions, answers, clip names and spoken words (hexadecimal)."""
        content = hashlib.sha256()
        for question in self.questions:
            row = (question.text, question.audio, question.clip, question.options, question.correct)
            content.update(repr(row).encode("utf-8", "surrogatepass"))
        spoken = {q.audio for q in self.questions if q.condition == "spoken word"}
        for name in sorted(spoken):
            content.update(self.sounds[name]().digest().encode())
        return content.hexdigest()


class ProbeBuilder:
    """Builder of balanced questions about concepts, under all conditions.

    Args:
        concepts: the concepts to ask about.
        config: how pairs become questions. If it has no conditions, "text" is used, if clips are
            given also all conditions that need clips, and if spoken words are given also "spoken
            word".
        negatives: strategies for drawing false pairs (see `balanced_pairs`); each strategy gives a
            separate balanced set.

    Raises:
        InvalidInputError: for an unknown condition or form.
    """

    def __init__(
        self,
        concepts: ConceptSet,
        config: QuestionConfig,
        negatives: Sequence[Negatives] = ("random",),
    ) -> None:
        _check_known("condition", config.conditions, CONDITIONS)
        _check_known("form", config.forms, FORMS)
        self._concepts = concepts
        self.config = config
        """How pairs become questions."""
        self._negatives = tuple(negatives)

    @property
    def options(self) -> dict[str, Option]:
        """Options that change the results, without those of the clips."""
        config = self.config
        return {
            "concepts": f"{self._concepts.name} {self._concepts.revision}",
            "wordings": f"{config.wordings.name} {config.wordings.version}",
            "negatives": self._negatives,
            "forms": config.forms,
            "n_clips": config.n_clips,
            "n_orders": config.n_orders,
        }

    def __call__(
        self,
        relations: RelationKind | Sequence[RelationKind] = "hypernym",
        clips: Source | Iterable[Source] | None = None,
        *,
        spoken: Mapping[str, Waveform] | None = None,
    ) -> PreparedProbe:
        """Build all questions; for arguments and errors see `ConceptProbe.__call__`."""
        kinds: list[RelationKind] = [relations] if isinstance(relations, str) else list(relations)
        _check_known("relation", kinds, RELATIONS)
        by_concept, concepts = ClipsByConcept({}, {}, ()), self._concepts
        if clips is not None:
            by_concept = _assign_clips(clips_of(clips), concepts)
            concepts = concepts.subset(by_concept.by_concept)
            kinds = list(dict.fromkeys(["identity", *kinds]))
        spoken_keys = {name: f"(spoken) {name}" for name in spoken or {}}
        conditions = self._conditions(clips is not None, bool(spoken))
        pairs = self._pairs(concepts, kinds, by_concept)
        questions = questions_of(
            pairs,
            concepts,
            {name: [c.id for c in group] for name, group in by_concept.by_concept.items()},
            spoken_keys,
            replace(self.config, conditions=conditions),
        )
        if not questions:
            raise InvalidInputError("The probe has no questions. Add concepts, clips or forms.")
        sounds: dict[str, Callable[[], Waveform]] = {
            SILENCE: _silence,
            NOISE: partial(_noise, self.config.seed),
        }
        sounds |= {spoken_keys[name]: partial(_same, w) for name, w in (spoken or {}).items()}
        for group in by_concept.by_concept.values():
            sounds |= {clip.id: partial(_first_window, clip) for clip in group}
        return PreparedProbe(tuple(questions), by_concept, pairs.unmatched, concepts, sounds)

    def _conditions(self, has_clips: bool, has_spoken: bool) -> tuple[Condition, ...]:
        if not self.config.conditions:
            with_clips = _NEED_CLIPS if has_clips else ()
            return "text", *with_clips, *(("spoken word",) if has_spoken else ())
        for condition in self.config.conditions:
            if condition in _NEED_CLIPS and not has_clips:
                raise InvalidInputError(
                    f"The condition {condition!r} needs clips, but none were given. Pass `clips`."
                )
            if condition == "spoken word" and not has_spoken:
                raise InvalidInputError(
                    f"The condition {condition!r} needs recorded words, but none were given. "
                    "Pass `spoken`."
                )
        return self.config.conditions

    def _pairs(
        self, concepts: ConceptSet, relations: Sequence[RelationKind], clips: ClipsByConcept
    ) -> Pairs:
        """Return the pairs of all relations and strategies of negatives; raise if all are empty."""
        popularity = {name: len(group) for name, group in clips.by_concept.items()}
        merged = Pairs((), ())
        for relation in relations:
            for negatives in self._negatives:
                drawn = balanced_pairs(
                    concepts,
                    relation,
                    negatives,
                    popularity=popularity,
                    seed=self.config.seed,
                    first_match=len(merged.pairs) // 2,
                )
                merged = Pairs(merged.pairs + drawn.pairs, merged.unmatched + drawn.unmatched)
        if not merged.pairs:
            raise InvalidInputError(
                f"{concepts.name}: none of {len(concepts.concepts)} concepts has a "
                f"{' or '.join(relations)} with a false pair to match (negatives: "
                f"{', '.join(self._negatives)}). Add concepts, or use the negatives 'random'."
            )
        return merged


def seconds_not_played(clip: Clip) -> float:
    """Return the seconds at the end of a clip that the model does not receive; 0 for short clips.

    Raises:
        AudioReadError: if the clip cannot be read.
    """
    if clip.waveform is not None:
        duration = clip.waveform.duration
    else:
        assert clip.path is not None  # noqa: S101 - a clip has a waveform or a path
        with open_sound(clip.path) as sound:
            duration = float(sound.frames / sound.samplerate)
    duration -= clip.start
    if clip.duration is not None:
        duration = min(duration, clip.duration)
    return max(0.0, round(duration - PLAYED_S, 3))


def _first_window(clip: Clip) -> Waveform:
    (window,) = read_windows(clip, Windowing(length="crop", seconds=PLAYED_S))
    return window.waveform


def _silence() -> Waveform:
    return Waveform(np.zeros(10 * _RATE, np.float32), _RATE)


def _noise(seed: int) -> Waveform:
    samples = np.random.default_rng(seed).normal(0, _NOISE_RMS, 10 * _RATE)
    return Waveform(samples.astype(np.float32), _RATE)


def _same(waveform: Waveform) -> Waveform:
    return waveform


def _assign_clips(clips: Sequence[Clip], concepts: ConceptSet) -> ClipsByConcept:
    assigned = clips_by_concept(clips, concepts)
    if not assigned.by_concept:
        first, names = next(iter(assigned.unassigned.items()))
        raise InvalidInputError(
            f"None of {len(assigned.unassigned)} clips belongs to a concept; the first clip, "
            f"{first!r}, has the names {names}. Label the clips with ids, phrases or synonyms of "
            "concepts, or name the files after concepts."
        )
    return assigned


def _check_known(what: str, given: Sequence[str], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            raise InvalidInputError(
                f"Expected a {what} ({', '.join(known)}), got {name!r}.{did_you_mean(name, known)}"
            )
