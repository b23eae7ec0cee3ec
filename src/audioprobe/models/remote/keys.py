"""Read API keys from the environment, and remove them from messages and logs."""

import logging
import os
from contextlib import suppress
from urllib.parse import urlsplit

from audioprobe.errors import InvalidInputError

_LIBRARIES = frozenset({"openai", "httpx2", "httpcore2"})  # whose loggers may print headers
_REPLACEMENT = "[key]"


def read_key(variable: str) -> str:
    """Return the key in an environment variable, or "" if the variable is unset.

    Raises:
        InvalidInputError: if the value cannot be a key.
    """
    key = os.environ.get(variable, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise InvalidInputError(
            f"The environment variable {variable} contains line breaks or characters that are not "
            "ASCII, which a key cannot contain. Set the variable again."
        )
    return key


def redact(key: str, text: str) -> str:
    """Return the text with the key replaced, including its escaped form."""
    for form in {key, repr(key)[1:-1]} - {""}:
        text = text.replace(form, _REPLACEMENT)
    return text


def redact_logs(key: str) -> None:
    """Remove the key from all log records of the HTTP client's libraries.

    At level DEBUG, these libraries log response headers, in which a service may repeat the key.
    """
    _filter.keys |= {key}  # a new set, since other threads may be logging
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in _LIBRARIES:
            # A logger applies only its own filters, not those of its parents.
            logging.getLogger(name).addFilter(_filter)


def check_base_url(base_url: str) -> str:
    """Return the address unchanged; raise if it is invalid or contains secrets.

    The address is recorded with results and logged, so it must not contain secrets.
    """
    parts = None
    with suppress(ValueError):
        split = urlsplit(base_url)
        _ = split.port  # raises for an invalid port
        parts = split
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InvalidInputError("base_url must be an address such as http://localhost:8000/v1.")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise InvalidInputError(
            "base_url must not contain user, password, query or fragment: it is recorded. Put "
            "the key into the environment variable that api_key_env names."
        )
    return base_url


class _KeyFilter(logging.Filter):
    def __init__(self) -> None:
        super().__init__()
        self.keys: frozenset[str] = frozenset()

    def filter(self, record: logging.LogRecord) -> bool:
        message = redacted = record.getMessage()
        for key in self.keys:
            redacted = redact(key, redacted)
        if redacted != message:
            record.msg, record.args = redacted, ()
        return True


_filter = _KeyFilter()
