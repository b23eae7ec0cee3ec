"""Components with known results: real implementations of the protocols, for tests."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from audioprobe.models.scripted import Scripted
from audioprobe.results import ClassificationResult
from audioprobe.types import (
    ComponentInfo,
    FloatArray,
    LogLikelihood,
    Prompt,
    Response,
    Waveform,
)


def sound(level: float = 0.1, seconds: float = 0.1, rate: int = 8000) -> Waveform:
    """Return a constant waveform; its level identifies it."""
    return Waveform(np.full(int(seconds * rate), level, np.float32), rate)


def _by_length(prompt: Prompt, continuation: str) -> LogLikelihood:
    n_tokens = max(1, len(continuation.split()))
    return LogLikelihood(-float(len(continuation) + len(prompt.text)), n_tokens)


class ScriptedModel(Scripted):
    """Repeats the question by default."""

    def __init__(
        self,
        answer: Callable[[Prompt], Response] = lambda prompt: Response(prompt.text),
        batch_size: int = 1,
        likelihood: Callable[[Prompt, str], LogLikelihood] = _by_length,
    ) -> None:
        super().__init__(answer, likelihood=likelihood, batch_size=batch_size)


class LevelTagger:
    """Three tags whose probabilities depend on the level of a constant sound."""

    labels = ("Corvus_Crow", "Rain", "Music, live")
    phrases = ("a crow", "rain", "music")

    @property
    def info(self) -> ComponentInfo:
        return ComponentInfo("encoder", "levels")

    def encode(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        for waveform in waveforms:
            yield np.array([[waveform.samples.mean(), waveform.duration]])

    def tag(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        for waveform in waveforms:
            level = float(np.clip(np.abs(waveform.samples).mean(), 0, 1))
            yield np.array([level, level / 2, 1 - level])


class CharacterEmbedder:
    """Vectors of letter counts."""

    @property
    def info(self) -> ComponentInfo:
        return ComponentInfo("embedder", "characters")

    def embed(self, texts: Sequence[str]) -> FloatArray:
        rows = [[1.0 + text.count(letter) for letter in "abcdeghiknorw"] for text in texts]
        return np.array(rows, dtype=np.float32).reshape(len(texts), 13)


class JointLevels:
    """Sounds and texts as directions in one plane, by level and by words."""

    ANGLES: Mapping[str, float] = {"crow": 0.0, "rain": 60.0, "dog": 90.0}

    def __init__(self, scale: float = 2.0, batch_size: int = 1) -> None:
        self.logit_scale = scale
        self._batch_size = batch_size
        self.texts: list[str] = []

    @property
    def info(self) -> ComponentInfo:
        return ComponentInfo("encoder", "joint levels")

    def embed_clip(self, waveform: Waveform) -> FloatArray:
        """Return a vector of length 3; a level of 0.1 is 10 degrees."""
        return 3 * _direction(100 * float(waveform.samples[0]))

    def embed_audio(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        queue = iter(waveforms)
        while batch := list(islice(queue, self._batch_size)):
            yield from [self.embed_clip(waveform) for waveform in batch]

    def embed_texts(self, texts: Sequence[str]) -> FloatArray:
        self.texts += texts
        rows = [0.5 * _direction(self._angle(text)) for text in texts]
        return np.array(rows).reshape(len(texts), 2)

    def _angle(self, text: str) -> float:
        known = [angle for word, angle in self.ANGLES.items() if word in text]
        return known[0] if known else float(len(text))


def _direction(degrees: float) -> FloatArray:
    return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])


def content(result: ClassificationResult) -> dict[str, Any]:
    """Return everything that a result stores, without its creation time."""
    stored: dict[str, Any] = json.loads(result.to_json())
    del stored["provenance"]["created"]
    return stored
