"""Tools that read the scores of an audio tagger: tags, presence, count, order and loudness.

The scores of the last clips are stored, so that several calls about a clip run the tagger once.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.models.tool_agent.clip_scores import ClipScores
from audioprobe.protocols import FrameTagger, Tagger
from audioprobe.registry import load
from audioprobe.tool_calls import ToolSpec
from audioprobe.types import (
    BoolArray,
    ComponentInfo,
    FloatArray,
    InfoRepr,
    Option,
    Waveform,
)

TAG_THRESHOLD = 0.1
"""Default of the minimum probability of a label that "tags" lists."""

PRESENCE_THRESHOLD = 0.3
"""Default of the minimum probability at which "presence" says yes."""

FRAME_THRESHOLD = 0.3
"""Default of the minimum probability at which a sound is active in a frame."""

_MAX_ENUM = 64  # a longer vocabulary is not listed in the description of a tool
_NOTHING = "no sound"
_SILENCE = 1e-20  # smallest power: -200 dB


class TaggerTool(InfoRepr):
    """Base of tools that read the scores of a tagger.

    Args:
        scores: scores of the tagger.
        threshold: minimum probability; see the tool.
        spec: name, description and arguments of the tool.

    Raises:
        InvalidInputError: unless 0 < threshold <= 1.
    """

    def __init__(self, scores: ClipScores, threshold: float, spec: ToolSpec) -> None:
        if not 0 < threshold <= 1:
            raise InvalidInputError(
                f"The threshold of the tool {spec.name!r} must be above 0 and at most 1, got "
                f"{threshold}."
            )
        self._scores = scores
        self._threshold = threshold
        self._spec = spec

    @property
    def spec(self) -> ToolSpec:
        """Name, description and arguments."""
        return self._spec

    @abstractmethod
    def run(self, waveform: Waveform, arguments: Mapping[str, Any]) -> str:
        """Return the result for a clip."""

    @property
    def options(self) -> dict[str, Option]:
        """Options that change results."""
        return {"threshold": self._threshold, "labels": self._scores.labels}

    @property
    def info(self) -> ComponentInfo:
        """Options, and the `info` of the tagger."""
        parts = {"tagger": self._scores.tagger.info}
        return ComponentInfo("tool", self.spec.name, "1", self.options, parts)

    def _active(self, waveform: Waveform) -> tuple[FloatArray, BoolArray]:
        """Return the scores per frame, and whether each label is active in each frame."""
        scores = self._scores.of_frames(waveform)
        return scores, scores >= self._threshold


class TagsTool(TaggerTool):
    """Lists the most probable sounds of a clip: "a dog (0.93), rain (0.41)".

    Args:
        scores: scores of the tagger.
        threshold: minimum probability of a label that is listed.
        max_tags: maximum number of labels.
    """

    def __init__(
        self, scores: ClipScores, threshold: float = TAG_THRESHOLD, max_tags: int = 5
    ) -> None:
        description = "Lists the sounds in the clip, with their probabilities."
        super().__init__(scores, threshold, ToolSpec("tags", description))
        if max_tags < 1:
            raise InvalidInputError(f"max_tags must be at least 1, got {max_tags}.")
        self._max_tags = max_tags

    @property
    def options(self) -> dict[str, Option]:
        """Options that change results."""
        return {**super().options, "max_tags": self._max_tags}

    def run(self, waveform: Waveform, arguments: Mapping[str, Any]) -> str:
        """Return the sounds in the order of their probability."""
        del arguments
        scores = self._scores.of_clip(waveform)
        order = np.argsort(-scores, kind="stable").tolist()
        tags: dict[str, float] = {}
        for n in order:
            if scores[n] >= self._threshold and len(tags) < self._max_tags:
                tags.setdefault(self._scores.phrases[n], float(scores[n]))
        return ", ".join(f"{phrase} ({p:.2f})" for phrase, p in tags.items()) or _NOTHING


class PresenceTool(TaggerTool):
    """States whether a named sound occurs in a clip: "yes (0.93)".

    Args:
        scores: scores of the tagger.
        threshold: minimum probability for "yes". If several labels have the name, the largest of
            their probabilities counts. If the vocabulary has at most 64 phrases, the description of
            the tool lists them, and the argument must be one of them.
    """

    def __init__(self, scores: ClipScores, threshold: float = PRESENCE_THRESHOLD) -> None:
        sound: dict[str, Any] = {"type": "string", "description": "name of a sound"}
        phrases = list(dict.fromkeys(scores.phrases))
        if len(phrases) <= _MAX_ENUM:
            sound["enum"] = phrases
        description = "Says whether a named sound occurs in the clip: yes or no, and a probability."
        super().__init__(scores, threshold, ToolSpec("presence", description, {"sound": sound}))

    def run(self, waveform: Waveform, arguments: Mapping[str, Any]) -> str:
        """Return "yes" or "no", and the probability."""
        columns = self._scores.columns_of(arguments["sound"])
        probability = float(self._scores.of_clip(waveform)[columns].max())
        return f"{'yes' if probability >= self._threshold else 'no'} ({probability:.2f})"


class CountTool(TaggerTool):
    """Counts the different sounds of a clip: "2 (a dog, rain)".

    Args:
        scores: scores of the tagger.
        threshold: minimum probability at which a sound is active in a frame.
        min_frames: minimum number of frames in which a sound must be active to be counted.
    """

    def __init__(
        self, scores: ClipScores, threshold: float = FRAME_THRESHOLD, min_frames: int = 1
    ) -> None:
        description = "Counts how many different sounds occur in the clip."
        super().__init__(scores, threshold, ToolSpec("count", description))
        if min_frames < 1:
            raise InvalidInputError(f"min_frames must be at least 1, got {min_frames}.")
        self._min_frames = min_frames

    @property
    def options(self) -> dict[str, Option]:
        """Options that change results."""
        return {**super().options, "min_frames": self._min_frames}

    def run(self, waveform: Waveform, arguments: Mapping[str, Any]) -> str:
        """Return the number of sounds and their names, in the order of the labels."""
        del arguments
        _, active = self._active(waveform)
        names = self._scores.unique(np.flatnonzero(active.sum(0) >= self._min_frames).tolist())
        return f"{len(names)} ({', '.join(names)})" if names else "0"


class OrderTool(TaggerTool):
    """Names the sound that starts first, or the sound that ends last: "a dog".

    Among sounds that start (or end) in the same frame, it is the most probable one in this frame.

    Args:
        scores: scores of the tagger.
        threshold: minimum probability at which a sound is active in a frame.
    """

    def __init__(self, scores: ClipScores, threshold: float = FRAME_THRESHOLD) -> None:
        which = {"which": {"type": "string", "enum": ["first", "last"]}}
        spec = ToolSpec("order", "Names the first or the last sound in the clip.", which)
        super().__init__(scores, threshold, spec)

    def run(self, waveform: Waveform, arguments: Mapping[str, Any]) -> str:
        """Return the phrase of the sound."""
        scores, active = self._active(waveform)
        frames = np.flatnonzero(active.any(1))
        if not frames.size:
            return _NOTHING
        frame = int(frames[0] if arguments["which"] == "first" else frames[-1])
        return self._scores.phrases[int(scores[frame].argmax())]


class LoudnessTool(TaggerTool):
    """Names the loudest sound of a clip: "a dog".

    The level of a sound is the mean power of the clip over the frames in which the sound is active,
    weighted by its probability. Power in a frame is that of the `hop` seconds from its start; the
    last frame reaches to the end of the clip. Sounds at the same time are not separated: of sounds
    with the same level, it is the one with the larger sum of probabilities.

    Args:
        scores: scores of the tagger.
        threshold: minimum probability at which a sound is active in a frame.
    """

    def __init__(self, scores: ClipScores, threshold: float = FRAME_THRESHOLD) -> None:
        spec = ToolSpec("loudness", "Names the loudest sound in the clip.")
        super().__init__(scores, threshold, spec)

    def run(self, waveform: Waveform, arguments: Mapping[str, Any]) -> str:
        """Return the phrase of the sound."""
        del arguments
        scores, active = self._active(waveform)
        columns = np.flatnonzero(active.any(0))
        if not columns.size:
            return _NOTHING
        power = self._scores.frame_power(waveform)
        weights = np.where(active, scores, 0.0)[:, columns].astype(np.float64)
        totals = weights.sum(0)
        # Rounded, so that the last digits of a sum do not decide between equal levels.
        levels = np.round(10 * np.log10(np.maximum(power @ weights / totals, _SILENCE)), 6)
        loudest = max(range(len(columns)), key=lambda n: (levels[n], totals[n]))
        return self._scores.phrases[int(columns[loudest])]


TAGGER_TOOLS = ("tags", "presence", "count", "order", "loudness")
"""Names of the tools that a tagger can become; the last three need scores per frame."""


def tagger_tools(
    tagger: Tagger | str,
    names: Sequence[str] | None = None,
    *,
    labels: Sequence[str] | None = None,
    tag_threshold: float = TAG_THRESHOLD,
    max_tags: int = 5,
    presence_threshold: float = PRESENCE_THRESHOLD,
    frame_threshold: float = FRAME_THRESHOLD,
    min_frames: int = 1,
) -> tuple[TaggerTool, ...]:
    """Return the tools of a tagger, which share its scores.

    Args:
        tagger: an encoder with tags, per clip (`Tagger`) or also per frame (`FrameTagger`); or its
            name.
        names: names from `TAGGER_TOOLS`; None means all that the tagger can become.
        labels: labels to use; None uses the whole vocabulary. Counting, order and loudness need
            labels that do not contain each other, such as "Dog" without "Animal".
        tag_threshold: minimum probability of a label that "tags" lists.
        max_tags: maximum number of labels that "tags" lists.
        presence_threshold: minimum probability at which "presence" says yes.
        frame_threshold: minimum probability at which a sound is active in a frame, for "count",
            "order" and "loudness".
        min_frames: minimum number of active frames of a sound that is counted.

    Raises:
        InvalidInputError: if the tagger has not the scores for a tool, a name is unknown, or an
            option is out of its range.
    """
    encoder = load("encoder", tagger) if isinstance(tagger, str) else tagger
    if not isinstance(encoder, Tagger):
        raise InvalidInputError(
            f"Expected an encoder with `tag`, got {type(encoder).__name__}, which has no tags."
        )
    scores = ClipScores(encoder, labels)
    possible = TAGGER_TOOLS if isinstance(encoder, FrameTagger) else TAGGER_TOOLS[:2]
    for name in possible if names is None else names:
        if name not in possible:
            raise InvalidInputError(
                f"The tagger {encoder.info.name!r} can become the tools {', '.join(possible)}, got "
                f"{name!r}.{did_you_mean(name, possible)}"
            )
    make: dict[str, Callable[[], TaggerTool]] = {
        "tags": lambda: TagsTool(scores, tag_threshold, max_tags),
        "presence": lambda: PresenceTool(scores, presence_threshold),
        "count": lambda: CountTool(scores, frame_threshold, min_frames),
        "order": lambda: OrderTool(scores, frame_threshold),
        "loudness": lambda: LoudnessTool(scores, frame_threshold),
    }
    return tuple(make[name]() for name in (possible if names is None else names))
