"""What flows through the library: frozen dataclasses, validated where they are made.

Units and shapes are stated once, here: samples are float32, nominally in [-1, 1] (louder is
allowed), times are seconds, rates are hertz, log-likelihoods are nats.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from audioprobe.errors import InvalidInputError
from audioprobe.normalization import nfc
from audioprobe.responses import Decoding, LogLikelihood, Option, Response

__all__ = [
    "BoolArray",
    "Clip",
    "ComponentInfo",
    "Decoding",
    "Estimate",
    "Example",
    "Float64Array",
    "FloatArray",
    "LogLikelihood",
    "Option",
    "Prompt",
    "Response",
    "Waveform",
]

Float64Array: TypeAlias = npt.NDArray[np.float64]
FloatArray: TypeAlias = npt.NDArray[np.floating[Any]]
BoolArray: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ComponentInfo:
    """Which component took part, precisely enough to build it again.

    Attributes:
        kind: the protocol it meets, for example "encoder".
        name: model or method, for example "BirdNET".
        revision: what pins its weights or service version (a hash, a commit, a date).
        options: every option that can change an answer; batch size and device do not.
        parts: components inside this one, by role.
    """

    kind: str
    name: str
    revision: str = ""
    options: Mapping[str, Option] = field(default_factory=dict)
    parts: Mapping[str, "ComponentInfo"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Waveform:
    """One channel of sound.

    Attributes:
        samples: float32, shape (n_samples,), at least one sample, all finite.
        sample_rate: Hz.

    Raises:
        InvalidInputError: if the samples are not such an array, or the rate is not positive.
    """

    samples: npt.NDArray[np.float32]
    sample_rate: int

    def __post_init__(self) -> None:
        samples = np.asarray(self.samples)
        if samples.ndim != 1:
            raise InvalidInputError(
                f"A waveform needs samples of shape (n_samples,), got shape {samples.shape}. "
                "Mix or pick a channel first."
            )
        if not samples.size:
            raise InvalidInputError("A waveform needs at least one sample, got none.")
        if samples.dtype.kind != "f":
            raise InvalidInputError(
                f"A waveform needs float samples, nominally in [-1, 1], got {samples.dtype}. "
                "Divide integers by their full scale (32768 for 16 bit) first."
            )
        with np.errstate(over="ignore"):  # what float32 cannot hold is found just below
            samples = np.ascontiguousarray(samples, dtype=np.float32)
        finite = np.isfinite(samples)
        if not finite.all():
            n_bad = samples.size - int(np.count_nonzero(finite))
            raise InvalidInputError(
                f"A waveform needs finite samples, but {n_bad} of {samples.size} are NaN or "
                "infinite. Repair or leave out the recording."
            )
        if self.sample_rate <= 0:
            raise InvalidInputError(f"sample_rate must be positive (Hz), got {self.sample_rate}.")
        # A view that cannot be written to: what was checked stays as it is.
        frozen = samples.view()
        frozen.setflags(write=False)
        object.__setattr__(self, "samples", frozen)

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.samples.size / self.sample_rate

    def digest(self) -> str:
        """SHA-256 of rate and samples (hexadecimal): equal sound, equal digest."""
        content = hashlib.sha256(f"{self.sample_rate}\n".encode())
        content.update(self.samples.tobytes())
        return content.hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Clip:
    """One item of a data set: where its sound is, and what is known about it.

    Id, labels and group are kept in Unicode NFC, each label once.

    Attributes:
        id: unique within a data set; results refer to it.
        path: the sound file; None where `waveform` holds the sound.
        labels: what annotators heard; None where nobody said, () where they heard nothing.
        start: where the clip begins in its file, in seconds.
        duration: its length in seconds; None means to the end of the file.
        group: what clips share that must not be split (site, recorder, source recording).
        waveform: sound that is in memory already.

    Raises:
        InvalidInputError: unless exactly one of `path` and `waveform` is given.
    """

    id: str
    path: Path | None = None
    labels: tuple[str, ...] | None = None
    start: float = 0.0
    duration: float | None = None
    group: str | None = None
    waveform: Waveform | None = None

    def __post_init__(self) -> None:
        if not self.id:
            raise InvalidInputError("A clip needs an id, got an empty one.")
        if (self.path is None) == (self.waveform is None):
            raise InvalidInputError(f"Clip {self.id!r} needs either a path or a waveform.")
        object.__setattr__(self, "id", nfc(self.id))
        if self.labels is not None:
            object.__setattr__(self, "labels", _labels(self.id, self.labels))
        if self.group is not None:
            object.__setattr__(self, "group", nfc(self.group))
        length = 1.0 if self.duration is None else self.duration
        if (
            not (math.isfinite(self.start) and math.isfinite(length))
            or self.start < 0
            or length <= 0
        ):
            raise InvalidInputError(
                f"Clip {self.id!r} needs start >= 0 and duration > 0 seconds, "
                f"got start={self.start}, duration={self.duration}."
            )


def _labels(clip_id: str, labels: Sequence[str]) -> tuple[str, ...]:
    if isinstance(labels, str) or not all(isinstance(label, str) for label in labels):
        raise InvalidInputError(
            f"Clip {clip_id!r}: labels must be a tuple of texts, got {labels!r:.60}."
        )
    return tuple(dict.fromkeys(map(nfc, labels)))


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """An in-context demonstration: a sound or none, the question, the answer."""

    question: str
    answer: str
    audio: Waveform | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """One question to a language model, with or without sound.

    Attributes:
        text: the question or instruction.
        audio: the sound it is about; None asks in text alone.
        examples: in-context demonstrations, in order.
    """

    text: str
    audio: Waveform | None = None
    examples: tuple[Example, ...] = ()

    def digest(self) -> str:
        """SHA-256 of texts and sounds (hexadecimal): equal prompts, equal digest."""
        turns = [(e.question, e.answer, e.audio) for e in self.examples]
        content = hashlib.sha256()
        for question, answer, audio in [*turns, (self.text, "", self.audio)]:
            parts = (question, answer, audio.digest() if audio else "")
            # Each behind its length, so that no two prompts read the same.
            for part in (text.encode("utf-8", "surrogatepass") for text in parts):
                content.update(b"%d\n%b" % (len(part), part))
        return content.hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A number with what is needed to judge it; an undefined number is None, never 0.

    Attributes:
        value: the number, or None where it is undefined.
        n: how many items (clips, or labels for a mean over labels) it rests on.
        n_undefined: how many items were left out because they have no value.
        low: lower end of the interval, or None where none was computed.
        high: upper end of the interval.
        method: how value and interval were computed.
        n_groups: how many groups the interval rests on; None where there is no interval.
        unit: what these groups are: "groups", "clips", "concepts".
    """

    value: float | None
    n: int
    n_undefined: int = 0
    low: float | None = None
    high: float | None = None
    method: str = ""
    n_groups: int | None = None
    unit: str = "groups"

    def __str__(self) -> str:
        if self.value is None:
            return "undefined"
        interval = ""
        if self.low is not None and self.high is not None:
            interval = f" [{_shown(self.low)}, {_shown(self.high)}]"
        notes = [f"{self.n_groups} {self.unit}"] if interval and self.n_groups else []
        notes += [f"{self.n_undefined} undefined"] if self.n_undefined else []
        in_brackets = f" ({', '.join(notes)})" if notes else ""
        return f"{_shown(self.value)}{interval}{in_brackets}"


def _shown(value: float) -> str:
    """Three decimals; rounded to 12 first, for the order of a sum decides about digits below."""
    return f"{round(value, 12):z.3f}"
