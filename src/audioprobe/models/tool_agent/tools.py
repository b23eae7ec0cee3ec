"""Tools over one audio clip, and how components of the library become tools."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.models.cascade import CAPTION_QUESTION
from audioprobe.models.tool_agent.audio_tools import TAGGER_TOOLS, tagger_tools
from audioprobe.protocols import AudioEncoder, JointEncoder, LanguageModel, Tagger
from audioprobe.registry import available, load
from audioprobe.spending import Spending, spending_of
from audioprobe.tool_calls import ToolSpec
from audioprobe.types import ComponentInfo, Decoding, InfoRepr, Prompt, Waveform

TRANSCRIPTION_QUESTION = "Transcribe the speech in this audio."
"""Question with which a language model becomes a transcriber."""

MODEL_TOOLS = ("caption", "question", "transcription")
"""Names of the tools that a language model can become."""


@runtime_checkable
class Tool(Protocol):
    """A function of an audio clip and arguments that returns a text."""

    @property
    def spec(self) -> ToolSpec:
        """Name, description and arguments, which the controller receives."""
        ...

    @property
    def info(self) -> ComponentInfo:
        """Options of the tool, and the `info` of its component."""
        ...

    def run(self, waveform: Waveform, arguments: Mapping[str, Any]) -> str:
        """Return the result for a clip; the agent has checked the arguments.

        The result must depend on nothing but the clip and the arguments. If an error is raised, the
        controller receives its message as the result of a failed call.
        """
        ...


ToolSource: TypeAlias = Tool | Tagger | LanguageModel | str
"""A tool, a component that becomes tools, or a name; see `make_tools`."""


class ModelTool(InfoRepr):
    """A language model with audio input as a tool: a captioner, a transcriber, or one to question.

    Args:
        model: a model that accepts audio, or its name.
        name: name of the tool.
        description: what the tool returns; None uses a default for the names in `MODEL_TOOLS`.
        question: question to the model in every call. None uses a default for the names "caption"
            and "transcription"; for any other name, the controller passes the question as argument.
        decoding: decoding settings of the model; None uses its default.

    Raises:
        InvalidInputError: if there is no description, or the question is empty.
    """

    def __init__(
        self,
        model: LanguageModel | str,
        name: str = "caption",
        *,
        description: str | None = None,
        question: str | None = None,
        decoding: Decoding | None = None,
    ) -> None:
        if question is not None and not question.strip():
            raise InvalidInputError("question must be a text or None, got an empty text.")
        self._model = load("language_model", model)
        self._question = _QUESTIONS.get(name) if question is None else question
        self._decoding = decoding
        text = {"type": "string", "description": "a question about the clip"}
        self._spec = ToolSpec(
            name,
            _DESCRIPTIONS.get(name, "") if description is None else description,
            {"question": text} if self._question is None else {},
        )

    @property
    def spec(self) -> ToolSpec:
        """Name, description and arguments."""
        return self._spec

    @property
    def info(self) -> ComponentInfo:
        """Question, decoding settings, and the `info` of the model."""
        decoding = self._decoding.options if self._decoding else {}
        options = {"question": self._question, **decoding}
        return ComponentInfo("tool", self._spec.name, "1", options, {"model": self._model.info})

    @property
    def spending(self) -> Spending | None:
        """Spending of the model; None if it is local."""
        return spending_of(self._model)

    def run(self, waveform: Waveform, arguments: Mapping[str, Any]) -> str:
        """Return the model's response to the question about the clip."""
        question = arguments["question"] if self._question is None else self._question
        (response,) = self._model.generate([Prompt(question, waveform)], self._decoding)
        return response.text


_DESCRIPTIONS = {
    "caption": "Describes the clip in a sentence.",
    "question": "Answers a question about the clip in free text; the answer may be wrong.",
    "transcription": "Returns the words that are spoken in the clip.",
}
_QUESTIONS = {"caption": CAPTION_QUESTION, "transcription": TRANSCRIPTION_QUESTION}


def make_tools(sources: Iterable[ToolSource]) -> tuple[Tool, ...]:
    """Return the tools that tools, components and names stand for, in order.

    A tagger becomes the tools "tags" and "presence", and also "count", "order" and "loudness" if it
    has scores per frame (`FrameTagger`). A language model becomes "caption" and "question". A name
    is that of a backend, such as "yamnet" or "ltu:mini", for all its tools, or "TOOL:BACKEND" for
    one of them, such as "tags:yamnet", "caption:ltu:mini" or "transcription:openai-chat:gpt-audio".
    A backend that is named several times is loaded once. For other thresholds, pass
    `tagger_tools(...)`; for another question or name, pass a `ModelTool`.

    Raises:
        InvalidInputError: if two tools have the same name, a component cannot become a tool, a
            component does not have what the tool needs, or the sources are one text.
        BackendNotFoundError: if no backend has this name.
    """
    if isinstance(sources, str):
        raise InvalidInputError(f"Expected a list of tools, got the text {sources!r:.60}.")
    loaded: dict[str, object] = {}
    tools: list[Tool] = []
    for source in sources:
        tools += _tools_of(source, loaded)
    names = [tool.spec.name for tool in tools]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InvalidInputError(
            f"Expected tools with different names, got {repeated[0]!r} more than once. Name single "
            'tools of a component, such as "tags:yamnet", or pass ModelTool(model, name).'
        )
    return tuple(tools)


def _tools_of(source: ToolSource, loaded: dict[str, object]) -> Sequence[Tool]:
    """Return the tools of one source; components that are loaded by name are stored in `loaded`."""
    if not isinstance(source, str):
        return [source] if isinstance(source, Tool) else _component_tools(source, None)
    first, _, rest = source.partition(":")
    known = (*TAGGER_TOOLS, *MODEL_TOOLS)
    name = first if first in known and rest else None
    backend = rest if name else source
    if backend not in loaded:
        encoders = {b.name for b in available("encoder")}
        is_encoder = backend.partition(":")[0] in encoders
        if name is None and not is_encoder and rest and did_you_mean(first, known):
            hint = did_you_mean(first, known)
            raise InvalidInputError(f"There is no tool {first!r} of {rest!r}.{hint}")
        kind = "encoder" if is_encoder or name in TAGGER_TOOLS else "language_model"
        loaded[backend] = load(kind, backend)  # type: ignore[call-overload]
    return _component_tools(loaded[backend], name)


def _component_tools(component: object, name: str | None) -> Sequence[Tool]:
    """Return the tool `name` of a component, or all its tools if the name is None."""
    if isinstance(component, LanguageModel):
        names = (name,) if name else ("caption", "question")
        if name not in (None, *MODEL_TOOLS):
            raise InvalidInputError(
                f"The tool {name!r} needs an encoder that is a tagger, got the language model "
                f"{component.info.name!r}, which has the tools {', '.join(MODEL_TOOLS)}."
            )
        return [ModelTool(component, each) for each in names]
    if isinstance(component, Tagger):
        return tagger_tools(component, (name,) if name else None)
    shown = type(component).__name__
    is_encoder = isinstance(component, AudioEncoder | JointEncoder)
    reason = "has no tags" if is_encoder else "is neither a tagger nor a language model"
    raise InvalidInputError(
        f"Expected a tool, a tagger or a language model, got a {shown}, which {reason}."
    )
