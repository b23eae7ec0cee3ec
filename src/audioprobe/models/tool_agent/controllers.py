"""The protocol of controllers, which decide about the next call of an agent, or answer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from audioprobe.protocols import LanguageModel
from audioprobe.tool_calls import CallRequest, ToolCall, ToolSpec
from audioprobe.types import ComponentInfo, Decoding, LogLikelihood, Response


@dataclass(frozen=True, slots=True)
class AgentState:
    """What a controller knows about a prompt with audio.

    Attributes:
        question: text of the prompt.
        tools: descriptions of the tools that may be called.
        calls: calls so far with their results, in order.
    """

    question: str
    tools: tuple[ToolSpec, ...] = ()
    calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class MalformedStep:
    """A step of a controller that is neither a call nor an answer.

    Attributes:
        text: what the controller wrote.
        reason: why it is malformed.
        tool: name of the tool, if the step requests one with malformed arguments; "" otherwise.
    """

    text: str
    reason: str
    tool: str = ""


Step: TypeAlias = tuple[CallRequest, ...] | Response | MalformedStep
"""Next step of a controller: calls to run in order, the answer, or a malformed step."""


@runtime_checkable
class Controller(Protocol):
    """Decides, given a question and the calls so far, about the next calls or the answer."""

    @property
    def info(self) -> ComponentInfo:
        """Options that change results, and the `info` of the model."""
        ...

    @property
    def model(self) -> LanguageModel:
        """Language model that writes the answers; it also answers prompts without audio."""
        ...

    def next_steps(self, states: Sequence[AgentState], decoding: Decoding | None) -> Sequence[Step]:
        """Return the next step for each state; a step must not depend on the other states.

        Args:
            states: questions with the calls so far.
            decoding: decoding settings of the answer; None uses the default of the model.
        """
        ...


@runtime_checkable
class LikelihoodController(Controller, Protocol):
    """A controller that also returns the log-likelihood of texts as the answer."""

    def log_likelihood(
        self, states: Sequence[AgentState], continuations: Sequence[str]
    ) -> Iterator[Sequence[LogLikelihood]]:
        """Yield, for each state in which the controller answers, that of each continuation."""
        ...
