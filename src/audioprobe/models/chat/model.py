"""Chat models from Hugging Face transformers, for text and audio or for text only.

The auto classes of transformers select the network, and the processor's chat template formats the
prompt. A batch contains only prompts whose features have the same shapes. Shorter texts are padded
on the left. Responses therefore do not depend on the batch.
"""

import inspect
import warnings
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from torch import Tensor

from audioprobe.devices import placement
from audioprobe.errors import InvalidInputError
from audioprobe.models.causal_lm.batch_inputs import shared_start_inputs, stack_inputs
from audioprobe.models.causal_lm.generation import (
    GeneratedTokens,
    check_context,
    continue_batch,
    run_in_batches,
)
from audioprobe.models.causal_lm.likelihood import (
    complete_log_likelihood,
    log_likelihood,
    warn_of_truncation,
)
from audioprobe.models.causal_lm.loading import dtype_of, plain_folder
from audioprobe.models.causal_lm.prompt_cache import PER_TOKEN, PromptCache
from audioprobe.models.causal_lm.tokenization import refuse_ids_beyond
from audioprobe.models.chat.inputs import EncodedPrompt, PromptEncoder
from audioprobe.models.chat.inspection import ChatInspector
from audioprobe.models.chat.loading import load_model, load_processor
from audioprobe.models.choices import choose
from audioprobe.models.encoding_ahead import encode_ahead
from audioprobe.models.inspected import InspectedModel
from audioprobe.models.random_weights import randomized_info, with_random_weights
from audioprobe.types import ComponentInfo, Decoding, InfoRepr, LogLikelihood, Prompt, Response
from audioprobe.weights import resolve

# transformers 5.24 mixes the states of the prompts in a batch (`extract_key_value`).
_WITHOUT_BATCHES = "rwkv"


class TransformersLM(InspectedModel, InfoRepr):
    """A chat model from transformers, for text and audio (such as Qwen2-Audio) or text only.

    Audio is resampled to the model's rate. In-context examples become turns of the conversation,
    with their audio if the model accepts several clips. `Response.details` reports audio that the
    model's processor drops ("truncated audio (s)"). For consecutive questions about the same audio,
    the audio is encoded once. A text that contains control tokens raises an error. If the model has
    no chat template, control tokens are split into ordinary tokens instead. A template that writes
    today's date gets a fixed date, which is part of `info`. Weights are read from safetensors, and
    code in the model's folder is never run.

    Args:
        model: local folder or hub name; a text model may also be a folder with one GGUF file.
        dtype: "float32", "bfloat16" or "float16": 4, 2 or 2 bytes per parameter; "auto" is bfloat16
            on a GPU.
        device: "auto" (a GPU if there is one), "cpu", "cuda", ...
        batch_size: prompts per forward pass; changes responses only by rounding errors.
        system: text of the system turn; None leaves the system turn to the chat template.

    Raises:
        InvalidInputError: if the system text is empty or contains a control token.
        WeightsError: if files are missing or damaged, have an unknown architecture, or do not
            belong together.
        MissingDependencyError: if transformers needs another package for this model.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        dtype: str = "float32",
        device: str = "auto",
        batch_size: int = 8,
        system: str | None = None,
    ) -> None:
        device, dtype = placement(device, dtype)
        torch_dtype = dtype_of(dtype)
        if batch_size < 1:
            raise InvalidInputError(f"batch_size must be at least 1, got {batch_size}.")
        if system is not None and not system.strip():
            raise InvalidInputError("system must be a text or None, got an empty text.")
        weights = resolve(str(model))
        folder = plain_folder(weights)
        self._net: Any = load_model(folder, torch_dtype, device)
        self._parameters = inspect.signature(self._net.forward).parameters
        self._encoder = PromptEncoder(load_processor(folder, self._net), system)
        tokenizer = self._encoder.tokenizer
        refuse_ids_beyond(tokenizer, len(self._net.get_input_embeddings().weight), str(model))
        self._inspector = ChatInspector(self._net, self._encoder, self._on_device)
        self._ends = _end_tokens(self._net, tokenizer)
        self._batch_size = batch_size
        self._info = ComponentInfo(
            "language_model",
            weights.display_name(model),
            weights.revision(),
            {"dtype": dtype, "system": system}
            | ({} if self._encoder.date is None else {"date": self._encoder.date}),
        )

    @property
    def info(self) -> ComponentInfo:
        """Model name, hash of its files, data type, system text, and the template's date if any."""
        return self._info

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        """Yield one response per prompt, in order; prompts about one clip share their beginning.

        Args:
            prompts: prompts without audio, or with audio if the model accepts audio.
            decoding: decoding settings; None is greedy. The model's published generation config is
                not used.

        Raises:
            InvalidInputError: if a question is empty, a text contains a control token, or a
                response consists of reasoning only.
            UnsupportedInputError: if the model cannot process the audio, its chat template rejects
                the prompt, or the prompt exceeds its context.
            OutOfMemoryError: if a single prompt does not fit into memory.
        """
        decoding = decoding or Decoding()
        if decoding.choices:
            ids = [self._encoder.continuation(text) for text in decoding.choices]
            cache = PromptCache(self._net, self._encoder.placeholders)
            yield from (self._choose(prompt, decoding, ids, cache) for prompt in prompts)
            return

        starts = PromptCache(self._net, self._encoder.placeholders)

        def respond(batch: Sequence[EncodedPrompt]) -> list[Response]:
            return self._respond(batch, decoding, starts)

        encoded = encode_ahead(
            lambda prompt: self._encode(prompt, decoding.max_new_tokens), prompts, self._batch_size
        )
        yield from run_in_batches(encoded, self._batch_size, respond, lambda prompt: prompt.length)

    def log_likelihood(
        self, prompts: Iterable[Prompt], continuations: Sequence[str]
    ) -> Iterator[Sequence[LogLikelihood]]:
        """Yield the log-likelihood of each continuation for each prompt.

        A prompt is processed once, without the beginning that it shares with the prompt before it,
        if both have the same audio. A continuation is tokenised separately, without special
        tokens, and follows the text that the chat template writes before a response; leading spaces
        matter. A warning reports truncated audio and templates that start reasoning.

        Raises:
            InvalidInputError: if a continuation is empty or contains a control token that cannot be
                split.
            NonFiniteError: if the log-likelihood of a continuation is not finite.
            UnsupportedInputError: as for `generate`.
            OutOfMemoryError: if a single prompt does not fit into memory.
        """
        ids = [self._encoder.continuation(text) for text in continuations]
        cache = PromptCache(self._net, self._encoder.placeholders)
        for prompt in prompts:
            encoded, inputs = self._inputs_for(prompt, max(map(len, ids), default=0))
            warn_of_truncation(encoded.truncated)
            yield log_likelihood(self._net, inputs, ids, cache)

    def randomized(self, seed: int) -> Self:
        """Return a copy whose weights are permuted; see `protocols.Inspectable`."""
        net, other = with_random_weights(self._net, seed), copy(self)
        vars(other).update(
            _net=net,
            _info=randomized_info(self._info, seed),
            _inspector=ChatInspector(net, self._encoder, self._on_device),
        )
        return other

    def _choose(
        self,
        prompt: Prompt,
        decoding: Decoding,
        ids: Sequence[Sequence[int]],
        cache: PromptCache,
    ) -> Response:
        """Return the response to a prompt that must be one of `decoding.choices`.

        `ids` contains the token ids of each choice.
        """
        encoded, inputs = self._inputs_for(prompt, 1 + max(map(len, ids)))
        values = complete_log_likelihood(self._net, inputs, ids, self._ends, cache)
        response = choose(values, decoding)
        return replace(response, details={**response.details, **encoded.truncated})

    def _inputs_for(self, prompt: Prompt, n_new: int) -> tuple[EncodedPrompt, dict[str, Tensor]]:
        """Return a prompt, and the inputs that compute likelihoods of up to `n_new` tokens."""
        encoded = self._encode(prompt, n_new)
        if encoded.reasoning_mark:
            warnings.warn(
                f"The chat template starts reasoning ({encoded.reasoning_mark.strip()!r}). "
                "Continuations are scored as the start of the reasoning, not as a response.",
                stacklevel=3,
            )
        inputs = self._on_device(encoded.inputs)
        self._switch_adapters(inputs)
        return encoded, inputs

    def _encode(self, prompt: Prompt, n_new: int) -> EncodedPrompt:
        """Return a prompt as model input; raise if it does not fit with `n_new` more tokens."""
        encoded = self._encoder.encode(prompt)
        check_context(self._net, encoded.length, n_new)
        return encoded

    def _respond(
        self, batch: Sequence[EncodedPrompt], decoding: Decoding, starts: PromptCache
    ) -> list[Response]:
        """Return one response per prompt; prompts with equal batch keys are computed together."""
        groups: dict[Hashable, list[int]] = {}
        for position, encoded in enumerate(batch):
            groups.setdefault(self._batch_key(encoded), []).append(position)
        outputs: dict[int, GeneratedTokens] = {}
        for members in groups.values():
            tokens = self._continue([batch[n] for n in members], decoding, starts)
            outputs |= dict(zip(members, tokens, strict=True))
        responses = []
        for n, encoded in enumerate(batch):
            text = encoded.reasoning_mark + self._encoder.decode(outputs[n].ids)
            responses.append(Response(text.strip(), outputs[n].finish, details=encoded.truncated))
        return responses

    def _batch_key(self, encoded: EncodedPrompt) -> Hashable:
        """Return a grouping key: prompts with equal keys can be processed in one batch."""
        if self._net.config.model_type == _WITHOUT_BATCHES:
            return id(encoded)
        features = tuple(
            (name, tuple(tensor.shape[1:]))
            for name, tensor in sorted(encoded.inputs.items())
            if name not in (*PER_TOKEN, "input_ids")
        )
        return features, (None if self._can_be_padded else encoded.length)

    @property
    def _can_be_padded(self) -> bool:
        """Whether padding is without effect; it would change a recurrent state.

        Without position_ids, it would shift positions.
        """
        is_stateful = getattr(self._net, "_is_stateful", False)
        return "position_ids" in self._parameters and not is_stateful

    def _continue(
        self, batch: Sequence[EncodedPrompt], decoding: Decoding, starts: PromptCache
    ) -> list[GeneratedTokens]:
        """Return the generated tokens of prompts with equal batch keys.

        `starts` is the cache of their beginnings.
        """
        rows = [self._on_device(encoded.inputs) for encoded in batch]
        inputs = None
        # `generate` of a model with adapters for audio would disable them without features.
        if self._can_be_padded and not self._has_adapters:
            inputs = shared_start_inputs(self._net, rows, starts)
        return continue_batch(self._net, inputs or stack_inputs(rows), decoding, self._ends)

    def _on_device(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the inputs that the network accepts, on its device and in its data type."""
        return {
            name: tensor.to(
                self._net.device, self._net.dtype if tensor.is_floating_point() else None
            )
            for name, tensor in inputs.items()
            if name in self._parameters or name not in PER_TOKEN
        }

    @property
    def _has_adapters(self) -> bool:
        """Whether the model has LoRA for prompts with audio only, as Granite Speech has."""
        loaded = getattr(self._net, "_hf_peft_config_loaded", False)
        return bool(loaded and getattr(self._net.config, "has_lora_adapter", False))

    def _switch_adapters(self, inputs: Mapping[str, Tensor]) -> None:
        """Enable LoRA for prompts with audio, and disable it for text prompts."""
        if self._has_adapters:
            with_audio = "input_features" in inputs
            (self._net.enable_adapters if with_audio else self._net.disable_adapters)()


def _end_tokens(net: Any, tokenizer: Any) -> tuple[int, ...]:  # noqa: ANN401
    """Return the ids of end-of-sequence tokens."""
    ids = net.generation_config.eos_token_id
    if ids is None:
        ids = tokenizer.eos_token_id
    if ids is None:
        return ()
    return tuple(ids) if isinstance(ids, list | tuple) else (ids,)
