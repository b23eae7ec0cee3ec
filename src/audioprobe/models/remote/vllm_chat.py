"""Chat models served by vLLM, which can also compute likelihoods of given answers."""

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
"""Request fields of vLLM: leave the last message open, and return logprobs of the prompt."""


class VllmChat(OpenAIChat):
    """An `OpenAIChat` for a vLLM server, which also computes likelihoods.

    The implementation follows vLLM's documentation of `prompt_logprobs`. It was tested with a local
    server that answers in this format, not with vLLM itself.
    """

    def log_likelihood(
        self, prompts: Iterable[Prompt], continuations: Sequence[str]
    ) -> Iterator[Sequence[LogLikelihood]]:
        """Yield the log-likelihoods of all continuations as assistant's answer to each prompt.

        One request is sent per prompt and continuation. Whether the audio is encoded only once
        depends on the server's cache.

        Args:
            prompts: read lazily, at most twice the concurrency ahead.
            continuations: texts, exactly as the assistant would write them.

        Raises:
            InvalidInputError: if a text is empty, or if the endpoint is OpenAI's.
            RemoteError: if a prompt failed permanently, or if the tokens of a continuation cannot
                be
                identified: the chat template changes it, or a token crosses its start.
        """
        if self._client.is_openai:
            raise InvalidInputError(
                "OpenAI's service has no likelihoods of given answers. Pass the base_url of a vLLM "
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
