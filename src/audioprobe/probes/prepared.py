"""A probe before anything is asked: its questions, and the sounds that they play."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from audioprobe.audio.reading import Reading, read_windows
from audioprobe.probes.clips import Sorted
from audioprobe.probes.questions import Question
from audioprobe.probes.relations.subject import Subjects
from audioprobe.types import Clip, Waveform

RATE = 16_000
_NOISE_LEVEL = 0.05  # of full scale, root mean square: about as loud as a quiet recording


@dataclass(frozen=True, slots=True)
class Prepared:
    """What will be asked.

    Attributes:
        questions: in order.
        clips: sorted by concept.
        unmatched: as in `ProbeOutcome`.
        subjects: that are asked about.
        sounds: by the key that questions have, read when they are called.
    """

    questions: tuple[Question, ...]
    clips: Sorted
    unmatched: tuple[tuple[str, str, str], ...]
    subjects: Subjects
    sounds: Mapping[str, Callable[[], Waveform]]

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
    (window,) = read_windows(clip, Reading(length="crop"))
    return window.waveform


def noise(seed: int) -> Waveform:
    """Ten seconds of white noise."""
    samples = np.random.default_rng(seed).normal(0, _NOISE_LEVEL, 10 * RATE)
    return Waveform(samples.astype(np.float32), RATE)


def itself(waveform: Waveform) -> Waveform:
    """What is in memory already."""
    return waveform
