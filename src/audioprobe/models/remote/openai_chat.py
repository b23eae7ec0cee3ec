"""Chat models behind an OpenAI-compatible endpoint that takes sound: OpenAI, vLLM, SGLang, ..."""

import json
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from threading import Event
from typing import Any, TypeVar, cast

import httpx2
import openai

from audioprobe.errors import InvalidInputError, RemoteError
from audioprobe.models.remote.audio_support import AudioSupport, check_audio_support
from audioprobe.models.remote.budget import Budget, RateLimiter
from audioprobe.models.remote.endpoint import Endpoint
from audioprobe.models.remote.openai_format import (
    Messages,
    decoding_fields,
    messages_of,
    response_of,
    trial_of,
    usage_of,
)
from audioprobe.models.remote.retry import Retry, attempt
from audioprobe.models.remote.workers import Workers
from audioprobe.types import ComponentInfo, Decoding, Option, Prompt, Response

T = TypeVar("T")

_OURS = frozenset(("model", "messages", "stream", "n", "temperature", "top_p", "top_k", "seed"))
_OURS |= {"repetition_penalty", "max_tokens", "max_completion_tokens"}
_TRIAL = Decoding(max_new_tokens=64)


class OpenAIChat:
    """A remote chat model, asked about sounds.

    Several prompts are under way at once, and answers come in order. Sounds are sent as WAV files
    of 16 bits inside `input_audio`, before the question; examples become turns of user and
    assistant. Failed attempts (408, 409, 429, 5xx, timeouts, unusable answers) are repeated with
    growing waits, or after the time that the service asks for. An answer that is withheld, refused
    or empty is an error of its prompt, never an empty caption. Wrap it in a `CachedModel` to keep
    answers across runs.

    Some endpoints drop a sound without a word. Before its first sound, one to four small requests
    find that out (`hears`), and a model that is deaf is not asked.

    Args:
        model: name at the service.
        system: a system message before every prompt.
        sample_rate: Hz that sounds are resampled to before they are sent; None keeps their own,
            and the service resamples.
        extra_body: further fields of every request, such as
            {"chat_template_kwargs": {"enable_thinking": False}}. They are recorded: no secrets.
        base_url: the service; by default what the environment variable OPENAI_BASE_URL names, and
            else OpenAI's.
        api_key_env: environment variable that holds the key; it is read at the first request and
            kept in no record. With a `base_url` it may be unset.
        concurrency: prompts under way at once; twice as many are taken from the stream.
        timeout_s: of one whole attempt, from connecting to the last byte of the answer.
        retry: when to try again.
        requests_per_minute: at most, evenly spaced.
        max_requests: stop before sending more, repeated attempts and redirects included.
        max_usd: stop before spending more. A request counts with a bound before it is sent (bytes
            of text, 50 tokens per second of sound, all new tokens), then with the service's count.
        usd_per_million_input_tokens: price, of sound where that costs more than text.
        usd_per_million_output_tokens: price of new tokens.
        check_hearing: False leaves out the check for deaf endpoints.

    Raises:
        InvalidInputError: for a spending limit without prices, secrets in the base URL, options
            that make no sense, or a proxy in the environment that is none.
        MissingDependencyError: for a SOCKS proxy without the package that it needs.
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
        check_hearing: bool = True,
    ) -> None:
        if not model or timeout_s <= 0 or (sample_rate is not None and sample_rate < 1):
            raise InvalidInputError(
                "A chat model needs a name, timeout_s > 0 and sample_rate >= 1, got "
                f"{model!r}, {timeout_s} and {sample_rate}."
            )
        prices = (usd_per_million_input_tokens, usd_per_million_output_tokens)
        if max_usd is not None and None in prices:
            raise InvalidInputError(
                f"max_usd needs the prices of {model!r}: pass usd_per_million_input_tokens and "
                "usd_per_million_output_tokens."
            )
        self._model = model
        self._system = system
        self._sample_rate = sample_rate
        self._extra = _checked(extra_body or {})
        self._endpoint = Endpoint(
            "chat service",
            model,
            base_url=base_url,
            api_key_env=api_key_env,
            timeout_s=timeout_s,
            advice={400: "Check that the model takes sound, and what this prompt asks for."},
            instead="a service of your own (base_url)",
        )
        self._retry = retry or Retry()
        self._workers = Workers(concurrency)
        self._pace = RateLimiter(requests_per_minute)
        self._must_listen = check_hearing
        self._hearing: AudioSupport | None = None
        self._listening = threading.Lock()
        self.budget = Budget(max_requests, max_usd, prices[0] or 0.0, prices[1] or 0.0)

    @property
    def info(self) -> ComponentInfo:
        """Model, service and what is added to each prompt; never the key."""
        options: dict[str, Option] = {
            "system": self._system,
            "sample_rate": self._sample_rate,
            "base_url": self._endpoint.base_url,
            "extra_body": json.dumps(self._extra, sort_keys=True) if self._extra else None,
        }
        given = {name: value for name, value in options.items() if value is not None}
        return ComponentInfo("language_model", self._model, "", given)

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        """Answers, in order, one per prompt.

        The first failure ends the stream, after the answers to all prompts before it. What was
        under way then is not asked again if it is among the next prompts.

        Args:
            prompts: taken as they are needed, up to twice the concurrency ahead.
            decoding: None is greedy; services promise no more than to try to repeat an answer.

        Raises:
            InvalidInputError: for an empty text, or one that is no Unicode.
            UnsupportedInputError: for a decoding that OpenAI's own service has no fields for.
            RemoteError: when a prompt failed for good or its answer has no text; final where there
                is no key, the endpoint is deaf, a limit was reached, or the service refuses
                everything.
        """
        chosen = decoding or Decoding()
        fields = decoding_fields(chosen, is_openai=self._endpoint.is_openai)
        limit = chosen.max_new_tokens
        self._endpoint.check_key()

        def respond(prompt: Prompt, stop: Event) -> Response:
            self._listen_first(prompt, stop)
            messages = messages_of(prompt, self._system, self._sample_rate)

            def read(answer: Mapping[str, Any]) -> Response:
                return response_of(answer, self._model, limit, self._endpoint.censored)

            response = self._ask(messages, fields, limit, read, stop)
            if not messages.n_cut:
                return response
            return replace(
                response, details={**response.details, "samples cut off": messages.n_cut}
            )

        return self._workers.answers(prompts, respond, lambda p: (p.digest(), chosen))

    def hears(self) -> AudioSupport:
        """Find out whether sounds reach the model, by one to four small requests.

        Raises:
            RemoteError: if the service refuses a sound, or fails.
        """
        return self._listen(Event())

    def _listen(self, stop: Event) -> AudioSupport:
        fields = decoding_fields(_TRIAL, is_openai=self._endpoint.is_openai)

        def ask(prompt: Prompt) -> Response:
            messages = messages_of(prompt, self._system, self._sample_rate)

            def read(answer: Mapping[str, Any]) -> Response:
                return trial_of(answer, self._endpoint.without_key)

            return self._ask(messages, fields, _TRIAL.max_new_tokens, read, stop)

        return check_audio_support(ask)

    def _listen_first(self, prompt: Prompt, stop: Event) -> None:
        """Before the first sound: refuse to go on with an endpoint that drops or refuses it."""
        if prompt.audio is None and all(e.audio is None for e in prompt.examples):
            return
        with self._listening:
            if not self._must_listen:
                return
            if self._hearing is None:
                self._hearing = self._listen_or_doubt(stop)
            if self._hearing.heard is False:
                raise RemoteError(
                    f"{self._model!r} was not asked, for sounds do not reach it. "
                    f"{self._hearing.evidence} Serve a model that hears.",
                    final=True,
                )
            self._must_listen = False
        if self._hearing.heard is None:
            warnings.warn(
                f"It cannot be told whether {self._model!r} hears. {self._hearing.evidence}",
                stacklevel=2,
            )

    def _listen_or_doubt(self, stop: Event) -> AudioSupport:
        try:
            return self._listen(stop)
        except RemoteError as error:
            if error.status is None or error.retryable or error.final:
                raise
            return AudioSupport(False, f"The service refuses a short test sound: {error}")

    def _ask(
        self,
        messages: Messages,
        fields: Mapping[str, Any],
        limit: int,
        read: Callable[[Mapping[str, Any]], T],
        stop: Event,
    ) -> T:
        """What `read` makes of the answer, after as many attempts as it takes."""

        async def create(client: openai.AsyncOpenAI) -> httpx2.Response:
            answer = await client.chat.completions.with_raw_response.create(
                model=self._model,
                messages=cast("Any", messages.turns),
                extra_body={**self._extra, **fields},
            )
            return answer.http_response

        def once() -> T:
            self._pace.wait(stop)
            with self.budget.charge(messages.n_tokens, limit, stop) as charge:
                answer = self._endpoint.ask(create, "a chat completion", self.budget.count_redirect)
                usage = usage_of(answer)
                charge.n_input = usage.get("prompt_tokens", charge.n_input)
                charge.n_output = usage.get("completion_tokens", charge.n_output)
                return read(answer)

        return attempt(once, self._retry, stop)

    def __getstate__(self) -> dict[str, object]:
        """Without the lock, so that it can be sent to other processes."""
        return {k: v for k, v in self.__dict__.items() if k != "_listening"}

    def __setstate__(self, state: dict[str, object]) -> None:
        """Restore, with a lock of its own."""
        self.__dict__.update(state)
        self._listening = threading.Lock()


def _checked(extra_body: Mapping[str, object]) -> dict[str, object]:
    """Further fields, if they are JSON and none of those that are set here.

    Raises:
        InvalidInputError: otherwise.
    """
    taken = sorted(_OURS & set(extra_body))
    if taken:
        raise InvalidInputError(
            f"extra_body must not hold {', '.join(taken)}: the model, the decoding and the prompts "
            "say that."
        )
    try:
        copy: dict[str, object] = json.loads(json.dumps(dict(extra_body), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"extra_body must be JSON: {error}.") from error
    return copy
