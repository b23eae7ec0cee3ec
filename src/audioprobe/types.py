"""The data of the library: frozen dataclasses that are validated when they are created.

Units and shapes are defined here: samples are float32, nominally in [-1, 1] (larger values are
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
    """Identity of a component, precise enough to construct it again.

    Attributes:
        kind: the protocol that it implements, for example "encoder".
        name: model or method, for example "BirdNET".
        revision: identifies its weights or the version of a service (a hash, a commit, a date).
        options: every option that can change a result; not batch size and device.
        parts: components inside this one, by role.
    """

    kind: str
    name: str
    revision: str = ""
    options: Mapping[str, Option] = field(default_factory=dict)
    parts: Mapping[str, "ComponentInfo"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Waveform:
    """One channel of audio.

    Attributes:
        samples: float32, shape (n_samples,), at least one sample, all finite; read-only.
        sample_rate: Hz.

    Raises:
        InvalidInputError: for other samples, or a rate that is not positive.
    """

    samples: npt.NDArray[np.float32]
    sample_rate: int

    def __post_init__(self) -> None:
        samples = np.asarray(self.samples)
        if samples.ndim != 1:
            raise InvalidInputError(
                f"A waveform needs samples of shape (n_samples,), got shape {samples.shape}. "
                "Mix or select a channel first."
            )
        if not samples.size:
            raise InvalidInputError("A waveform needs at least one sample, got none.")
        if samples.dtype.kind != "f":
            raise InvalidInputError(
                f"A waveform needs float samples, nominally in [-1, 1], got {samples.dtype}. "
                "Divide integers by their full scale (32768 for 16 bit) first."
            )
        with np.errstate(over="ignore"):  # an overflow of float32 is found below
            samples = np.ascontiguousarray(samples, dtype=np.float32)
        n_invalid = samples.size - int(np.count_nonzero(np.isfinite(samples)))
        if n_invalid:
            raise InvalidInputError(
                f"A waveform needs finite samples, but {n_invalid} of {samples.size} are NaN or "
                "infinite. Repair or remove the recording."
            )
        if self.sample_rate <= 0:
            raise InvalidInputError(f"sample_rate must be positive (Hz), got {self.sample_rate}.")
        read_only = samples.view()
        read_only.setflags(write=False)
        object.__setattr__(self, "samples", read_only)

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.samples.size / self.sample_rate

    def digest(self) -> str:
        """Return the SHA-256 of rate and samples (hexadecimal)."""
        content = hashlib.sha256(f"{self.sample_rate}\n".encode())
        content.update(self.samples.tobytes())
        return content.hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Clip:
    """One item of a data set: its audio and its annotations.

    Id, labels and group are stored in Unicode NFC, each label once.

    Attributes:
        id: unique within a data set; results refer to it.
        path: the audio file; None if `waveform` holds the audio.
        labels: the annotated labels; None if the clip was not annotated, () if it has no label.
        start: start of the clip in its file, in seconds.
        duration: length in seconds; None means to the end of the file.
        group: what clips share that must not be split (site, recorder, source recording).
        waveform: audio that is already in memory.

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
            object.__setattr__(self, "labels", _checked_labels(self.id, self.labels))
        if self.group is not None:
            object.__setattr__(self, "group", nfc(self.group))
        duration = 1.0 if self.duration is None else self.duration
        is_finite = math.isfinite(self.start) and math.isfinite(duration)
        if not is_finite or self.start < 0 or duration <= 0:
            raise InvalidInputError(
                f"Clip {self.id!r} needs start >= 0 and duration > 0 seconds, "
                f"got start={self.start}, duration={self.duration}."
            )


def _checked_labels(clip_id: str, labels: Sequence[str]) -> tuple[str, ...]:
    if isinstance(labels, str) or not all(isinstance(label, str) for label in labels):
        raise InvalidInputError(
            f"Clip {clip_id!r}: labels must be a tuple of texts, got {labels!r:.60}."
        )
    return tuple(dict.fromkeys(map(nfc, labels)))


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """An in-context demonstration: question, answer, and optionally the audio."""

    question: str
    answer: str
    audio: Waveform | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """A question to a language model.

    Attributes:
        text: the question or instruction.
        audio: the audio that it is about; None is the text condition.
        examples: in-context demonstrations, in order.
    """

    text: str
    audio: Waveform | None = None
    examples: tuple[Example, ...] = ()

    def digest(self) -> str:
        """Return the SHA-256 of texts and audio (hexadecimal)."""
        turns = [(e.question, e.answer, e.audio) for e in self.examples]
        content = hashlib.sha256()
        for question, answer, audio in [*turns, (self.text, "", self.audio)]:
            for text in (question, answer, audio.digest() if audio else ""):
                part = text.encode("utf-8", "surrogatepass")
                # With its length, so that different prompts never give the same bytes.
                content.update(b"%d\n%b" % (len(part), part))
        return content.hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A number with its uncertainty and counts; an undefined number is None, never 0.

    Attributes:
        value: the number, or None if it is undefined.
        n: number of items (clips, or labels for a mean over labels).
        n_undefined: number of items left out because they have no value.
        low: lower end of the interval, or None without an interval.
        high: upper end of the interval.
        method: how value and interval were computed.
        n_groups: number of groups that the interval is computed from; None without an interval.
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
            interval = f" [{_three_decimals(self.low)}, {_three_decimals(self.high)}]"
        notes = [f"{self.n_groups} {self.unit}"] if interval and self.n_groups else []
        notes += [f"{self.n_undefined} undefined"] if self.n_undefined else []
        counts = f" ({', '.join(notes)})" if notes else ""
        return f"{_three_decimals(self.value)}{interval}{counts}"


def _three_decimals(value: float) -> str:
    """Format a number; further digits depend on the order of summation and are removed first."""
    return f"{round(value, 12):z.3f}"
