"""Tools, taggers and controllers with known behaviour, for tests of the agent."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from audioprobe.models.scripted import Scripted
from audioprobe.models.tool_agent.agent import ToolAgent
from audioprobe.models.tool_agent.text_controllers import TextController
from audioprobe.tool_calls import ToolCall, ToolSpec, calls_of
from audioprobe.types import ComponentInfo, Decoding, FloatArray, Prompt, Response, Waveform

FRAMES = np.array(
    # a dog, rain, a bell
    [[0.9, 0.0, 0.1], [0.8, 0.6, 0.0], [0.0, 0.7, 0.0], [0.0, 0.4, 0.9], [0.0, 0.0, 0.0]]
)
LEVELS = (0.5, 0.4, 0.1, 0.2, 0.0)
RATE = 1000


def scene(scale: float = 1.0) -> Waveform:
    """Return a clip whose five frames of 0.5 s have the levels `LEVELS`."""
    samples = np.repeat(np.array(LEVELS, np.float32) * scale, RATE // 2)
    return Waveform(samples, RATE)


class FrameLevels:
    """A tagger whose scores are `FRAMES` for every clip."""

    labels = ("Dog", "Rain", "Church bell")
    phrases = ("a dog", "rain", "a church bell")
    hop = 0.5

    def __init__(self, frames: FloatArray = FRAMES) -> None:
        self._frames = frames
        self.n_clips = 0

    @property
    def info(self) -> ComponentInfo:
        return ComponentInfo("encoder", "frames")

    def tag(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        for frames in self.tag_frames(waveforms):
            yield frames.max(0)

    def tag_frames(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        for _ in waveforms:
            self.n_clips += 1
            yield self._frames


class FunctionTool:
    """A tool from a function."""

    def __init__(
        self,
        function: Callable[..., Any],
        name: str = "probe",
        parameters: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.spec = ToolSpec(name, "A test.", parameters or {})
        self.info = ComponentInfo("tool", name)
        self._function = function
        self.n_runs = 0

    def run(self, waveform: Waveform, arguments: Mapping[str, Any]) -> str:
        self.n_runs += 1
        result: str = self._function(waveform, **arguments)
        return result


def steps(*texts: str) -> TextController:
    """Return a controller that writes these steps in turn, by the number of calls so far."""

    def answer(prompt: Prompt) -> Response:
        n_calls = prompt.text.count("\nRESULT ") + prompt.text.startswith("RESULT ")
        return Response(texts[min(n_calls, len(texts) - 1)])

    return TextController(Scripted(answer, name="steps", revision="|".join(texts)), "short")


def frozen_clock() -> float:
    """Return a constant time."""
    return 0.0


def ticking_clock(seconds: float = 1.0) -> Callable[[], float]:
    """Return a clock that advances by the same time at every reading."""
    ticks = itertools.count()
    return lambda: next(ticks) * seconds


def ask(
    agent: ToolAgent,
    question: str = "Is there a dog?",
    audio: Waveform | None = None,
    decoding: Decoding | None = None,
) -> tuple[Response, Sequence[ToolCall]]:
    """Return the response to a question about a scene, and its calls."""
    (response,) = agent.generate([Prompt(question, audio or scene())], decoding)
    calls = calls_of(response)
    assert calls is not None
    return response, calls
