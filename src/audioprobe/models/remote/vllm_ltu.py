"""LTU with its language model on a vLLM server, and its audio encoder on this machine."""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Any

from audioprobe.devices import placement
from audioprobe.errors import InvalidInputError, UnsupportedInputError
from audioprobe.models.causal_lm.likelihood import require_tokens, warn_of_truncation
from audioprobe.models.causal_lm.loading import dtype_of
from audioprobe.models.choices import choose
from audioprobe.models.ltu.audio_frontend import load_frontend
from audioprobe.models.ltu.checkpoint import load_ltu
from audioprobe.models.ltu.prompt_embedder import LTUPromptEmbedder, TokenizedPrompt
from audioprobe.models.ltu.serving import require_prompt_embeddings
from audioprobe.models.ltu.trainable import LTUPrompts
from audioprobe.models.remote.budget import Budget
from audioprobe.models.remote.client import ServiceClient
from audioprobe.models.remote.ltu_server import (
    REFERENCE,
    REFERENCE_ANSWER,
    check_reference,
    find_served_ltu,
    local_reference,
)
from audioprobe.models.remote.next_tokens import NextTokens, next_tokens, sequence_totals
from audioprobe.models.remote.openai_format import decoding_fields
from audioprobe.models.remote.prompt_embeddings import MAX_TOKENS_PER_REQUEST, PromptEmbeddingServer
from audioprobe.models.remote.retry import Retry
from audioprobe.protocols import LanguageModel
from audioprobe.types import ComponentInfo, Decoding, InfoRepr, LogLikelihood, Prompt, Response

DEFAULT_URL = "http://localhost:8000/v1"
"""Address of a vLLM server that was started without options, on this machine."""


class VllmLTU(InfoRepr):
    """LTU or LTU-AS whose language model runs on a vLLM server.

    Start the server with the command that `audioprobe export MODEL --to vllm --out FOLDER` prints.
    This object loads the checkpoint, keeps audio encoder, connector and word embeddings, and sends
    the embeddings of each prompt. Greedy responses equal those of `LTU`, up to the rounding of
    other kernels. Sampled responses differ, as the server has its own random numbers.

    When the object is created, it checks that the server serves the same revision, by its name and
    by the likelihood of a fixed answer. An answer from another version or configuration of the
    server is an error.

    Args:
        name_or_path: as for `LTU.from_pretrained`.
        base: as for `LTU.from_pretrained`.
        whisper: as for `LTU.from_pretrained`.
        transcriber: as for `LTU.from_pretrained`.
        device: device of the audio encoder: "auto" (a GPU if there is one), "cpu", "cuda", ...
        base_url: address of the server; None uses the environment variable OPENAI_BASE_URL or else
            "http://localhost:8000/v1".
        api_key_env: environment variable with the key of the server; it may be unset. The key is
            never recorded.
        concurrency: maximum number of requests in progress.
        timeout_s: time limit of one attempt in seconds.
        retry: when to repeat a failed request; None uses the default `Retry`.
        max_requests: maximum number of requests, including repeated attempts; None means no limit.

    Attributes:
        budget: number of requests and tokens.
        training_data: recordings that the model was trained on; None if unknown.

    Raises:
        InvalidInputError: if the base URL is OpenAI's, is invalid or contains secrets.
        WeightsError: if a file is missing or damaged.
        UnsupportedInputError: if layers of the language model read the audio, so that it is not a
            part of the prompt.
        RemoteError: if the server cannot be reached, serves another model or revision, or computes
            other likelihoods.
    """

    def __init__(
        self,
        name_or_path: str | Path,
        *,
        base: str | Path | None = None,
        whisper: str | Path | None = None,
        transcriber: LanguageModel | None = None,
        device: str = "auto",
        base_url: str | None = None,
        api_key_env: str = "OPENAI_API_KEY",
        concurrency: int = 16,
        timeout_s: float = 120.0,
        retry: Retry | None = None,
        max_requests: int | None = None,
    ) -> None:
        checkpoint = load_ltu(name_or_path, base)
        net, prompts = checkpoint.net, LTUPrompts(checkpoint.tokenizer)
        require_prompt_embeddings(net)
        self.budget = Budget(max_requests, None, 0.0)
        self.training_data = checkpoint.training_data
        self._transcriber = transcriber
        self._client = ServiceClient(
            "vLLM server",
            Path(checkpoint.origin.checkpoint).stem,
            base_url=base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_URL,
            api_key_env=api_key_env,
            concurrency=concurrency,
            timeout_s=timeout_s,
            retry=retry,
            budget=self.budget,
            advice={400: "Check the options of the server: `audioprobe export` prints them."},
            alternative="a local server",
        )
        if self._client.is_openai:
            raise InvalidInputError("Expected the base_url of a vLLM server, received OpenAI's.")
        served = find_served_ltu(checkpoint, self._client)
        self._max_length = served.max_length or net.llama.config.max_position_embeddings
        self._end = prompts.eos_token_id
        self._server = PromptEmbeddingServer(self._client, served.name, self._end)
        reference = local_reference(net, prompts)
        device, _ = placement(device, "float32")
        frontend = load_frontend(
            net.config.audio, whisper=whisper or checkpoint.whisper, device=device
        )
        self._embedder = LTUPromptEmbedder(
            net, prompts, frontend, transcriber, device=device, dtype=dtype_of(served.dtype)
        )
        options = {"engine": "vLLM", "engine_version": served.engine_version}
        self._info = checkpoint.info({"dtype": served.dtype, **options, **frontend.options})
        ((remote,),) = self.log_likelihood([REFERENCE], [REFERENCE_ANSWER])
        check_reference(reference, remote, served.dtype)

    @property
    def info(self) -> ComponentInfo:
        """As for `LTU`, with the data type and the version of vLLM on the server."""
        if self._transcriber is None:
            return self._info
        return replace(self._info, parts={"transcriber": self._transcriber.info})

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        """Yield one response per prompt, in order.

        Several requests are in progress at once. An error is raised after the responses to all
        earlier prompts. A repetition penalty needs the chat template of the exported folder, with
        which the server tokenizes the text.

        Args:
            prompts: as for `LTU.generate`; read lazily, up to twice the concurrency in advance.
            decoding: decoding settings; None is greedy. Choices are compared by their likelihood.

        Raises:
            InvalidInputError: if a question is empty.
            UnsupportedInputError: if an example has audio, audio is shorter than 25 ms, or a prompt
                exceeds the server's context.
            RemoteError: if a request failed permanently.
        """
        decoding = decoding or Decoding()
        if decoding.choices:
            return self._choose(prompts, decoding)
        fields = decoding_fields(decoding, is_openai=False)

        def respond(prompt: Prompt, stop: Event) -> Response:
            return self._respond(prompt, decoding, fields, stop)

        return self._client.workers.map(prompts, respond, lambda p: (p.digest(), decoding))

    def log_likelihood(
        self, prompts: Iterable[Prompt], continuations: Sequence[str]
    ) -> Iterator[Sequence[LogLikelihood]]:
        """Yield the log-likelihood of each continuation for each prompt.

        One request is sent for each different beginning of the continuations, as vLLM returns no
        likelihoods of the tokens of prompt embeddings. A warning reports truncated audio.

        Raises:
            InvalidInputError: if a question is empty or a continuation has no tokens.
            UnsupportedInputError: as for `generate`.
            NonFiniteError: if a log-likelihood is not finite.
            RemoteError: if a request failed permanently.
        """
        ids = self._embedder.continuation_ids(continuations)
        require_tokens(ids)
        for prompt, values in self._likelihoods(prompts, ids):
            warn_of_truncation(self._embedder.truncation(prompt))
            yield values

    def _choose(self, prompts: Iterable[Prompt], decoding: Decoding) -> Iterator[Response]:
        """Yield for each prompt the response that must be one of `decoding.choices`."""
        ids = [[*row, self._end] for row in self._embedder.continuation_ids(decoding.choices)]
        for prompt, values in self._likelihoods(prompts, ids):
            response = choose([value.total for value in values], decoding)
            details = {**response.details, **self._embedder.truncation(prompt)}
            yield replace(response, details=details)

    def _likelihoods(
        self, prompts: Iterable[Prompt], sequences: Sequence[Sequence[int]]
    ) -> Iterator[tuple[Prompt, list[LogLikelihood]]]:
        """Yield each prompt with the log-likelihood of each sequence of token ids after it."""
        steps = next_tokens(sequences, MAX_TOKENS_PER_REQUEST)
        if not steps:
            yield from ((prompt, []) for prompt in prompts)
            return
        lengths = [len(ids) for ids in sequences]
        read_prompts: deque[Prompt] = deque()

        def requests() -> Iterator[tuple[Prompt, str, NextTokens]]:
            for prompt in prompts:
                read_prompts.append(prompt)
                digest = prompt.digest()
                yield from ((prompt, digest, step) for step in steps)

        def compute(request: tuple[Prompt, str, NextTokens], stop: Event) -> list[float]:
            prompt, _, step = request
            encoded = self._embedder.encode(prompt)
            self._check_length(encoded, max(lengths))
            before = self._embedder.embed(encoded, step.prefix)
            return self._server.next_logprobs(before, step.tokens, stop)

        answers = self._client.workers.map(requests(), compute, lambda request: request[1:])
        while rows := list(islice(answers, len(steps))):
            totals = sequence_totals(sequences, steps, rows)
            values = [LogLikelihood(*pair) for pair in zip(totals, lengths, strict=True)]
            yield read_prompts.popleft(), values

    def _respond(
        self, prompt: Prompt, decoding: Decoding, fields: Mapping[str, Any], stop: Event
    ) -> Response:
        encoded, n_new = self._embedder.encode(prompt), decoding.max_new_tokens
        self._check_length(encoded, n_new)
        if decoding.repetition_penalty == 1:
            output = self._server.generate(self._embedder.embed(encoded), fields, n_new, stop)
        else:
            text = self._embedder.text_with_start(encoded.text)
            output = self._server.generate_after_text(
                encoded.audio, text, encoded.ids, fields, n_new=n_new, stop=stop
            )
        details = self._embedder.truncation(prompt)
        return Response(self._embedder.decode(output.ids), output.finish, details=details)

    def _check_length(self, prompt: TokenizedPrompt, n_new: int) -> None:
        if prompt.n_positions + n_new > self._max_length:
            raise UnsupportedInputError(
                f"A prompt of {prompt.n_positions} tokens and {n_new} new tokens exceed the "
                f"server's context of {self._max_length} tokens. Shorten the prompt, allow fewer "
                "new tokens, or start the server with a larger --max-model-len."
            )
