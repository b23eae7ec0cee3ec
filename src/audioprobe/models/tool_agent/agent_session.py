"""Calls of an agent about one prompt, up to its answer."""

from dataclasses import dataclass, field, replace

from audioprobe.models.tool_agent.controllers import AgentState
from audioprobe.tool_calls import CALLS_KEY, NO_ANSWER_KEY, ToolCall, ToolSpec, calls_to_json
from audioprobe.types import Option, Response, Waveform

FAILED_CALLS_KEY = "failed calls"
"""Key of `Response.details` with the number of calls without a result."""

UNANSWERED = "(unanswered)"
"""Text of the response if the controller gave no answer within the limits."""


@dataclass(slots=True, kw_only=True)
class AgentSession:
    """A prompt in progress: its calls so far, and its answer or the reason why there is none."""

    question: str
    audio: Waveform | None
    calls: list[ToolCall] = field(default_factory=list)
    seconds: float = 0.0
    answer: Response | None = None
    reason: str = ""

    @property
    def is_open(self) -> bool:
        """Whether the agent must take another step."""
        return self.answer is None and not self.reason

    def state(self, tools: tuple[ToolSpec, ...]) -> AgentState:
        """Return what the controller receives."""
        return AgentState(self.question, tools, tuple(self.calls))

    def response(self) -> Response:
        """Return the answer with the calls in its details; abstain if there is no answer."""
        details: dict[str, Option] = {
            CALLS_KEY: calls_to_json(self.calls),
            FAILED_CALLS_KEY: sum(bool(call.error) for call in self.calls),
        }
        if self.answer is not None:
            return replace(self.answer, details={**self.answer.details, **details})
        return Response(UNANSWERED, abstained=True, details={**details, NO_ANSWER_KEY: self.reason})
