"""Chat models served by vLLM, which also returns likelihoods of given answers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from threading import Event
from typing import Any

from audioprobe.errors import InvalidInputError
from audioprobe.models.remote.openai_chat import OpenAIChat
from audioprobe.models.remote.openai_format import build_messages
from audioprobe.models.remote.prompt_logprobs import read_likelihood
from audioprobe.types import LogLikelihood, Prompt

_FIELDS: dict[str, Any] = {
    "add_generation_prompt": False,
    "continue_final_message": True,
    "prompt_logprobs": 1,
    "max_tokens": 1,
    "temperature": 0.0,
}
"""Fields of vLLM: the last message is not closed, and every token of the prompt gets a logprob."""


class VllmChat(OpenAIChat):
    """An `OpenAIChat` for a vLLM server, with likelihoods.

    The format is that of vLLM's documented `prompt_logprobs`; it was tested with a local server
    that answers in this format, not with vLLM.
    """

    def log_likelihood(
        self, prompts: Iterable[Prompt], continuations: Sequence[str]
    ) -> Iterator[Sequence[LogLikelihood]]:
        """Yield for each prompt the log-likelihood of every continuation as the assistant's answer.

        One request is sent per prompt and continuation; whether the audio is encoded only once
        depends on the server's cache.

        Args:
            prompts: consumed lazily, up to twice the concurrency ahead.
            continuations: exactly as the assistant would write them.

        Raises:
            InvalidInputError: for an empty text, or if the endpoint is OpenAI's.
            RemoteError: if a prompt failed for good, or the tokens of a continuation cannot be
                identified because the chat template changes it or a token crosses its start.
        """
        if self._client.is_openai:
            raise InvalidInputError(
                "OpenAI's service has no likelihoods of given answers: pass the base_url of a vLLM "
                "server."
            )
        if not continuations:
            for _ in prompts:
                yield ()
            return
        self._client.check_key()
        pairs = ((prompt, text) for prompt in prompts for text in continuations)
        values = self._client.workers.map(pairs, self._likelihood, lambda p: (p[0].digest(), p[1]))
        while row := tuple(islice(values, len(continuations))):
            yield row

    def _likelihood(self, pair: tuple[Prompt, str], stop: Event) -> LogLikelihood:
        prompt, continuation = pair
        self._require_audio_support(prompt, stop)
        messages = build_messages(prompt, self._system, self._sample_rate)
        messages.add("assistant", continuation)

        def read(answer: Mapping[str, Any]) -> LogLikelihood:
            return read_likelihood(answer, continuation)

        return self._request(messages, _FIELDS, 1, read, stop)
