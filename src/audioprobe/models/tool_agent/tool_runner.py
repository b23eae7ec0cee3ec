"""Run the calls that a controller requests: check them, record errors, and store results."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import replace
from typing import Self

from audioprobe.errors import (
    PER_ITEM_ERRORS,
    AudioProbeError,
    InvalidInputError,
    RemoteError,
    did_you_mean,
)
from audioprobe.io.text_table import printable
from audioprobe.models.tool_agent.controllers import MalformedStep
from audioprobe.models.tool_agent.text_protocol import data_text
from audioprobe.models.tool_agent.tools import Tool
from audioprobe.tool_calls import CallRequest, ToolCall, ToolSpec
from audioprobe.types import Waveform

_MAX_RESULTS = 4096  # results of tools that are stored
_MAX_MALFORMED = 200  # characters of a malformed step that are recorded


class ToolRunner:
    """Runs calls of some tools, and stores the results of calls without errors.

    Args:
        tools: the tools, with different names.
        clock: function that returns the time in seconds.

    Attributes:
        tools: the tools by name.
    """

    def __init__(self, tools: Sequence[Tool], clock: Callable[[], float]) -> None:
        self.tools = {tool.spec.name: tool for tool in tools}
        self._clock = clock
        self._results: OrderedDict[tuple[str, str], str] = OrderedDict()

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """Descriptions of the tools."""
        return tuple(tool.spec for tool in self.tools.values())

    def with_tools(self, names: Iterable[str]) -> Self:
        """Return a runner of only these tools, which shares the stored results.

        Raises:
            InvalidInputError: if there is no such tool.
        """
        chosen = tuple(names)
        unknown = [name for name in chosen if name not in self.tools]
        if unknown:
            raise InvalidInputError(
                f"Expected names of the tools {', '.join(self.tools) or '(none)'}, got "
                f"{unknown[0]!r}.{did_you_mean(unknown[0], self.tools)}"
            )
        runner = copy(self)
        runner.tools = {name: tool for name, tool in self.tools.items() if name in chosen}
        return runner

    def call(
        self, audio: Waveform, request: CallRequest | MalformedStep, earlier: Sequence[ToolCall]
    ) -> ToolCall:
        """Return a call with its result, or with its error.

        Args:
            audio: the clip.
            request: the call; a malformed step gives a failed call.
            earlier: calls about the clip for the same question; a repeated call is not run again.

        Raises:
            AudioProbeError: if a tool raises one that would also occur for all other clips.
        """
        if isinstance(request, MalformedStep):
            text = printable(request.text)[:_MAX_MALFORMED] or "(empty)"
            return _failed(CallRequest(request.tool), f"malformed step: {request.reason}", text)
        for call in earlier:
            if not call.malformed and call.request.key == request.key:
                return replace(call, seconds=0.0)
        error = self._request_error(request)
        return _failed(request, error) if error else self._run(audio, request)

    def _request_error(self, request: CallRequest) -> str:
        """Return why a call cannot be run; "" if it can."""
        if request.tool in self.tools:
            return self.tools[request.tool].spec.argument_error(request.arguments)
        known = ", ".join(self.tools) or "none"
        return f"unknown tool {request.tool!r:.80}; the tools are {known}"

    def _run(self, audio: Waveform, request: CallRequest) -> ToolCall:
        """Run a call whose tool and arguments are valid."""
        start = self._clock()
        result = error = ""
        try:
            result = self._result(self.tools[request.tool], audio, request)
        except AudioProbeError as failure:
            is_final = isinstance(failure, RemoteError) and failure.final
            if is_final or not isinstance(failure, PER_ITEM_ERRORS):
                raise
            error = str(failure) or type(failure).__name__
        except Exception as failure:  # noqa: BLE001 - a tool may raise any error; it is recorded
            error = f"{type(failure).__name__}: {failure}"
        seconds = self._clock() - start
        if error:
            return _failed(request, error, seconds=seconds)
        return ToolCall(
            tool=request.tool, arguments=request.arguments, result=result, seconds=seconds
        )

    def _result(self, tool: Tool, audio: Waveform, request: CallRequest) -> str:
        """Return the result of a tool as data; results without errors are stored."""
        key = (audio.digest(), request.key)
        if key not in self._results:
            result: object = tool.run(audio, request.arguments)
            if not isinstance(result, str) or not result.strip():
                received = "an empty text" if isinstance(result, str) else type(result).__name__
                raise InvalidInputError(f"expected a text from the tool, got {received}")
            self._results[key] = data_text(result)
        self._results.move_to_end(key)
        while len(self._results) > _MAX_RESULTS:
            self._results.popitem(last=False)
        return self._results[key]


def _failed(
    request: CallRequest, error: str, malformed: str = "", seconds: float = 0.0
) -> ToolCall:
    message = data_text(error)
    return ToolCall(
        tool=data_text(request.tool, 64),
        arguments=request.arguments,
        result=data_text(f"failed: {message}"),
        error=message,
        seconds=seconds,
        malformed=malformed,
    )
