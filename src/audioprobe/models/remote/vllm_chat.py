"""Chat models behind vLLM, which also says how probable a given answer is."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from threading import Event
from typing import Any

from audioprobe.errors import InvalidInputError
from audioprobe.models.remote.openai_chat import OpenAIChat
from audioprobe.models.remote.openai_format import messages_of
from audioprobe.models.remote.prompt_logprobs import likelihood_of
from audioprobe.types import LogLikelihood, Prompt

_FIELDS: dict[str, Any] = {
    "add_generation_prompt": False,
    "continue_final_message": True,
    "prompt_logprobs": 1,
    "max_tokens": 1,
    "temperature": 0.0,
}
"""vLLM's own fields: the last message is left open, and every token of the prompt is rated."""


class VllmChat(OpenAIChat):
    """An `OpenAIChat` whose endpoint is a vLLM server: with likelihoods, for `base_url` alone.

    The form of vLLM's answers is that of its documented `prompt_logprobs`; this was tried on a
    local server of that form, not yet on vLLM itself.
    """

    def log_likelihood(
        self, prompts: Iterable[Prompt], continuations: Sequence[str]
    ) -> Iterator[Sequence[LogLikelihood]]:
        """For each prompt, the log-likelihood of every continuation as the assistant's words.

        A request per prompt and continuation; whether the sound is encoded once is up to the
        server's cache.

        Args:
            prompts: taken as they are needed, up to twice the concurrency ahead.
            continuations: exactly as the assistant would write them.

        Raises:
            InvalidInputError: for an empty text, or an endpoint that is OpenAI's own.
            RemoteError: when a prompt failed for good; where the chat template changes a
                continuation, or a token reaches across its start, so that it cannot be told apart.
        """
        if self._endpoint.is_openai:
            raise InvalidInputError(
                "OpenAI's service gives no likelihoods of given answers: pass the base_url of a "
                "vLLM server."
            )
        if not continuations:
            for _ in prompts:
                yield ()
            return
        self._endpoint.check_key()
        pairs = ((prompt, text) for prompt in prompts for text in continuations)
        found = self._workers.answers(pairs, self._rate, lambda p: (p[0].digest(), p[1]))
        while row := tuple(islice(found, len(continuations))):
            yield row

    def _rate(self, pair: tuple[Prompt, str], stop: Event) -> LogLikelihood:
        prompt, continuation = pair
        self._listen_first(prompt, stop)
        messages = messages_of(prompt, self._system, self._sample_rate)
        messages.say("assistant", continuation, None, None)

        def read(answer: Mapping[str, Any]) -> LogLikelihood:
            return likelihood_of(answer, continuation)

        return self._ask(messages, _FIELDS, 1, read, stop)
