"""Chat models behind an OpenAI-compatible API that accepts audio: OpenAI, vLLM, SGLang, ..."""

import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from threading import Event
from typing import Any, TypeVar

from audioprobe.errors import InvalidInputError, RemoteError
from audioprobe.models.concurrency import PicklableLock
from audioprobe.models.remote.audio_support import AudioSupport, check_audio_support
from audioprobe.models.remote.budget import Budget, TokenUsage
from audioprobe.models.remote.client import ServiceClient
from audioprobe.models.remote.openai_format import (
    ChatMessages,
    build_messages,
    checked_extra_body,
    decoding_fields,
    read_response,
    read_unchecked,
    read_usage,
)
from audioprobe.models.remote.retry import Retry
from audioprobe.types import ComponentInfo, Decoding, InfoRepr, Option, Prompt, Response

T = TypeVar("T")

_CHECK_DECODING = Decoding(max_new_tokens=64)


class OpenAIChat(InfoRepr):
    """A remote chat model that answers questions about audio.

    Several prompts are in progress at once; responses are in the order of the prompts. Audio is
    sent as 16-bit WAV in `input_audio`, before the question. In-context examples become turns of
    user and assistant. A failed attempt (status 408, 409, 429 or 5xx, timeout, unusable answer) is
    repeated after a wait. If the service withholds or refuses an answer, or if the answer is empty,
    its prompt raises an error. Use `CachedModel` to store responses across runs.

    Some endpoints silently ignore audio. Before the first audio clip is sent, one to four small
    requests check this (`check_audio_support`). If audio is ignored, prompts with audio raise an
    error.

    Args:
        model: model name at the service.
        system: system message before every prompt.
        sample_rate: rate in Hz to which audio is resampled before it is sent; None does not
            resample, and leaves resampling to the service.
        extra_body: further fields of every request, such as
            {"chat_template_kwargs": {"enable_thinking": False}}. The fields are recorded with
            results, so they must not contain secrets.
        base_url: address of the service; None uses the environment variable OPENAI_BASE_URL or else
            OpenAI's address.
        api_key_env: environment variable that contains the key. The key is read at the first
            request and is never recorded. With a `base_url`, the variable may be unset.
        concurrency: maximum number of prompts in progress; twice as many are read in advance.
        timeout_s: time limit of one attempt, from connecting to the last byte of the answer.
        retry: when to repeat a failed request; None uses the default `Retry`.
        requests_per_minute: maximum rate; requests are spaced evenly.
        max_requests: maximum number of requests, including repeated attempts and redirects.
        max_usd: maximum amount of money to spend. A request in progress counts with an upper bound
            of its tokens (one per byte of text, 50 per second of audio, all new tokens), and
            afterwards with the token counts that the service reports.
        usd_per_million_input_tokens: price of tokens sent; if audio tokens cost more, their price.
        usd_per_million_output_tokens: price of generated tokens.
        check_audio: False skips the check whether audio reaches the model.

    Attributes:
        budget: requests and money spent.
        system: system message before every prompt; None if there is none.

    Raises:
        InvalidInputError: if `max_usd` is set without prices, the base URL contains secrets, an
            option is invalid, or the environment contains an invalid proxy.
        MissingDependencyError: if a SOCKS proxy is set and the package for its protocol is missing.
    """

    def __init__(
        self,
        model: str,
        *,
        system: str | None = None,
        sample_rate: int | None = None,
        extra_body: Mapping[str, object] | None = None,
        base_url: str | None = None,
        api_key_env: str = "OPENAI_API_KEY",
        concurrency: int = 8,
        timeout_s: float = 120.0,
        retry: Retry | None = None,
        requests_per_minute: float | None = None,
        max_requests: int | None = None,
        max_usd: float | None = None,
        usd_per_million_input_tokens: float | None = None,
        usd_per_million_output_tokens: float | None = None,
        check_audio: bool = True,
    ) -> None:
        if sample_rate is not None and sample_rate < 1:
            raise InvalidInputError(f"sample_rate must be at least 1 Hz, got {sample_rate}.")
        prices = (usd_per_million_input_tokens, usd_per_million_output_tokens)
        if max_usd is not None and None in prices:
            raise InvalidInputError(
                f"max_usd needs the prices of {model!r}: pass usd_per_million_input_tokens and "
                "usd_per_million_output_tokens."
            )
        self._model = model
        self.system = system
        self._sample_rate = sample_rate
        self._extra_body = checked_extra_body(extra_body or {})
        price_in, price_out = (price or 0.0 for price in prices)
        self.budget = Budget(
            max_requests, max_usd, price_in, price_out, requests_per_minute=requests_per_minute
        )
        self._client = ServiceClient(
            "chat service",
            model,
            base_url=base_url,
            api_key_env=api_key_env,
            concurrency=concurrency,
            timeout_s=timeout_s,
            retry=retry,
            budget=self.budget,
            advice={400: "Check that the model accepts audio, and the text of this prompt."},
            alternative="a local service (base_url)",
        )
        self._needs_audio_check = check_audio
        self._audio_support: AudioSupport | None = None
        self._check_lock = PicklableLock()

    @property
    def info(self) -> ComponentInfo:
        """Model, service address and options that affect prompts; never the key."""
        extra = json.dumps(self._extra_body, sort_keys=True) if self._extra_body else None
        options: dict[str, Option] = {
            "system": self.system,
            "sample_rate": self._sample_rate,
            "base_url": self._client.base_url,
            "extra_body": extra,
        }
        given = {name: value for name, value in options.items() if value is not None}
        return ComponentInfo("language_model", self._model, "", given)

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        """Yield one response per prompt, in order.

        An error is raised after the responses to all earlier prompts. Requests that are then in
        progress finish in the background. If their prompts are passed again, these responses are
        used instead of new requests.

        Args:
            prompts: read lazily; up to twice the concurrency is read in advance.
            decoding: decoding settings; None is greedy. Services do not guarantee reproducible
                answers.

        Raises:
            InvalidInputError: if a text is empty or contains lone surrogates.
            UnsupportedInputError: if a decoding option is not supported by OpenAI's service.
            RemoteError: if a prompt failed permanently or its answer has no text. The attribute
                `final` is True if all other requests would fail, too: the key is missing, the
                endpoint ignores audio, a limit is reached, or the service rejects all requests.
        """
        chosen = decoding or Decoding()
        fields, limit = self._fields(chosen), chosen.max_new_tokens
        self._client.check_key()

        def read(answer: Mapping[str, Any]) -> Response:
            return read_response(answer, self._model, limit, self._client.quote)

        def respond(prompt: Prompt, stop: Event) -> Response:
            self._require_audio_support(prompt, stop)
            messages = build_messages(prompt, self.system, self._sample_rate)
            response = self._request(messages, fields, limit, read, stop)
            if not messages.n_clipped:
                return response
            details = {**response.details, "samples cut off": messages.n_clipped}
            return replace(response, details=details)

        return self._client.workers.map(prompts, respond, lambda p: (p.digest(), chosen))

    def complete(
        self,
        conversations: Iterable[ChatMessages],
        read: Callable[[Mapping[str, Any], str, int, Callable[[str], str]], T],
        decoding: Decoding | None = None,
        fields: Mapping[str, object] | None = None,
    ) -> Iterator[T]:
        """Yield each answer as converted by `read`, in order; raise errors as `generate` does.

        Args:
            conversations: messages of each request; the system message is not added.
            read: converts an answer; receives the same arguments as `openai_format.read_response`.
            decoding: decoding settings; None is greedy.
            fields: further fields of every request, such as "tools".
        """
        chosen = decoding or Decoding()
        extra = json.dumps(fields or {}, sort_keys=True)
        options = {**self._fields(chosen), **(fields or {})}
        self._client.check_key()

        def convert(answer: Mapping[str, Any]) -> T:
            return read(answer, self._model, chosen.max_new_tokens, self._client.quote)

        def respond(messages: ChatMessages, stop: Event) -> T:
            counted = replace(messages, n_tokens=messages.n_tokens + len(extra.encode()))
            return self._request(counted, options, chosen.max_new_tokens, convert, stop)

        def key(messages: ChatMessages) -> tuple[object, ...]:
            return json.dumps(messages.turns), extra, chosen

        return self._client.workers.map(conversations, respond, key)

    def check_audio_support(self) -> AudioSupport:
        """Check with one to four small requests whether audio reaches the model.

        Raises:
            RemoteError: if a request failed, for example because the service rejects audio.
        """
        return self._check_audio_support(Event())

    def _check_audio_support(self, stop: Event) -> AudioSupport:
        fields = self._fields(_CHECK_DECODING)

        def read(answer: Mapping[str, Any]) -> Response:
            return read_unchecked(answer, self._client.redact)

        def ask(prompt: Prompt) -> Response:
            messages = build_messages(prompt, self.system, self._sample_rate)
            return self._request(messages, fields, _CHECK_DECODING.max_new_tokens, read, stop)

        return check_audio_support(ask)

    def _require_audio_support(self, prompt: Prompt, stop: Event) -> None:
        """Raise `RemoteError` if the prompt has audio, but the endpoint ignores or rejects audio.

        Warn if the check has no certain result.
        """
        if prompt.audio is None and all(e.audio is None for e in prompt.examples):
            return
        with self._check_lock:
            if not self._needs_audio_check:
                return
            if self._audio_support is None:
                self._audio_support = self._audio_support_or_refusal(stop)
            if self._audio_support.supported is False:
                raise RemoteError(
                    f"The prompt was not sent, because audio does not reach {self._model!r}. "
                    f"{self._audio_support.evidence} Use a model that accepts audio.",
                    final=True,
                )
            self._needs_audio_check = False
        if self._audio_support.supported is None:
            warnings.warn(
                f"It is unknown whether audio reaches {self._model!r}. "
                f"{self._audio_support.evidence}",
                stacklevel=2,
            )

    def _audio_support_or_refusal(self, stop: Event) -> AudioSupport:
        """Check whether audio reaches the model; a service that rejects audio does not support it.

        Other failed requests raise `RemoteError`.
        """
        try:
            return self._check_audio_support(stop)
        except RemoteError as error:
            if error.status is None or error.retryable or error.final:
                raise
            return AudioSupport(False, f"The service refuses a short example sound: {error}")

    def _fields(self, decoding: Decoding) -> dict[str, Any]:
        return decoding_fields(decoding, is_openai=self._client.is_openai)

    def _request(
        self,
        messages: ChatMessages,
        fields: Mapping[str, Any],
        limit: int,
        read: Callable[[Mapping[str, Any]], T],
        stop: Event,
    ) -> T:
        """Send a chat request, and return the answer as converted by `read`."""

        def read_with_usage(answer: Mapping[str, Any], usage: TokenUsage) -> T:
            counts = read_usage(answer)
            usage.n_input = counts.get("prompt_tokens", usage.n_input)
            usage.n_output = counts.get("completion_tokens", usage.n_output)
            return read(answer)

        return self._client.request(
            "/chat/completions",
            {"model": self._model, "messages": messages.turns, **self._extra_body, **fields},
            read_with_usage,
            expected="a chat completion",
            n_input=messages.n_tokens,
            n_output=limit,
            stop=stop,
        )
