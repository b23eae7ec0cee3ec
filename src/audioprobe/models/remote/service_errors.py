"""Errors that a service reports in the body of an answer, whatever its HTTP status."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

_RETRYABLE = frozenset({408, 409, 425, 429})  # and everything from 500
_TRANSIENT = re.compile(
    r"over.?load|unavailable|rate.?limit|too.?many.?requests|time.?d?.?out|deadline.?exceeded"
    r"|server.?error|internal.?error|resource.?exhausted|temporar|try.?again|retry|\bbusy\b"
    r"|\b(?:is|still|currently).(?:being.)?(?:load|start|warm)",
    re.IGNORECASE,
)
"""What services call errors that pass; looked for where there is no status."""

_NO_CREDIT = frozenset({"insufficient_quota", "insufficient_balance", "insufficient_credits"})
_STATUSES = ("code", "status", "status_code", "statusCode", "error_code", "http_status")
_KINDS = ("type", "code", "status")
_WORDS = ("message", "detail", "msg", "error_description", "error", "error_msg")


@dataclass(frozen=True, slots=True)
class ServiceError:
    """What a service says went wrong.

    Attributes:
        message: its words; "" where it has none.
        status: an HTTP status from 400 to 599; None where it names none.
        kinds: its own names of the error, such as "insufficient_quota".
    """

    message: str
    status: int | None = None
    kinds: tuple[str, ...] = ()

    @classmethod
    def of(cls, body: object, status: int | None = None) -> Self:
        """Read an error object, or a text in its place.

        Args:
            body: the JSON that describes the error.
            status: of the HTTP answer; None takes what the body names.
        """
        if not isinstance(body, Mapping):
            return cls(body if isinstance(body, str) else "", status)
        own = [code for name in _STATUSES if (code := _http_status(body.get(name))) is not None]
        kinds = [body.get(name) for name in _KINDS]
        words = next((body[name] for name in _WORDS if body.get(name)), "")
        return cls(
            words if isinstance(words, str) else json.dumps(words, ensure_ascii=False),
            status if status is not None else next(iter(own), None),
            tuple(kind for kind in kinds if isinstance(kind, str)),
        )

    @property
    def is_out_of_credit(self) -> bool:
        """Whether the account is empty, so that waiting does not help."""
        return not _NO_CREDIT.isdisjoint(self.kinds)

    @property
    def is_retryable(self) -> bool:
        """Whether the same request may succeed later, as far as status, kinds and words tell."""
        if self.is_out_of_credit:
            return False
        if self.status is not None:
            return self.status in _RETRYABLE or self.status >= 500
        return any(_TRANSIENT.search(text) for text in (*self.kinds, self.message))


def error_in(answer: Mapping[str, Any]) -> ServiceError | None:
    """Return the error that an answer with status 200 reports, or None where it reports none.

    Known forms are {"error": {...}}, {"error": "text"}, {"errors": [...]}, {"object": "error"},
    {"choices": [{"error": {...}}]}, and words without content, such as {"detail": "text"}.
    """
    for name in ("error", "errors"):
        error = answer.get(name)
        if isinstance(error, list) and error:
            error = error[0]
        if name == "error" and not error:
            error = _error_of_choice(answer)
        if error:
            found = ServiceError.of(error)
            whole = ServiceError.of({**answer, name: None})
            return ServiceError(
                found.message or whole.message or json.dumps(error, ensure_ascii=False),
                found.status or whole.status,
                found.kinds + whole.kinds,
            )
    has_content = bool(answer.get("choices") or answer.get("data"))
    found = ServiceError.of(answer)
    if answer.get("object") == "error" or (found.message and not has_content):
        return found
    return None


def _error_of_choice(answer: Mapping[str, Any]) -> object:
    choices = answer.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first.get("error") if isinstance(first, dict) else None


def _http_status(value: object) -> int | None:
    """A number from 400 to 599, also as text; None for anything else."""
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return int(text) if re.fullmatch(r"[45][0-9]{2}", text) else None
