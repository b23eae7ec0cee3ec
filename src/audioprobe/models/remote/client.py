"""Requests to an OpenAI-compatible service, with its key, limits, retries and errors."""

import json
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from threading import Event
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx2
import openai

from audioprobe.errors import InvalidInputError, RemoteError
from audioprobe.models.concurrency import PicklableLock, Workers
from audioprobe.models.remote.budget import Budget, TokenUsage
from audioprobe.models.remote.connections import (
    MAX_REDIRECTS,
    Connections,
    Route,
    check_base_url,
    proxy_for,
)
from audioprobe.models.remote.retry import (
    RequestFailedError,
    Retry,
    ServiceError,
    call_with_retries,
    find_error,
    retry_after,
)

T = TypeVar("T")

DEFAULT_URL = "https://api.openai.com/v1"

_FINAL = frozenset({401, 402, 403, 404})  # wrong key, no credit, no permission, no such model
_PROXY_STATUSES = frozenset({407, 502, 503, 504})
_MAX_QUOTE = 200  # maximum number of characters quoted from a service's message
_NO_KEY = "unset"  # the openai client requires a key; local services ignore it
_LIBRARIES = frozenset({"openai", "httpx2", "httpcore2"})  # their loggers may print headers


class ServiceClient:
    """Client for requests to one model of one service.

    Args:
        service: kind of service, for messages, such as "chat service".
        advice: what the user can do after an error, by HTTP status.
        alternative: what the user can use without a key; for the message if the key is missing.

    `OpenAIChat` describes the other arguments.

    Attributes:
        base_url: address of the service; None means OpenAI's address.
        budget: counts and limits of requests and money.
        workers: threads for concurrent requests.
    """

    def __init__(
        self,
        service: str,
        model: str,
        *,
        base_url: str | None,
        api_key_env: str,
        concurrency: int,
        timeout_s: float,
        retry: Retry | None,
        budget: Budget,
        advice: Mapping[int, str],
        alternative: str,
    ) -> None:
        if not model or timeout_s <= 0:
            raise InvalidInputError(
                f"The {service} needs a model name and timeout_s > 0, got {model!r}, {timeout_s}."
            )
        # Read the variable here, so that it is recorded; the openai client would read it silently.
        url = os.environ.get("OPENAI_BASE_URL") or None if base_url is None else base_url
        self.base_url = None if url is None else check_base_url(url)
        self.budget = budget
        self.workers = Workers(concurrency)
        self._service = service
        self._api_key_env = api_key_env
        self._timeout_s = timeout_s
        self._retry = retry or Retry()
        self._alternative = alternative
        self._advice = {
            401: f"Check the key in the environment variable {api_key_env}.",
            403: "This key may not use this model.",
            404: f"Check the model name {model!r} and the base URL.",
            407: "Add user and password to the proxy's address in its environment variable.",
            **advice,
        }
        self._lock = PicklableLock()
        self._connections: Connections | None = None
        self._key = ""
        proxy_for(self.base_url or DEFAULT_URL)  # raises for an invalid proxy

    @property
    def is_openai(self) -> bool:
        """Whether this is OpenAI's service, which accepts only the parameters that it documents."""
        host = urlsplit(self.base_url or DEFAULT_URL).hostname or ""
        return f".{host}".endswith(".api.openai.com")

    def check_key(self) -> None:
        """Raise `RemoteError` if the service needs a key and none is set."""
        self._connect()

    def request(
        self,
        path: str,
        body: Mapping[str, object] | None,
        read: Callable[[Mapping[str, Any], TokenUsage], T],
        *,
        expected: str,
        n_input: int,
        n_output: int = 0,
        stop: Event,
    ) -> T:
        """Send a request, repeat it if it fails, and return the answer as converted by `read`.

        Args:
            path: path of the request after the base URL, such as "/embeddings", or a whole URL.
            body: fields of the request (JSON); None sends a GET instead of a POST.
            read: converts the answer (JSON); raises `RequestFailedError` if it is unusable. It may
                replace the token counts by those that the service reports.
            expected: description of the answer for messages, such as "a chat completion".
            n_input: upper bound of the number of tokens sent.
            n_output: upper bound of the number of tokens received.
            stop: event that another thread sets if the request is no longer needed.

        Raises:
            RemoteError: if the request failed permanently. The message never contains the key.
        """

        def attempt() -> T:
            with self.budget.charge(n_input, n_output, stop) as usage:
                return read(self._send(path, body, expected), usage)

        return call_with_retries(attempt, self._retry, stop)

    def quote(self, text: str) -> str:
        """Shorten a text from the service to one line of 200 characters, and remove the key."""
        return " ".join(self.redact(text).split())[:_MAX_QUOTE]

    def redact(self, text: str) -> str:
        """Replace the key in a text from the service by "[key]"."""
        return _redact(self._key, text)

    def _send(self, path: str, body: Mapping[str, object] | None, expected: str) -> dict[str, Any]:
        """Send the request once and return the answer as a dict; raise `RequestFailedError`."""
        connections = self._connect()
        route = Route(self.budget.count_redirect)
        try:
            response = connections.send(path, body, self._timeout_s, route)
            return self._json_object(response.content, expected, route)
        except TimeoutError:
            failure = RequestFailedError(
                f"No answer within {self._timeout_s:g} s (timeout_s){route}.", retryable=True
            )
        except openai.APIStatusError as error:
            failure = self._status_error(error, route)
        except openai.APIConnectionError as error:
            failure = self._connection_error(error.__cause__ or error, route)
        # Raise outside the handlers: the client's error contains a request with the key in its
        # headers, and must not become part of the exception chain.
        raise failure

    def _json_object(self, body: bytes, expected: str, route: Route) -> dict[str, Any]:
        received = "other JSON"
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError) as error:
            answer, received = None, f"{len(body)} bytes that are not JSON ({type(error).__name__})"
        if not isinstance(answer, dict):
            text = self.quote(body.decode(errors="replace"))
            raise RequestFailedError(
                f"Expected {expected}, got {received}: {text!r}{route}.", retryable=True
            )
        error_in_answer = find_error(answer)
        if error_in_answer is not None:
            raise self._reported_error(error_in_answer, route)
        return answer

    def _status_error(self, error: openai.APIStatusError, route: Route) -> RequestFailedError:
        """Return the error for an answer with an HTTP status of 400 or above."""
        reported = ServiceError.from_json(error.body, error.status_code)
        if not reported.message:
            reported = replace(reported, message=error.response.text)
        # Mention the proxy only for statuses with which a proxy itself may answer.
        is_from_proxy = route.proxy is not None and error.status_code in _PROXY_STATUSES
        shown = route if is_from_proxy or len(route.addresses) > 1 else None
        return self._reported_error(reported, shown, retry_after(error.response.headers))

    def _reported_error(
        self, error: ServiceError, route: Route | None, wait_s: float | None = None
    ) -> RequestFailedError:
        """Return an exception with the message of the service, and with advice for the user."""
        advice = "The account is out of credit." if error.is_out_of_credit else ""
        if error.status is not None:
            advice = self._advice.get(error.status, advice)
        status = "with an error" if error.status is None else str(error.status)
        quoted = f"{self.quote(error.message)!r}{route or ''}"
        wait = f"It asks to wait {wait_s:.0f} s." if wait_s else ""
        parts = (f"The {self._service} answered {status}: {quoted}.", advice, wait)
        return RequestFailedError(
            " ".join(part for part in parts if part),
            status=error.status,
            retryable=error.is_retryable,
            final=error.is_out_of_credit or error.status in _FINAL,
            wait_s=wait_s,
        )

    def _connection_error(self, cause: BaseException, route: Route) -> RequestFailedError:
        if isinstance(cause, httpx2.TooManyRedirects):
            return RequestFailedError(
                f"The {self._service} does not stop redirecting: there were {MAX_REDIRECTS} "
                f"redirects, the last to {self.quote(route.addresses[-1])}. Check the base URL.",
                final=True,
            )
        # Messages of other errors may contain headers, and so the key.
        is_quotable = isinstance(cause, httpx2.ConnectError | httpx2.ProxyError) and str(cause)
        message = f": {self.quote(str(cause))}" if is_quotable else ""
        return RequestFailedError(
            f"No connection to the {self._service} ({type(cause).__name__}{message}){route}.",
            retryable=not isinstance(cause, httpx2.UnsupportedProtocol),
        )

    def _connect(self) -> Connections:
        """Return the connections; create them at the first request and after a fork."""
        with self._lock:
            if self._connections is None or not self._connections.is_usable:
                # Store the key that is sent, because the variable may change later.
                self._key = _read_key(self._api_key_env)
                if not self._key and self.base_url is None:
                    raise RemoteError(
                        f"The key is missing: set the environment variable {self._api_key_env}, or "
                        f"use {self._alternative}.",
                        final=True,
                    )
                url = self.base_url or DEFAULT_URL
                self._connections = Connections(url, self._key or _NO_KEY)
                if self._key:
                    _redact_logs(self._key)
            return self._connections

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_connections": None, "_key": ""}


def _read_key(variable: str) -> str:
    """Return the key in an environment variable, or "" if the variable is unset."""
    key = os.environ.get(variable, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise InvalidInputError(
            f"The environment variable {variable} contains line breaks or characters that are not "
            "ASCII, which a key cannot contain. Set the variable again."
        )
    return key


def _redact(key: str, text: str) -> str:
    """Replace a key and its escaped form in a text by "[key]"."""
    for form in {key, repr(key)[1:-1]} - {""}:
        text = text.replace(form, "[key]")
    return text


class _KeyFilter(logging.Filter):
    """Filter that removes keys from log records."""

    keys: frozenset[str] = frozenset()

    def filter(self, record: logging.LogRecord) -> bool:
        message = redacted = record.getMessage()
        for key in self.keys:
            redacted = _redact(key, redacted)
        if redacted != message:
            record.msg, record.args = redacted, ()
        return True


_filter = _KeyFilter()


def _redact_logs(key: str) -> None:
    """Remove a key from all log records of the libraries that send requests.

    At level DEBUG, these libraries log response headers, in which a service may repeat the key.
    """
    _filter.keys |= {key}  # a new set, since other threads may be logging
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in _LIBRARIES:
            # A logger applies only its own filters, not those of its parents.
            logging.getLogger(name).addFilter(_filter)
