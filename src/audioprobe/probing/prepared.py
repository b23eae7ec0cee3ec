"""A probe before anything is asked: its questions, and the sounds that they play."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audioprobe.audio.files import open_sound
from audioprobe.audio.windowing import Windowing, read_windows
from audioprobe.probing.clips import ClipsByConcept
from audioprobe.probing.questions import ProbeQuestion
from audioprobe.probing.relations.concept_set import ConceptSet
from audioprobe.types import Clip, Waveform

RATE = 16_000
PLAYED_S = 10.0
"""Of each clip, from its beginning."""
_NOISE_LEVEL = 0.05  # of full scale, root mean square: about as loud as a quiet recording


@dataclass(frozen=True, slots=True)
class PreparedProbe:
    """What will be asked.

    Attributes:
        questions: in order.
        clips: sorted by concept.
        unmatched: as in `ProbeOutcome`.
        subjects: that are asked about.
        sounds: by the key that questions have, read when they are called.
    """

    questions: tuple[ProbeQuestion, ...]
    clips: ClipsByConcept
    unmatched: tuple[tuple[str, str, str], ...]
    subjects: ConceptSet
    sounds: Mapping[str, Callable[[], Waveform]]

    def unasked(self) -> dict[str, str]:
        """Clips that no question is about, by id, with the reason."""
        asked = {question.clip for question in self.questions}
        concepts = {question.pair.concept for question in self.questions if question.clip}
        found = {
            clip: f"names no concept, or several: {n}" for clip, n in self.clips.unsorted.items()
        }
        for concept, own in self.clips.by_concept.items():
            why = f"its concept, {concept}, has enough other clips"
            if concept not in concepts:
                why = f"its concept, {concept}, is not asked about in sound"
            found |= {clip.id: why for clip in own if clip.id not in asked}
        return found

    def digest(self) -> str:
        """SHA-256 over questions, right answers, names of clips and spoken words (hexadecimal)."""
        content = hashlib.sha256()
        for question in self.questions:
            row = (question.text, question.sound, question.clip, question.options, question.right)
            content.update(repr(row).encode("utf-8", "surrogatepass"))
        spoken = {q.sound for q in self.questions if q.condition == "spoken word"}
        for name in sorted(spoken):
            content.update(self.sounds[name]().digest().encode())
        return content.hexdigest()


def first_window(clip: Clip) -> Waveform:
    """The first 10 s of a clip; raises `AudioReadError` where it cannot be read."""
    (window,) = read_windows(clip, Windowing(length="crop", seconds=PLAYED_S))
    return window.waveform


def seconds_unplayed(clip: Clip) -> float:
    """How much of a clip lies behind what is played of it, in seconds; 0 where nothing does.

    Raises:
        AudioReadError: if the clip cannot be read.
    """
    lasts = _file_seconds(clip.path) if clip.waveform is None else clip.waveform.duration
    lasts -= clip.start
    if clip.duration is not None:
        lasts = min(lasts, clip.duration)
    return max(0.0, round(lasts - PLAYED_S, 3))


def _file_seconds(path: Path | None) -> float:
    assert path is not None  # noqa: S101 - a clip has a waveform or a path
    with open_sound(path) as sound:
        return float(sound.frames / sound.samplerate)


def noise(seed: int) -> Waveform:
    """Ten seconds of white noise."""
    samples = np.random.default_rng(seed).normal(0, _NOISE_LEVEL, 10 * RATE)
    return Waveform(samples.astype(np.float32), RATE)


def itself(waveform: Waveform) -> Waveform:
    """What is in memory already."""
    return waveform
