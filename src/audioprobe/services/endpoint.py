"""An OpenAI-compatible service: address, key, and its errors in our own words."""

import os
from collections.abc import Callable, Mapping
from functools import cached_property
from urllib.parse import urlsplit

import openai

from audioprobe.errors import RemoteError
from audioprobe.services.keys import checked_address, keep_out_of_logs, key_from, without
from audioprobe.services.requests import Refusal, retry_after

DEFAULT_URL = "https://api.openai.com/v1"

_FINAL = frozenset({401, 402, 403, 404})  # wrong key, no money, no right, no such model
_RETRYABLE = frozenset({408, 409, 429})  # and everything from 500
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
        timeout_s: of one attempt.
        advice: what to do, by HTTP status, where that is peculiar to this service.
        instead: what needs no key, for the message that there is none.

    Raises:
        InvalidInputError: for secrets in the base URL.
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
        self._advice = {
            401: f"Check the key in the environment variable {api_key_env}.",
            403: "This key may not use this model.",
            404: f"Check the model name {model!r} and the base URL.",
            **advice,
        }

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
        _ = self._client

    def ask(self, call: Callable[[openai.OpenAI], bytes]) -> bytes:
        """The body of the service's answer.

        Args:
            call: makes one request with the client.

        Raises:
            Refusal: for any other answer and for none; its words never hold the key.
        """
        client = self._client
        try:
            return call(client)
        except openai.APIStatusError as error:
            refusal = self._refusal(error)
        except openai.APITimeoutError:
            refusal = Refusal(f"No answer within {self._timeout_s:g} s.", retryable=True)
        except openai.APIConnectionError as error:
            cause = type(error.__cause__ or error).__name__
            refusal = Refusal(f"No connection to the service ({cause}).", retryable=True)
        # Raised here, outside the handlers, the refusal does not carry the client's error, whose
        # request has the key in its headers.
        raise refusal

    def censored(self, text: str) -> str:
        """What a service said, without the key, and short."""
        return without(self._client.api_key, " ".join(text.split()))[:_SHOWN]

    def _refusal(self, error: openai.APIStatusError) -> Refusal:
        status = error.status_code
        # The client's key, not the environment's: that one may have changed since.
        words = self.censored(_message(error))
        out_of_money = "insufficient_quota" in (error.code, error.type)
        retryable = not out_of_money and (status in _RETRYABLE or status >= 500)
        mend = self._advice.get(status, "The account is out of credit." if out_of_money else "")
        wait = retry_after(error.response.headers)
        asked = f"It asks to wait {wait:.0f} s." if wait else ""
        parts = (f"The {self._service} answered {status}: {words!r}.", mend, asked)
        return Refusal(
            " ".join(part for part in parts if part),
            status=status,
            retryable=retryable,
            final=out_of_money or status in _FINAL,
            wait_s=wait,
        )

    @cached_property
    def _client(self) -> openai.OpenAI:
        key = key_from(self._api_key_env)
        if key:
            keep_out_of_logs(key)
        elif self.base_url is None:
            raise RemoteError(
                f"No key: set the environment variable {self._api_key_env}, or use "
                f"{self._instead}.",
                final=True,
            )
        return openai.OpenAI(
            api_key=key or _NO_KEY,
            base_url=self.base_url or DEFAULT_URL,
            timeout=self._timeout_s,
            max_retries=0,  # ours count against the budget
        )

    def __getstate__(self) -> dict[str, object]:
        """Without connection and key, so that it can be sent to other processes."""
        return {k: v for k, v in self.__dict__.items() if k != "_client"}


def _message(error: openai.APIStatusError) -> str:
    """What an error response says."""
    body = error.body
    text = body.get("message") if isinstance(body, dict) else None
    return str(text or error.response.text)
