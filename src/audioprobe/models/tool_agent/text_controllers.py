"""Controllers that are language models with text input: planning by a model, or a given plan."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias, TypeVar, get_args

from audioprobe.errors import InvalidInputError
from audioprobe.models.tool_agent.controllers import AgentState, MalformedStep, Step
from audioprobe.models.tool_agent.text_protocol import (
    MalformedStepError,
    PromptStyle,
    answer_text,
    call_text,
    parse_step,
    step_prompt,
)
from audioprobe.protocols import LanguageModel, LikelihoodModel
from audioprobe.registry import load
from audioprobe.texts import fingerprint
from audioprobe.tool_calls import CallRequest, ToolCall, ToolSpec
from audioprobe.types import (
    ComponentInfo,
    Decoding,
    InfoRepr,
    LogLikelihood,
    Option,
    Prompt,
    Response,
)

Plan: TypeAlias = Sequence[CallRequest] | Callable[[str], Sequence[CallRequest]]
"""The calls for each question: always the same, or a function of the question."""


class TextController(InfoRepr):
    """A language model that plans and answers in the text protocol (see `text_protocol`).

    A text that does not match the grammar is a malformed step, which the agent counts and records.
    If the model returns likelihoods, `TextController(...)` creates a `LikelihoodTextController`.

    Args:
        model: a model that accepts text, or its name.
        style: "full" describes protocol and tools in every prompt; "short" is for a model that was
            fine-tuned on the protocol.
        first_calls: if given, the first step is the most probable of these calls
            (`Decoding.choices`), so that it is never malformed. Calls to tools that the agent does
            not have are left out.
        decoding: decoding settings of the steps if the agent receives none; None uses the default
            of the model. A short limit saves time if the model does not end its steps.

    Raises:
        InvalidInputError: for another style, or decoding settings with choices.
    """

    def __new__(
        cls, model: LanguageModel | str, *args: object, **options: object
    ) -> "TextController":
        """Create a `LikelihoodTextController` if the model returns likelihoods."""
        del args, options
        return _with_model(model, cls, LikelihoodTextController)

    model: LanguageModel

    def __init__(
        self,
        model: LanguageModel | str,
        style: PromptStyle = "full",
        *,
        first_calls: Sequence[CallRequest] = (),
        decoding: Decoding | None = None,
    ) -> None:
        del model  # loaded by __new__
        if style not in get_args(PromptStyle) or style == "plain":
            raise InvalidInputError(f'style must be "full" or "short", got {style!r}.')
        if decoding is not None and decoding.choices:
            raise InvalidInputError("decoding must not have choices: pass first_calls instead.")
        self._style: PromptStyle = style
        self._first_calls = tuple(first_calls)
        self._decoding = decoding

    @property
    def info(self) -> ComponentInfo:
        """Style, calls of the first step, decoding settings, and the `info` of the model."""
        options: dict[str, Option] = {"style": self._style, "protocol": _PROTOCOL}
        if self._first_calls:
            options["first_calls"] = tuple(map(call_text, self._first_calls))
        options |= self._decoding.options if self._decoding else {}
        return ComponentInfo("controller", "TextController", "1", options, _part(self.model))

    def next_steps(self, states: Sequence[AgentState], decoding: Decoding | None) -> Sequence[Step]:
        """Return the step that the model writes for each state.

        If `decoding` has choices, only an answer is one of them: a step is generated without
        them, and if it is an answer, it is replaced by the most probable choice.
        """
        choices = decoding.choices if decoding else ()
        decoding = self._decoding if choices or decoding is None else decoding
        prompts = [_prompt(state, self._style) for state in states]
        closed = [n for n, state in enumerate(states) if self._choices(state)]
        free = [n for n in range(len(states)) if n not in closed]
        texts: dict[int, Response] = {}
        for n in closed:
            options = Decoding(choices=self._choices(states[n]))
            texts[n] = next(iter(self.model.generate([prompts[n]], options)))
        # Sessions with the same question have the same first prompt.
        different = {prompts[n].digest(): prompts[n] for n in free}
        written = self.model.generate(different.values(), decoding)
        responses = dict(zip(different, written, strict=True))
        texts |= {n: responses[prompts[n].digest()] for n in free}
        steps = [_step(texts[n]) for n in range(len(states))]
        if choices:
            answered = [n for n, step in enumerate(steps) if isinstance(step, Response)]
            options = Decoding(choices=tuple(map(answer_text, choices)))
            chosen = self.model.generate([prompts[n] for n in answered], options)
            for n, response in zip(answered, chosen, strict=True):
                steps[n] = _step(response)
        return steps

    def _choices(self, state: AgentState) -> tuple[str, ...]:
        """Return the texts of the first step; () if the next step is not limited."""
        if state.calls:
            return ()
        names = {tool.name for tool in state.tools}
        return tuple(call_text(request) for request in self._first_calls if request.tool in names)

    def __getnewargs__(self) -> tuple[LanguageModel]:
        return (self.model,)


class LikelihoodTextController(TextController):
    """A `TextController` whose model returns likelihoods; create it with `TextController(...)`."""

    def log_likelihood(
        self, states: Sequence[AgentState], continuations: Sequence[str]
    ) -> Iterator[Sequence[LogLikelihood]]:
        """Yield the log-likelihood of "ANSWER text" for each continuation, given the calls.

        The total includes the word "ANSWER", which adds the same number of nats to all.
        """
        assert isinstance(self.model, LikelihoodModel)  # noqa: S101 - ensured by __new__
        prompts = (_prompt(state, self._style) for state in states)
        return self.model.log_likelihood(prompts, [answer_text(text) for text in continuations])


class PlannedController(InfoRepr):
    """Calls of a given plan, then an answer of a language model (the reasoner).

    A fixed plan makes the same calls for every question, as a cascade does: a lower bound for
    controllers. A function of the question may return the right calls (an oracle planner): an upper
    bound. The reasoner receives the results and the question in a prompt of the style "plain", and
    answers in its own words. Calls to tools that the agent does not have are left out.

    If the reasoner returns likelihoods, `PlannedController(...)` creates a
    `LikelihoodPlannedController`.

    Args:
        plan: calls for every question, or a function from the question to its calls.
        reasoner: a model that accepts text, or its name.
        name: name of a function, recorded with results, since functions cannot be compared.
        style: "short" instead of "plain" is for a reasoner that was fine-tuned on the text
            protocol, and answers "ANSWER text".

    Raises:
        InvalidInputError: for a function without a name, or another style.
    """

    def __new__(
        cls, plan: Plan, reasoner: LanguageModel | str, **options: object
    ) -> "PlannedController":
        """Create a `LikelihoodPlannedController` if the reasoner returns likelihoods."""
        del plan, options
        return _with_model(reasoner, cls, LikelihoodPlannedController)

    model: LanguageModel

    def __init__(
        self,
        plan: Plan,
        reasoner: LanguageModel | str,
        *,
        name: str = "",
        style: PromptStyle = "plain",
    ) -> None:
        del reasoner  # loaded by __new__
        if style not in ("plain", "short"):
            raise InvalidInputError(f'style must be "plain" or "short", got {style!r}.')
        if callable(plan) and not name:
            raise InvalidInputError("A plan that is a function needs a name, got none.")
        self._plan = plan
        self._name = name
        self._style: PromptStyle = style

    @property
    def info(self) -> ComponentInfo:
        """Name or calls of the plan, the style, and the `info` of the reasoner."""
        options: dict[str, Option] = {"style": self._style, "protocol": _PROTOCOL}
        if self._name:
            options["plan"] = self._name
        if not callable(self._plan):
            options["calls"] = tuple(map(call_text, self._plan))
        return ComponentInfo("controller", "PlannedController", "1", options, _part(self.model))

    def next_steps(self, states: Sequence[AgentState], decoding: Decoding | None) -> Sequence[Step]:
        """Return the calls of the plan for a state without calls, otherwise the answer."""
        plans = [() if state.calls else self._calls_for(state) for state in states]
        answering = [state for state, plan in zip(states, plans, strict=True) if not plan]
        answers = iter(self._answers(answering, decoding))
        return [plan or next(answers) for plan in plans]

    def _calls_for(self, state: AgentState) -> tuple[CallRequest, ...]:
        plan = self._plan(state.question) if callable(self._plan) else self._plan
        names = {tool.name for tool in state.tools}
        return tuple(request for request in plan if request.tool in names)

    def _answers(self, states: Sequence[AgentState], decoding: Decoding | None) -> Iterator[Step]:
        """Yield the reasoner's answer for each state."""
        if decoding is not None and decoding.choices:
            decoding = replace(decoding, choices=tuple(map(self._target, decoding.choices)))
        prompts = (_prompt(state, self._style) for state in states)
        for response in self.model.generate(prompts, decoding):
            if self._style == "plain":
                yield response
                continue
            step = _step(response)
            is_call = isinstance(step, tuple)
            yield MalformedStep(response.text, "the plan has ended") if is_call else step

    def _target(self, answer: str) -> str:
        """Return the text with which the reasoner gives an answer."""
        return answer if self._style == "plain" else answer_text(answer)

    def __getnewargs__(self) -> tuple[Plan, LanguageModel]:
        return self._plan, self.model


class LikelihoodPlannedController(PlannedController):
    """A `PlannedController` with likelihoods; create it with `PlannedController(...)`."""

    def log_likelihood(
        self, states: Sequence[AgentState], continuations: Sequence[str]
    ) -> Iterator[Sequence[LogLikelihood]]:
        """Yield the reasoner's log-likelihood of each continuation, given the calls."""
        assert isinstance(self.model, LikelihoodModel)  # noqa: S101 - ensured by __new__
        prompts = (_prompt(state, self._style) for state in states)
        return self.model.log_likelihood(prompts, [self._target(text) for text in continuations])


_Made = TypeVar("_Made", "TextController", "PlannedController")


def _with_model(
    spec: LanguageModel | str, plain: type[_Made], with_likelihoods: type[_Made]
) -> _Made:
    """Return a new controller with a model, whose class depends on what the model returns."""
    model = load("language_model", spec)
    made = object.__new__(with_likelihoods if isinstance(model, LikelihoodModel) else plain)
    made.model = model
    return made


def _part(model: LanguageModel) -> dict[str, ComponentInfo]:
    return {"model": model.info}


def _prompt(state: AgentState, style: PromptStyle) -> Prompt:
    if not state.question.strip():
        raise InvalidInputError("An agent needs a question, got an empty text.")
    return Prompt(step_prompt(state.question, state.calls, state.tools, style=style))


def _step(response: Response) -> Step:
    """Return the step that a model wrote; an answer retains the details of the response."""
    try:
        step = parse_step(response.text)
    except MalformedStepError as error:
        return MalformedStep(response.text, str(error))
    return replace(response, text=step) if isinstance(step, str) else (step,)


_EXAMPLE = ToolCall(tool="t", arguments={"a": "b"}, result="r")
_PROTOCOL = fingerprint(
    step_prompt("q", calls, [ToolSpec("t", "d", {"a": {"type": "string"}})], style=style)
    for style in get_args(PromptStyle)
    for calls in ((), (_EXAMPLE,))
)
"""Hash of the texts of the protocol, which changes with their wording."""
