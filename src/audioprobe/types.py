"""Data types of the library: frozen dataclasses that are validated when they are created.

Audio samples are float32, usually in [-1, 1] (larger values are allowed). Times are in seconds,
sample rates in hertz, log-likelihoods in nats.
"""

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import shorten
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from audioprobe.errors import InvalidInputError
from audioprobe.responses import Decoding, LogLikelihood, Option, Response
from audioprobe.texts import nfc

__all__ = [
    "BoolArray",
    "Clip",
    "ComponentInfo",
    "Decoding",
    "Estimate",
    "Example",
    "Float64Array",
    "FloatArray",
    "InfoRepr",
    "IntArray",
    "LogLikelihood",
    "Option",
    "Prompt",
    "Response",
    "Waveform",
]

Float64Array: TypeAlias = npt.NDArray[np.float64]
FloatArray: TypeAlias = npt.NDArray[np.floating[Any]]
IntArray: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]

_REVISION_SHOWN = 12  # characters of a revision in a `repr`
_INFO_SHOWN = 160  # maximum length of the text of a `ComponentInfo`


@dataclass(frozen=True, slots=True)
class ComponentInfo:
    """Identity of a component (model, scorer or data set), sufficient to create it again.

    Attributes:
        kind: kind of component, for example "encoder".
        name: name of the model or method, for example "BirdNET".
        revision: version of the weights or of the service (a hash, a commit or a date).
        options: all options that can change a result; excludes batch size and device.
        parts: identities of the components that this component uses, by kind.
    """

    kind: str
    name: str
    revision: str = ""
    options: Mapping[str, Option] = field(default_factory=dict)
    parts: Mapping[str, "ComponentInfo"] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return name, first characters of the revision, options and parts, on one line."""
        revision = {"revision": self.revision[:_REVISION_SHOWN]} if self.revision else {}
        parts = {kind: part.name for kind, part in self.parts.items()}
        values = {**revision, **self.options, **parts}
        shown = [repr(self.name), *(f"{name}={value!r}" for name, value in values.items())]
        return shorten(", ".join(shown), _INFO_SHOWN, placeholder=" ...")


class InfoRepr(ABC):
    """Base of components whose `repr` is one line with the class and the component's `info`."""

    __slots__ = ()

    @property
    @abstractmethod
    def info(self) -> ComponentInfo:
        """Identity of the component; see `protocols.Component`."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.info})"


@dataclass(frozen=True, slots=True, eq=False)
class Waveform:
    """One channel of audio.

    Attributes:
        samples: float32, shape (n_samples,), at least one sample, all finite; read-only.
        sample_rate: sample rate in Hz.

    Raises:
        InvalidInputError: for samples of another shape, integers, NaN, infinity or no samples, or
            if the rate is not positive.
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
                f"A waveform needs float samples, usually in [-1, 1], got {samples.dtype}. "
                "Divide integers by their full scale (32768 for 16 bit) first."
            )
        with np.errstate(over="ignore"):  # the check below detects a float32 overflow
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
        """Duration in seconds."""
        return self.samples.size / self.sample_rate

    def digest(self) -> str:
        """Return the SHA-256 of rate and samples in hexadecimal, to recognise equal audio."""
        content = hashlib.sha256(f"{self.sample_rate}\n".encode())
        content.update(self.samples.tobytes())
        return content.hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Clip:
    """One item of a data set: audio in memory, or a part of an audio file, with its labels.

    Id, labels and group are stored in Unicode NFC; repeated labels are removed.

    Attributes:
        id: identifier, unique within a data set; results refer to clips by it.
        path: audio file; None if `waveform` contains the audio.
        labels: annotated labels; None if the clip was not annotated, () if no label applies.
        start: start of the clip in its file, in seconds.
        duration: duration in seconds; None means until the end of the file.
        group: name of the site, recorder or source recording. Clips of one group are similar, and
            must be in the same split.
        waveform: audio in memory; None if `path` is given.

    Raises:
        InvalidInputError: if both or none of `path` and `waveform` are given, or if another value
            is invalid, such as an empty id or a negative start.
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
            raise InvalidInputError("A clip needs an id, got an empty text.")
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
    """A question with its answer, and optional audio, that a prompt shows as an example."""

    question: str
    answer: str
    audio: Waveform | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """A prompt for a language model.

    Attributes:
        text: the question or instruction.
        audio: audio that the question is about; None if there is no audio.
        examples: questions with answers that precede the question, in order.
    """

    text: str
    audio: Waveform | None = None
    examples: tuple[Example, ...] = ()

    def digest(self) -> str:
        """Return the SHA-256 of texts and audio in hexadecimal, to recognise equal prompts."""
        turns = [(e.question, e.answer, e.audio) for e in self.examples]
        content = hashlib.sha256()
        for question, answer, audio in [*turns, (self.text, "", self.audio)]:
            for text in (question, answer, audio.digest() if audio else ""):
                part = text.encode("utf-8", "surrogatepass")
                # The length is included, so that different prompts never give the same bytes.
                content.update(b"%d\n%b" % (len(part), part))
        return content.hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """An estimated number with its confidence interval and sample size.

    Attributes:
        value: the estimate; None (never 0) if it is undefined.
        n: number of items (clips, or labels for a mean over labels).
        n_undefined: number of items that were excluded because their value is undefined.
        low: lower end of the interval; None if there is no interval.
        high: upper end of the interval; None if there is no interval.
        method: how the estimate and the interval were computed.
        n_groups: number of independent groups of items, which the interval is computed from; None
            if there is no interval.
        unit: what `n_groups` counts: "groups" (of clips), "clips" or "concepts".
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
    """Format a number with three decimals.

    Decimals after the 12th are removed first, because they depend on the order of summation.
    """
    return f"{round(value, 12):z.3f}"
