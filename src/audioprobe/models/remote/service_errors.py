"""Read the errors that a service reports in the body of an answer, with any HTTP status."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

_RETRYABLE = frozenset({408, 409, 425, 429})  # in addition to all statuses >= 500
_TRANSIENT = re.compile(
    r"over.?load|unavailable|rate.?limit|too.?many.?requests|time.?d?.?out|deadline.?exceeded"
    r"|server.?error|internal.?error|resource.?exhausted|temporar|try.?again|retry|\bbusy\b"
    r"|\b(?:is|still|currently).(?:being.)?(?:load|start|warm)",
    re.IGNORECASE,
)
"""Pattern of temporary errors, searched for in errors that have no status."""

_NO_CREDIT = frozenset({"insufficient_quota", "insufficient_balance", "insufficient_credits"})
_STATUS_FIELDS = ("code", "status", "status_code", "statusCode", "error_code", "http_status")
_KIND_FIELDS = ("type", "code", "status")
_MESSAGE_FIELDS = ("message", "detail", "msg", "error_description", "error", "error_msg")


@dataclass(frozen=True, slots=True)
class ServiceError:
    """An error that a service reports.

    Attributes:
        message: text of the error; "" if there is none.
        status: HTTP status from 400 to 599; None if there is none.
        kinds: names that the service gives the error, such as "insufficient_quota".
    """

    message: str
    status: int | None = None
    kinds: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, body: object, status: int | None = None) -> Self:
        """Read an error from a JSON object or from a text."""
        if not isinstance(body, Mapping):
            return cls(body if isinstance(body, str) else "", status)
        codes = [_http_status(body.get(name)) for name in _STATUS_FIELDS]
        kinds = [body.get(name) for name in _KIND_FIELDS]
        message = next((body[name] for name in _MESSAGE_FIELDS if body.get(name)), "")
        return cls(
            message if isinstance(message, str) else json.dumps(message, ensure_ascii=False),
            status if status is not None else next((c for c in codes if c is not None), None),
            tuple(kind for kind in kinds if isinstance(kind, str)),
        )

    @property
    def is_out_of_credit(self) -> bool:
        """Whether the account has no credit left, so that a retry cannot succeed."""
        return not _NO_CREDIT.isdisjoint(self.kinds)

    @property
    def is_retryable(self) -> bool:
        """Whether the same request may succeed later, according to status, kinds and message."""
        if self.is_out_of_credit:
            return False
        if self.status is not None:
            return self.status in _RETRYABLE or self.status >= 500
        return any(_TRANSIENT.search(text) for text in (*self.kinds, self.message))


def find_error(answer: Mapping[str, Any]) -> ServiceError | None:
    """Return the error in an answer with status 200, or None if there is none.

    Known forms are {"error": {...}}, {"error": "text"}, {"errors": [...]}, {"object": "error"},
    {"choices": [{"error": {...}}]}, and an answer with only a message, such as {"detail": "text"}.
    """
    for name in ("error", "errors"):
        error = answer.get(name)
        if isinstance(error, list) and error:
            error = error[0]
        if name == "error" and not error:
            error = _error_of_choice(answer)
        if error:
            inner = ServiceError.from_json(error)
            outer = ServiceError.from_json({**answer, name: None})
            return ServiceError(
                inner.message or outer.message or json.dumps(error, ensure_ascii=False),
                inner.status or outer.status,
                inner.kinds + outer.kinds,
            )
    has_content = bool(answer.get("choices") or answer.get("data"))
    reported = ServiceError.from_json(answer)
    if answer.get("object") == "error" or (reported.message and not has_content):
        return reported
    return None


def _error_of_choice(answer: Mapping[str, Any]) -> object:
    choices = answer.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first.get("error") if isinstance(first, dict) else None


def _http_status(value: object) -> int | None:
    """Convert a number or text to an HTTP status from 400 to 599; return None for other values."""
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return int(text) if re.fullmatch(r"[45][0-9]{2}", text) else None
