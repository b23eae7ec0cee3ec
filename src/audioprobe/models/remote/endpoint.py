"""An OpenAI-compatible service: address, key, and its errors in our own words."""

import json
import os
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import httpx2
import openai

from audioprobe.errors import RemoteError
from audioprobe.models.remote.connections import MAX_REDIRECTS, Connections, Route
from audioprobe.models.remote.keys import checked_address, keep_out_of_logs, key_from, without
from audioprobe.models.remote.proxies import proxy_for
from audioprobe.models.remote.retry import RequestFailedError, retry_after
from audioprobe.models.remote.service_errors import ServiceError, error_in

Call: TypeAlias = Callable[[openai.AsyncOpenAI], Awaitable[httpx2.Response]]

DEFAULT_URL = "https://api.openai.com/v1"

_FINAL = frozenset({401, 402, 403, 404})  # wrong key, no money, no right, no such model
_OF_PROXIES = frozenset({407, 502, 503, 504})
_SHOWN = 200  # characters of a service's message
_NO_KEY = "unset"  # the client insists on one; local services do not look at it


class Endpoint:
    """Where requests go.

    Args:
        service: what it is, for messages: "embedding service".
        model: name at the service, for messages.
        base_url: its address; None takes the environment variable OPENAI_BASE_URL, and else
            OpenAI's.
        api_key_env: environment variable that holds the key; read at the first request and kept in
            no record. With a base URL it may be unset.
        timeout_s: of one whole attempt, from the look-up of the name to the answer's last byte.
        advice: what to do, by HTTP status, where that is peculiar to this service.
        instead: what needs no key, for the message that there is none.

    Raises:
        InvalidInputError: for secrets in the base URL, or a proxy in the environment that is none.
        MissingDependencyError: for a SOCKS proxy without the package that it needs.
    """

    def __init__(
        self,
        service: str,
        model: str,
        *,
        base_url: str | None,
        api_key_env: str,
        timeout_s: float,
        advice: Mapping[int, str],
        instead: str,
    ) -> None:
        # The client would obey this variable too, and nothing would tell of it.
        url = os.environ.get("OPENAI_BASE_URL") or None if base_url is None else base_url
        self.base_url = None if url is None else checked_address(url)
        self._service = service
        self._api_key_env = api_key_env
        self._timeout_s = timeout_s
        self._instead = instead
        proxy_for(self._address)  # told now, not as the failure of each clip
        self._advice = {
            401: f"Check the key in the environment variable {api_key_env}.",
            403: "This key may not use this model.",
            404: f"Check the model name {model!r} and the base URL.",
            407: "Put user and password of the proxy into the variable that names it.",
            **advice,
        }
        self._start()

    def _start(self) -> None:
        self._connections: Connections | None = None
        self._connecting = threading.Lock()
        self._key = ""

    @property
    def is_openai(self) -> bool:
        """Whether it is OpenAI's own service, which takes no parameters but its own."""
        host = urlsplit(self.base_url or DEFAULT_URL).hostname or ""
        return host == "api.openai.com" or host.endswith(".api.openai.com")

    def check_key(self) -> None:
        """Tell of a missing key before anything is prepared.

        Raises:
            RemoteError: if there is none, and the service needs one.
            InvalidInputError: for characters that no key has.
        """
        self._connect()

    def ask(self, call: Call, expected: str, on_redirect: Callable[[], None]) -> dict[str, Any]:
        """Return the service's answer: a JSON object that is no error.

        Args:
            call: makes one request with the client.
            expected: what it asks for, for messages: "a chat completion".
            on_redirect: called before each further request that a redirect asks for; may raise.

        Raises:
            Refusal: for any other answer and for none; its words never hold the key.
        """
        connections = self._connect()
        route = Route(on_redirect)
        try:
            response = connections.run(call, self._timeout_s, route)
            return self._object(response.content, expected, route)
        except TimeoutError:
            refusal = RequestFailedError(
                f"No answer within {self._timeout_s:g} s{route}.", retryable=True
            )
        except openai.APIStatusError as error:
            refusal = self._status_refusal(error, route)
        except openai.APIConnectionError as error:
            refusal = self._no_connection(error.__cause__ or error, route)
        # Raised here, outside the handlers, the refusal does not carry the client's error, whose
        # request has the key in its headers.
        raise refusal

    def censored(self, text: str) -> str:
        """What a service said, without the key, and short."""
        return " ".join(self.without_key(text).split())[:_SHOWN]

    def without_key(self, text: str) -> str:
        """What a service said, whole, without the key."""
        return without(self._key, text)

    def _object(self, body: bytes, expected: str, route: Route) -> dict[str, Any]:
        """The JSON object of a body with status 200, if it is one and no error."""
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError) as error:
            cause = f"({type(error).__name__}): {self.censored(body.decode(errors='replace'))!r}"
            answer, received = None, f"{len(body)} bytes that are no JSON {cause}"
        else:
            received = f"other JSON: {self.censored(body.decode(errors='replace'))!r}"
        if not isinstance(answer, dict):
            raise RequestFailedError(f"Expected {expected}, got {received}{route}.", retryable=True)
        failure = error_in(answer)
        if failure is not None:
            raise self._refusal(failure, route)
        return answer

    def _status_refusal(self, error: openai.APIStatusError, route: Route) -> RequestFailedError:
        response = error.response
        failure = ServiceError.of(error.body, error.status_code)
        if not failure.message:
            failure = replace(failure, message=response.text)
        # A proxy answers with these itself; elsewhere it is of no interest.
        by_proxy = route.proxy is not None and error.status_code in _OF_PROXIES
        shown = route if by_proxy or len(route.addresses) > 1 else None
        return self._refusal(failure, shown, retry_after(response.headers))

    def _refusal(
        self, failure: ServiceError, route: Route | None, wait_s: float | None = None
    ) -> RequestFailedError:
        mend = "The account is out of credit." if failure.is_out_of_credit else ""
        if failure.status is not None:
            mend = self._advice.get(failure.status, mend)
        status = "with an error" if failure.status is None else str(failure.status)
        parts = (
            f"The {self._service} answered {status}: {self.censored(failure.message)!r}"
            f"{route or ''}.",
            mend,
            f"It asks to wait {wait_s:.0f} s." if wait_s else "",
        )
        return RequestFailedError(
            " ".join(part for part in parts if part),
            status=failure.status,
            retryable=failure.is_retryable,
            final=failure.is_out_of_credit or failure.status in _FINAL,
            wait_s=wait_s,
        )

    def _no_connection(self, cause: BaseException, route: Route) -> RequestFailedError:
        if isinstance(cause, httpx2.TooManyRedirects):
            return RequestFailedError(
                f"The {self._service} redirects without end: {MAX_REDIRECTS} redirects, the last "
                f"to {self.censored(route.addresses[-1])}. Check the base URL.",
                final=True,
            )
        # Those of other kinds may quote headers.
        quoted = isinstance(cause, httpx2.ConnectError | httpx2.ProxyError) and str(cause)
        words = f": {self.censored(str(cause))}" if quoted else ""
        return RequestFailedError(
            f"No connection to the {self._service} ({type(cause).__name__}{words}){route}.",
            retryable=not isinstance(cause, httpx2.UnsupportedProtocol),
        )

    def _connect(self) -> Connections:
        """The connections of this process; made at the first request."""
        with self._connecting:
            if self._connections is None or not self._connections.is_usable:
                # Kept, for the environment's may change, and this one was sent.
                self._key = self._read_key()
                self._connections = Connections(self._address, self._key or _NO_KEY)
                if self._key:
                    keep_out_of_logs(self._key)
            return self._connections

    def _read_key(self) -> str:
        key = key_from(self._api_key_env)
        if not key and self.base_url is None:
            raise RemoteError(
                f"No key: set the environment variable {self._api_key_env}, or use "
                f"{self._instead}.",
                final=True,
            )
        return key

    @property
    def _address(self) -> str:
        return self.base_url or DEFAULT_URL

    def __getstate__(self) -> dict[str, object]:
        """Without connections and key, so that it can be sent to other processes."""
        own = ("_connections", "_connecting", "_key")
        return {k: v for k, v in self.__dict__.items() if k not in own}

    def __setstate__(self, state: dict[str, object]) -> None:
        """Restore, without a connection."""
        self.__dict__.update(state)
        self._start()
