"""Chat models of Hugging Face transformers, with ears or without.

The auto classes find the network, the processor's chat template writes the prompt. Prompts that
share a batch are encoded one by one and padded on the left; those whose features have other shapes
do not share one. So the company changes no answer.
"""

import inspect
import warnings
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from audioprobe.errors import InvalidInputError, UnsupportedInputError
from audioprobe.models.causal_lm.batching import answer_in_batches
from audioprobe.models.causal_lm.dtypes import dtype_of
from audioprobe.models.causal_lm.generation import (
    GeneratedTokens,
    continue_batch,
    generate_each,
    left_padded,
)
from audioprobe.models.causal_lm.gguf import plain_folder
from audioprobe.models.causal_lm.lazy import encode_lazily
from audioprobe.models.causal_lm.likelihood import PER_TOKEN, log_likelihood
from audioprobe.models.causal_lm.tokenization import refuse_ids_beyond
from audioprobe.models.chat.inputs import Chat, Encoded
from audioprobe.models.chat.loading import load_model, load_processor
from audioprobe.types import ComponentInfo, Decoding, LogLikelihood, Prompt, Response
from audioprobe.weights import resolve


class TransformersLM:
    """A chat model of transformers: one that hears (Qwen2-Audio and others), or text alone.

    Sounds are resampled to the model's rate. In-context examples become turns of the conversation,
    with their sounds where the model takes several. `Response.details` reports
    what the model's processor cuts off a long sound ("truncated audio (s)"). Questions about a
    sound that follow each other encode it once. What reads like a control token in a text is
    refused, or split where there is no chat template. A template that asks for the date gets a
    fixed one, which `info` has. Weights are read as safetensors, and code that comes with them is
    never run.

    Args:
        model: a local folder or a hub name; models of text alone may also come as one GGUF file.
        dtype: "float32", "bfloat16" or "float16"; a model takes 4, 2 or 2 bytes per parameter.
        device: "cpu", "cuda", ...
        batch_size: prompts answered at once; does not change answers beyond rounding.
        system: what the system turn says; None leaves it to the model's chat template.

    Raises:
        InvalidInputError: for an empty system text, or one that holds a control token.
        WeightsError: if files are missing, damaged, of a kind that transformers does not know, or
            do not belong together.
        MissingDependencyError: if transformers needs another package for this model.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        dtype: str = "float32",
        device: str = "cpu",
        batch_size: int = 8,
        system: str | None = None,
    ) -> None:
        numbers = dtype_of(dtype)
        if batch_size < 1:
            raise InvalidInputError(f"batch_size must be at least 1, got {batch_size}.")
        if system is not None and not system.strip():
            raise InvalidInputError("system must be a text or None, got an empty text.")
        weights = resolve(str(model))
        folder = plain_folder(weights)
        self._net: Any = load_model(folder, numbers, device)
        encode_lazily(self._net)
        self._chat = Chat(load_processor(folder, self._net), system)
        refuse_ids_beyond(
            self._chat.tokenizer, len(self._net.get_input_embeddings().weight), str(model)
        )
        self._ends = _ends(self._net, self._chat.tokenizer)
        self._batch_size = batch_size
        self._info = ComponentInfo(
            "language_model",
            Path(model).name if weights.origin == "path" else str(model),
            weights.revision(),
            {"dtype": dtype, "system": system}
            | ({} if self._chat.date is None else {"date": self._chat.date}),
        )

    @property
    def info(self) -> ComponentInfo:
        """Model, hash of its files, number format, system text, and the template's date if any."""
        return self._info

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        """Answers, in order, one per prompt.

        Args:
            prompts: each with a sound if the model hears, or without.
            decoding: None is greedy; the model's own generation config is not used.

        Raises:
            InvalidInputError: for an empty question, a text with a control token, or an answer that
                is nothing but reasoning.
            UnsupportedInputError: for a sound that the model cannot take, a prompt that its chat
                template refuses, or one that is beyond its context.
            OutOfMemoryError: if a single prompt does not fit into the memory.
        """
        chosen = decoding or Decoding()

        def answer(batch: Sequence[Encoded]) -> list[Response]:
            return self._answer(batch, chosen)

        encoded = (self._encode(prompt, chosen.max_new_tokens) for prompt in prompts)
        yield from answer_in_batches(encoded, self._batch_size, answer)

    def log_likelihood(
        self, prompts: Iterable[Prompt], continuations: Sequence[str]
    ) -> Iterator[Sequence[LogLikelihood]]:
        """Log-likelihood of each continuation after each prompt, which is encoded once.

        A continuation is tokenised by itself, without special tokens, and appended to what the
        chat template puts before an answer; a leading space counts. Where that opens reasoning, a
        warning says so.

        Raises:
            InvalidInputError: for an empty continuation, or a control token that cannot be split.
            NonFiniteError: if a continuation has no finite log-likelihood.
            UnsupportedInputError: as for `generate`.
            OutOfMemoryError: if a single prompt does not fit into the memory.
        """
        ids = [self._chat.continuation(text) for text in continuations]
        longest = max(map(len, ids), default=0)
        for prompt in prompts:
            encoded = self._encode(prompt, longest)
            for where, seconds in encoded.not_heard.items():
                warnings.warn(f"{where}: {seconds}. The sound is too long.", stacklevel=2)
            if encoded.opening:
                warnings.warn(
                    f"The chat template opens reasoning ({encoded.opening.strip()!r}): "
                    "continuations are rated as its beginning, and not as an answer.",
                    stacklevel=2,
                )
            inputs = self._on_device(encoded.inputs)
            self._choose_adapters(inputs)
            yield log_likelihood(self._net, inputs, ids)

    def _encode(self, prompt: Prompt, n_new: int) -> Encoded:
        encoded = self._chat.encode(prompt)
        config = self._net.config.get_text_config(decoder=True)
        limit = getattr(config, "max_position_embeddings", None)
        if limit is not None and encoded.length + n_new > limit:
            raise UnsupportedInputError(
                f"A prompt of {encoded.length} tokens and {n_new} new ones exceed the model's "
                f"context of {limit} tokens. Shorten the prompt or its sound, or allow fewer new "
                "tokens."
            )
        return encoded

    def _answer(self, batch: Sequence[Encoded], decoding: Decoding) -> list[Response]:
        groups: dict[Hashable, list[int]] = {}
        for position, encoded in enumerate(batch):
            groups.setdefault(self._shape(encoded), []).append(position)
        found: dict[int, GeneratedTokens] = {}
        for members in groups.values():
            answers = generate_each(
                [batch[n] for n in members], decoding, lambda some: self._continue(some, decoding)
            )
            found |= dict(zip(members, answers, strict=True))
        return [self._respond(found[n], encoded) for n, encoded in enumerate(batch)]

    def _shape(self, encoded: Encoded) -> Hashable:
        """What prompts of one batch must have in common."""
        features = tuple(
            (name, tuple(tensor.shape[1:]))
            for name, tensor in sorted(encoded.inputs.items())
            if name not in (*PER_TOKEN, "input_ids")
        )
        # A recurrent state has seen the pads, and without positions they would count as tokens.
        padded = "position_ids" in inspect.signature(self._net.forward).parameters
        alike = padded and not getattr(self._net, "_is_stateful", False)
        return features, (None if alike else encoded.length)

    def _continue(self, batch: Sequence[Encoded], decoding: Decoding) -> list[GeneratedTokens]:
        inputs = self._on_device(_together([encoded.inputs for encoded in batch]))
        return continue_batch(self._net, inputs, decoding, self._ends)

    def _on_device(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors that the network takes, where it is and in its number format."""
        taken = inspect.signature(self._net.forward).parameters
        return {
            name: tensor.to(
                self._net.device, self._net.dtype if tensor.is_floating_point() else None
            )
            for name, tensor in inputs.items()
            if name in taken or name not in PER_TOKEN
        }

    def _choose_adapters(self, inputs: Mapping[str, Tensor]) -> None:
        """Granite Speech has an adapter for prompts with sound, which its `generate` switches."""
        loaded = getattr(self._net, "_hf_peft_config_loaded", False)
        if loaded and getattr(self._net.config, "has_lora_adapter", False):
            hears = "input_features" in inputs
            (self._net.enable_adapters if hears else self._net.disable_adapters)()

    def _respond(self, answer: GeneratedTokens, encoded: Encoded) -> Response:
        text = encoded.opening + self._chat.decode(answer.ids)
        finish = "stop" if answer.ended else "length"
        return Response(text.strip(), finish, details=encoded.not_heard)  # type: ignore[arg-type]


def _together(rows: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """One batch; pads repeat a row's last token, so that a repetition penalty sees nothing new."""
    longest = max(row["input_ids"].shape[1] for row in rows)
    ids = []
    for row in rows:
        own = row["input_ids"][0]
        ids.append(torch.cat([own[-1:].expand(longest - len(own)), own]))
    batch = {"input_ids": torch.stack(ids)}
    for name in rows[0]:
        if name in PER_TOKEN:
            batch[name] = left_padded([row[name][0] for row in rows], 0)
        elif name != "input_ids":
            batch[name] = torch.cat([row[name] for row in rows])
    return batch


def _ends(net: Any, tokenizer: Any) -> tuple[int, ...]:  # noqa: ANN401
    """Tokens that end an answer."""
    given = net.generation_config.eos_token_id
    if given is None:
        given = tokenizer.eos_token_id
    if given is None:
        return ()
    return tuple(given) if isinstance(given, list | tuple) else (given,)
