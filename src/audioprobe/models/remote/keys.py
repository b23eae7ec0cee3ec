"""Keys: where they come from, and where they must not go."""

import logging
import os
from urllib.parse import SplitResult, urlsplit

from audioprobe.errors import InvalidInputError

_LIBRARIES = frozenset({"openai", "httpx2", "httpcore2"})  # the client and what it stands on
_INSTEAD = "[key]"


def key_from(variable: str) -> str:
    """The key in an environment variable, "" where there is none.

    Raises:
        InvalidInputError: for characters that no header takes; does not show them.
    """
    key = os.environ.get(variable, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise InvalidInputError(
            f"The environment variable {variable} holds line breaks or characters beyond ASCII, "
            "which no key has. Set it again."
        )
    return key


def without(key: str, text: str) -> str:
    """The text, with something else in the place of the key; also where the text quotes it."""
    for form in {key, repr(key)[1:-1]} - {""}:
        text = text.replace(form, _INSTEAD)
    return text


def keep_out_of_logs(key: str) -> None:
    """Make the client's libraries log without the key, at every level.

    They do not log what they send, but at DEBUG they log headers that come back, and a service may
    echo the key in them.
    """
    _redaction.keys |= {key}  # replaced, since other threads may be logging
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in _LIBRARIES:
            # A logger asks only its own filters, not those of its parents.
            logging.getLogger(name).addFilter(_redaction)


def checked_address(base_url: str) -> str:
    """The address as it is, for it goes into records and into the client's own logs.

    Raises:
        InvalidInputError: if it is none, or holds what may be a secret; does not show it.
    """
    parts = _parts(base_url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidInputError("base_url must be an address such as http://localhost:8000/v1.")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise InvalidInputError(
            "base_url must hold no user, password, query or fragment, since it is recorded: put "
            "the key into the environment variable that api_key_env names."
        )
    return base_url


def _parts(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # checked only when it is asked for
    except ValueError:
        return None
    return parts


class _Redaction(logging.Filter):
    """Replaces keys in records; lets every record pass."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: frozenset[str] = frozenset()

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        redacted = message
        for key in self.keys:
            redacted = without(key, redacted)
        if redacted != message:
            record.msg, record.args = redacted, ()
        return True


_redaction = _Redaction()
