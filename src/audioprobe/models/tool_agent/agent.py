"""An agent: a controller that answers questions about a clip by calling tools.

The architecture is that of AudioGPT (arXiv 2304.12995): a language model receives the clip only as
the text that tools return, and decides which tools to call.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from itertools import groupby, islice, takewhile
from typing import Self

from audioprobe.errors import ContractError, InvalidInputError, UnsupportedInputError
from audioprobe.models.remote.openai_chat import OpenAIChat
from audioprobe.models.tool_agent.agent_session import AgentSession
from audioprobe.models.tool_agent.controllers import (
    Controller,
    LikelihoodController,
    MalformedStep,
    Step,
)
from audioprobe.models.tool_agent.function_calling import FunctionCallingController
from audioprobe.models.tool_agent.text_controllers import TextController
from audioprobe.models.tool_agent.tool_runner import ToolRunner
from audioprobe.models.tool_agent.tools import ToolSource, make_tools
from audioprobe.protocols import LanguageModel, LikelihoodModel
from audioprobe.registry import load
from audioprobe.spending import Spending, spending_of
from audioprobe.texts import fingerprint
from audioprobe.types import (
    ComponentInfo,
    Decoding,
    InfoRepr,
    LogLikelihood,
    Option,
    Prompt,
    Response,
)


class ToolAgent(InfoRepr):
    """A language model that answers questions about audio by calling tools over the clip.

    A controller receives the question, descriptions of the tools, and the calls so far; it requests
    the next calls or answers. It never receives the audio. Results of tools are data: one line of
    at most 400 characters, with control tokens split, and never parsed as a call. A call that fails
    has the result "failed: ...", which the controller receives. A repeated call is not run again.
    A prompt without audio is answered by the controller's language model, without tools.

    `Response.details` contains all calls as JSON ("tool calls"; read them with
    `audioprobe.tool_calls.calls_of`) and the number of failed calls. If there is no answer within
    the limits, the response abstains, and "no answer" in the details states why.

    If the controller returns likelihoods, `ToolAgent(...)` creates a `LikelihoodToolAgent`.

    Args:
        controller: a `Controller`; or a language model or its name. An `OpenAIChat` becomes a
            `FunctionCallingController`, and any other model a `TextController`.
        tools: tools, components that become tools, and names; see `tools.make_tools`.
        max_calls: maximum number of calls per prompt; malformed steps count as calls.
        timeout_s: maximum number of seconds per prompt. It is compared with the time between two
            steps; a call in progress is not interrupted. The time of a controller that processes
            several prompts together is divided among them.
        batch_size: number of prompts in progress at the same time; does not change responses.
        clock: function that returns the time in seconds. The durations in the details differ from
            run to run, unless the clock is constant.

    Raises:
        InvalidInputError: if a limit is not positive, or two tools have the same name.
    """

    def __new__(
        cls, controller: Controller | LanguageModel | str, *args: object, **options: object
    ) -> "ToolAgent":
        """Create a `LikelihoodToolAgent` if the controller returns likelihoods."""
        del args, options
        made = _controller(controller)
        has_likelihoods = isinstance(made, LikelihoodController)
        agent = object.__new__(LikelihoodToolAgent if has_likelihoods else cls)
        agent.controller = made
        return agent

    controller: Controller

    def __init__(
        self,
        controller: Controller | LanguageModel | str,
        tools: Sequence[ToolSource] = ("yamnet",),
        *,
        max_calls: int = 8,
        timeout_s: float = 120.0,
        batch_size: int = 8,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        del controller  # converted by __new__
        if max_calls < 1 or timeout_s <= 0 or batch_size < 1:
            raise InvalidInputError(
                "A ToolAgent needs max_calls >= 1, timeout_s > 0 and batch_size >= 1, got "
                f"{max_calls}, {timeout_s} and {batch_size}."
            )
        self._max_calls = max_calls
        self._timeout_s = timeout_s
        self._batch_size = batch_size
        self._clock = clock
        self._runner = ToolRunner(make_tools(tools), clock)

    @property
    def tools(self) -> tuple[str, ...]:
        """Names of the tools."""
        return tuple(self._runner.tools)

    @property
    def info(self) -> ComponentInfo:
        """Limits, hash of the descriptions of the tools, and `info` of controller and tools."""
        options: dict[str, Option] = {
            "max_calls": self._max_calls,
            "timeout_s": self._timeout_s,
            "tools": self.tools,
            "descriptions": fingerprint(map(repr, self._runner.specs)),
        }
        parts = {"controller": self.controller.info}
        parts |= {f"tool {name}": tool.info for name, tool in self._runner.tools.items()}
        return ComponentInfo("language_model", "ToolAgent", "1", options, parts)

    @property
    def spending(self) -> Spending | None:
        """Spending of the controller's model and of the tools; None if all are local."""
        return spending_of(self.controller.model, *self._runner.tools.values())

    def with_tools(self, names: Iterable[str]) -> Self:
        """Return an agent with the same controller and limits, and only the tools `names`.

        Raises:
            InvalidInputError: if the agent does not have a tool.
        """
        agent = copy(self)
        vars(agent).update(_runner=self._runner.with_tools(names))
        return agent

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        """Yield one response per prompt, in order.

        Args:
            prompts: read lazily, in batches.
            decoding: decoding settings of the controller; None uses the default of its model. If
                there are choices, they apply to the answer.

        Raises:
            UnsupportedInputError: if a prompt has audio and examples, or examples with audio.
            ContractError: if a controller returns no step for a state.
            AudioProbeError: if the controller's model raises one, or a tool raises one that would
                also occur for all other prompts, such as missing weights.
        """
        for batch in self._batches(prompts):
            sessions = self._run(batch, decoding)
            texts = [prompt for prompt in batch if prompt.audio is None]
            answers = iter(self.controller.model.generate(texts, decoding)) if texts else iter(())
            for prompt, session in zip(batch, sessions, strict=True):
                yield next(answers) if prompt.audio is None else session.response()

    def _batches(self, prompts: Iterable[Prompt]) -> Iterator[list[Prompt]]:
        queue = iter(prompts)
        while batch := list(map(_checked, islice(queue, self._batch_size))):
            yield batch

    def _run(self, prompts: Sequence[Prompt], decoding: Decoding | None) -> list[AgentSession]:
        """Run the steps of all prompts with audio until each has an answer, or a limit is reached.

        The sessions of prompts without audio stay unchanged.
        """
        specs = self._runner.specs
        sessions = [AgentSession(question=prompt.text, audio=prompt.audio) for prompt in prompts]
        while active := [s for s in sessions if s.audio is not None and s.is_open]:
            start = self._clock()
            states = [session.state(specs) for session in active]
            steps = self.controller.next_steps(states, decoding)
            if len(steps) != len(states) or () in steps:
                raise ContractError(
                    "Expected one step with a call or an answer for each state from the controller "
                    f"{self.controller.info.name!r}, got {len(steps)} for {len(states)} states."
                )
            seconds = (self._clock() - start) / len(active)
            for session, step in zip(active, steps, strict=True):
                session.seconds += seconds
                self._advance(session, step)
        return sessions

    def _advance(self, session: AgentSession, step: Step) -> None:
        """Store an answer, or run the calls of a step until a limit is reached."""
        if isinstance(step, Response):
            session.answer = step
            return
        requests = [step] if isinstance(step, MalformedStep) else step
        for request in requests:
            if len(session.calls) >= self._max_calls:
                session.reason = f"no answer after {self._max_calls} calls (max_calls)"
            elif session.seconds >= self._timeout_s:
                session.reason = f"no answer within {self._timeout_s:g} s (timeout_s)"
            if session.reason:
                return
            assert session.audio is not None  # noqa: S101 - ensured by _run
            call = self._runner.call(session.audio, request, session.calls)
            session.calls.append(call)
            session.seconds += call.seconds
        if session.seconds >= self._timeout_s:
            session.reason = f"no answer within {self._timeout_s:g} s (timeout_s)"

    def __getnewargs__(self) -> tuple[Controller]:
        return (self.controller,)


class LikelihoodToolAgent(ToolAgent):
    """An agent whose controller returns likelihoods; create it with `ToolAgent(...)`."""

    def log_likelihood(
        self, prompts: Iterable[Prompt], continuations: Sequence[str]
    ) -> Iterator[Sequence[LogLikelihood]]:
        """Yield, for each prompt, the log-likelihood of each continuation as the answer.

        The calls are those of `generate`; the continuations follow the prompt with which the
        controller answers.

        Raises:
            InvalidInputError: if the controller does not answer a prompt within the limits; the
                results of earlier prompts are yielded before.
            UnsupportedInputError: as for `generate`.
        """
        controller, model = self.controller, self.controller.model
        assert isinstance(controller, LikelihoodController)  # noqa: S101 - ensured by __new__
        assert isinstance(model, LikelihoodModel)  # noqa: S101 - as above
        for batch in self._batches(prompts):
            pairs = zip(batch, self._run(batch, None), strict=True)
            for has_audio, group in groupby(pairs, lambda pair: pair[0].audio is not None):
                prompts, sessions = zip(*group, strict=True)
                if not has_audio:
                    yield from model.log_likelihood(prompts, continuations)
                    continue
                answered = list(takewhile(lambda session: session.answer is not None, sessions))
                states = [session.state(self._runner.specs) for session in answered]
                yield from controller.log_likelihood(states, continuations)
                if len(answered) < len(sessions):
                    failed = sessions[len(answered)]
                    raise InvalidInputError(
                        f"The agent did not answer {failed.question!r:.60}: {failed.reason}. "
                        "Answers without a complete plan have no likelihood."
                    )


def _controller(controller: Controller | LanguageModel | str) -> Controller:
    """Return a controller; a language model becomes one."""
    if isinstance(controller, Controller):
        return controller
    model = load("language_model", controller)
    if isinstance(model, OpenAIChat):
        return FunctionCallingController(model)
    return TextController(model)


def _checked(prompt: Prompt) -> Prompt:
    if prompt.examples and (prompt.audio is not None or any(e.audio for e in prompt.examples)):
        raise UnsupportedInputError(
            "A ToolAgent accepts examples only in prompts without audio, got examples and audio. "
            "Remove the examples."
        )
    return prompt
