"""Questions of a probe and their sounds, before any model is asked."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from audioprobe.audio.windowing import Windowing
from audioprobe.probing.clips import ClipsByConcept
from audioprobe.probing.trial import ProbeQuestion
from audioprobe.types import Clip, Option, Waveform


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedProbe:
    """The questions of a probe and the sounds that they use, before any model is asked.

    Attributes:
        questions: all questions, in order.
        unmatched: true pairs that are left out because no false pair exists, as (concept, target,
            negatives).
        clips: the clips of each concept.
        sounds: functions that load a waveform, keyed by `ProbeQuestion.audio`; they may raise
            `AudioReadError`.
        caption_template: prompt for questions about a caption, with {caption} and {question}.
        options: options that change the questions, for the provenance of results.
        windowing: how clips are read.
        seed: seed of false pairs, wrong clips, option orders and noise.
    """

    questions: tuple[ProbeQuestion, ...]
    unmatched: tuple[tuple[str, str, str], ...]
    clips: ClipsByConcept
    sounds: Mapping[str, Callable[[], Waveform]]
    caption_template: str
    options: Mapping[str, Option]
    windowing: Windowing
    seed: int

    def used_clips(self) -> list[tuple[str, Clip]]:
        """Return (concept id, clip) for each clip that a question is about."""
        clips = {c.id: (name, c) for name, group in self.clips.by_concept.items() for c in group}
        return [clips[name] for name in dict.fromkeys(q.clip for q in self.questions if q.clip)]

    def unused_clips(self) -> dict[str, str]:
        """Return why no question is about a clip, keyed by clip id; used clips are absent."""
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
        """Return a SHA-256 hash (hexadecimal) of the questions, to detect changes.

        It includes the options, correct answers, clip ids and recordings of spoken words.
        """
        content = hashlib.sha256()
        for question in self.questions:
            row = (question.text, question.audio, question.clip, question.options, question.correct)
            content.update(repr(row).encode("utf-8", "surrogatepass"))
        spoken = {q.audio for q in self.questions if q.condition == "spoken word"}
        for name in sorted(spoken):
            content.update(self.sounds[name]().digest().encode())
        return content.hexdigest()
