"""Calls of tools by an agent: descriptions of tools, requests, and calls with their results.

`models.tool_agent` runs the calls and writes them into `Response.details`; `probing.tool_use`
measures them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from audioprobe.errors import InvalidInputError
from audioprobe.io.json_codec import from_json, to_json
from audioprobe.types import Response

CALLS_KEY = "tool calls"
"""Key of `Response.details` with the calls of an agent as JSON."""

NO_ANSWER_KEY = "no answer"
"""Key of `Response.details` with the reason why an agent gave no answer."""

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """Description of a tool, as a controller receives it.

    Attributes:
        name: name of the tool: letters, digits and "_", at most 64.
        description: what the tool returns, and when to use it.
        parameters: JSON schema of each argument by its name, such as {"sound": {"type": "string"}}.
            The types "string", "integer", "number" and "boolean" are supported, with "enum" and
            "description". Every argument is required, and no other is accepted.

    Raises:
        InvalidInputError: for another name, an empty description or another type.
    """

    name: str
    description: str
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        is_name = self.name.isascii() and self.name.isidentifier() and len(self.name) <= 64
        if not is_name or not self.description.strip():
            raise InvalidInputError(
                "A tool needs a name of at most 64 letters, digits and _, and a description, got "
                f"{self.name!r:.80} and {self.description!r:.60}."
            )
        unknown = [key for key, p in self.parameters.items() if p.get("type") not in _TYPES]
        if unknown:
            raise InvalidInputError(
                f"Tool {self.name!r}: the type of the argument {unknown[0]!r} must be one of "
                f"{', '.join(_TYPES)}, got {self.parameters[unknown[0]].get('type')!r}."
            )

    @property
    def schema(self) -> dict[str, Any]:
        """JSON schema of the object with all arguments."""
        return {
            "type": "object",
            "properties": {name: dict(schema) for name, schema in self.parameters.items()},
            "required": list(self.parameters),
            "additionalProperties": False,
        }

    def argument_error(self, arguments: Mapping[str, object]) -> str:
        """Return why the arguments do not match the schema; "" if they match."""
        missing = [name for name in self.parameters if name not in arguments]
        extra = [name for name in arguments if name not in self.parameters]
        if missing or extra:
            parts = [f"missing argument {name!r}" for name in missing]
            parts += [f"unknown argument {name!r:.60}" for name in extra]
            return ", ".join(parts)
        for name, schema in self.parameters.items():
            value = arguments[name]
            is_bool = isinstance(value, bool) and schema["type"] != "boolean"
            if is_bool or not isinstance(value, _TYPES[schema["type"]]):
                return f"argument {name!r} must be a {schema['type']}, got {value!r:.60}"
            if "enum" in schema and value not in schema["enum"]:
                known = ", ".join(map(str, schema["enum"]))
                return f"argument {name!r} must be one of {known:.300}; got {value!r:.60}"
        return ""


@dataclass(frozen=True, slots=True)
class CallRequest:
    """A call that a controller requests.

    Attributes:
        tool: name of the tool.
        arguments: values of the arguments by name (JSON).
    """

    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Text that is equal for equal calls; the order of the arguments has no effect."""
        return f"{self.tool} {to_json(dict(sorted(self.arguments.items())), indent=None)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call with its result, or a step of a controller that could not be run.

    Attributes:
        tool: name of the requested tool; "" if the step could not be parsed.
        arguments: arguments of the call; {} if they could not be parsed.
        result: text that the controller receives; begins with "failed: " if there is an error.
        error: why there is no result; "" if the tool returned one.
        seconds: duration of the call.
        malformed: text of a step, or of arguments, that could not be parsed, at most 200
            characters; "" otherwise.
    """

    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    result: str
    error: str = ""
    seconds: float = 0.0
    malformed: str = ""

    @property
    def request(self) -> CallRequest:
        """Tool and arguments of the call."""
        return CallRequest(self.tool, self.arguments)


@dataclass(frozen=True, slots=True)
class _CallList:
    calls: tuple[ToolCall, ...]


def calls_to_json(calls: Sequence[ToolCall]) -> str:
    """Return calls as JSON text for `Response.details`."""
    return to_json(_CallList(tuple(calls)), indent=None)


def calls_of(response: Response) -> tuple[ToolCall, ...] | None:
    """Return the calls in the details of a response; None if it is not the response of an agent.

    Raises:
        InvalidInputError: if the details are damaged.
    """
    text = response.details.get(CALLS_KEY)
    return None if text is None else from_json(_CallList, str(text)).calls
