"""The language model LTU ("Listen, Think, and Understand"), which answers questions about audio.

Source: Gong et al., ICLR 2024. The network's outputs equal those of the authors' code to 1e-4. The
authors' published checkpoints can be loaded unchanged.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch
from transformers import PreTrainedTokenizerBase

from audioprobe.errors import InvalidInputError
from audioprobe.models.causal_lm.generation import run_in_batches
from audioprobe.models.causal_lm.likelihood import warn_of_truncation
from audioprobe.models.choices import choose
from audioprobe.models.encoding_ahead import encode_ahead
from audioprobe.models.inspected import InspectedModel
from audioprobe.models.ltu.audio_frontend import AudioFrontend, load_frontend
from audioprobe.models.ltu.audio_input import AudioInput
from audioprobe.models.ltu.generation import (
    EncodedPrompt,
    TokenPrompt,
    generate,
    has_static_cache,
    length_of,
)
from audioprobe.models.ltu.inspection import LTUInspector
from audioprobe.models.ltu.likelihood import log_likelihoods
from audioprobe.models.ltu.loading import load_for_inference
from audioprobe.models.ltu.network import LTUNetwork, Quantization
from audioprobe.models.ltu.sharding import DeviceMap, Sharding
from audioprobe.models.ltu.trainable import LTUPrompts
from audioprobe.models.random_weights import randomized_info, with_random_weights
from audioprobe.protocols import LanguageModel
from audioprobe.training_data import TrainingData
from audioprobe.types import ComponentInfo, Decoding, InfoRepr, LogLikelihood, Prompt, Response

if TYPE_CHECKING:
    from audioprobe.finetuning.strategy import Strategy
    from audioprobe.ltu_finetuning import FineTunedLTU

_LIKELIHOODS = 4  # likelihoods of this many times `batch_size` prompts are computed together
_BRIEF = 16  # new tokens; twice as many such answers take about as much memory as longer ones


class LTU(InspectedModel, InfoRepr):
    """Audio language model LTU or LTU-AS; load it with `from_pretrained`.

    Args:
        net: the network.
        tokenizer: tokenizer of the base (the LLaMA).
        info: provenance stored with results.
        frontend: converter from audio to the network's input; None loads the one that the
            network was trained with.
        transcriber: for LTU-AS, the model that transcribes speech for the prompt.
        batch_size: prompts per forward pass, or twice as many with at most 16 new tokens; does not
            change responses.
        training_data: recordings that the model was trained on; None if unknown.
    """

    def __init__(
        self,
        net: LTUNetwork,
        tokenizer: PreTrainedTokenizerBase,
        info: ComponentInfo,
        *,
        frontend: AudioFrontend | None = None,
        transcriber: LanguageModel | None = None,
        batch_size: int = 16,
        training_data: TrainingData | None = None,
    ) -> None:
        if batch_size < 1:
            raise InvalidInputError(f"batch_size must be at least 1, got {batch_size}.")
        self._net = net
        self._tokenizer: Any = tokenizer
        self._prompts = LTUPrompts(tokenizer)
        self._info = info
        self._transcriber = transcriber
        self._frontend = frontend or load_frontend(net.config.audio)
        self._audio = AudioInput(net, self._frontend, transcriber)
        self._inspector = LTUInspector(net, self._prompts, self._audio, self._encode)
        self._batch_size = batch_size
        self.training_data = training_data
        self._source: tuple[str | Path, str | Path | None] | None = None

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path,
        *,
        base: str | Path | None = None,
        whisper: str | Path | None = None,
        transcriber: LanguageModel | None = None,
        dtype: str = "float32",
        device: str = "auto",
        quantization: Quantization | None = None,
        batch_size: int = 16,
        compiled: bool = False,
        device_map: DeviceMap | None = None,
        max_memory: Mapping[int | str, int | str] | None = None,
        offload_folder: str | Path | None = None,
    ) -> Self:
        """Load an LTU or LTU-AS: a published checkpoint, a converted folder, or a shipped one.

        Args:
            name_or_path: file of a published checkpoint (".bin" or ".safetensors"), folder written
                by `audioprobe convert`, or a small LTU of audioprobe: "mini" or "mini-v1".
            base: for a checkpoint file, folder or hub name of the LLaMA that it was trained on,
                with its tokenizer: the authors' `vicuna_ltu` folder, or "lmsys/vicuna-7b-v1.1".
            whisper: for LTU-AS, folder or hub name of its Whisper model; None uses the Whisper in
                the converted folder or else "openai/whisper-large".
            transcriber: for LTU-AS, the model that transcribes speech; None omits the transcript.
            dtype: "float32", "bfloat16", "float16", or "auto" (bfloat16 on a GPU).
            device: "auto" (a GPU if there is one), "cpu", "cuda", ...
            quantization: bits of the language model's linear layers, "8bit" or "4bit"; an extra.
            batch_size: prompts per forward pass, or twice as many with at most 16 new tokens.
            compiled: whether responses are generated by a compiled network on a GPU, which is
                faster after the first batches; see `generation.use_static_cache`.
            device_map: distribution of the LLaMA over several devices, instead of `device`: "auto",
                "balanced", "balanced_low_0" or "sequential" as in transformers, or the device (0,
                "cuda:0", "cpu" or "disk") by module ("model.embed_tokens", "model.layers.0", ...).
            max_memory: with `device_map`, the memory to use by device, such as {0: "20GiB"}.
            offload_folder: with `device_map`, where weights on "disk" are stored temporarily.

        Raises:
            InvalidInputError: if options are unknown, or cannot be used together.
            UnsupportedInputError: if `device_map` is used, but layers read the connector's tokens.
            WeightsError: if a file is missing or damaged, or if checkpoint and base do not fit
                together. For a published model, the message lists what to download.
            MissingDependencyError: if quantization is requested and bitsandbytes is not installed.
        """
        sharding = Sharding(device_map, max_memory, offload_folder)
        checkpoint, frontend, info = load_for_inference(
            name_or_path, base, whisper, dtype, device, quantization, compiled, sharding
        )
        model = cls(
            checkpoint.net,
            checkpoint.tokenizer,
            info,
            frontend=frontend,
            transcriber=transcriber,
            batch_size=batch_size,
            training_data=checkpoint.training_data,
        )
        model._source = name_or_path, base
        return model

    def finetune(
        self, clips: object, strategy: "Strategy | None" = None, **options: Any
    ) -> "FineTunedLTU":
        """Fine-tune a copy of the model on clips with labels; see `ltu_finetuning.finetune_ltu`.

        Args:
            clips: clips with labels, such as a data set.
            strategy: what is trained, and how; None trains projector and LoRA for 100 steps.
            options: `folder`, `validation`, `rehearsal`, `track_every`, `measures`, `progress`.

        Returns:
            The fine-tuned model with its history; `save_pretrained` of the result writes it.

        Raises:
            InvalidInputError: if this model was not loaded by `from_pretrained`, or the clips have
                no labels.
            TrainingError: if a loss is not finite.
        """
        if self._source is None:
            raise InvalidInputError(
                "Only a model from LTU.from_pretrained can be fine-tuned. Save this one, and load "
                "it."
            )
        # Training is a higher layer, which is loaded only here.
        module = import_module("audioprobe.ltu_finetuning")
        tuned: FineTunedLTU = module.finetune_ltu(self._source, clips, strategy, **options)
        return tuned

    @property
    def info(self) -> ComponentInfo:
        """Names and hashes of checkpoint and base, data type, and for LTU-AS the transcriber."""
        if self._transcriber is None:
            return self._info
        return replace(self._info, parts={"transcriber": self._transcriber.info})

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        """Yield one response per prompt, in order; prompts of a batch about one clip share it.

        Args:
            prompts: prompts with one audio clip or none; examples must be text only and are placed
                before the question.
            decoding: decoding settings; None is greedy. `decoding.PAPER` is of LTU's authors.

        Raises:
            InvalidInputError: if a question is empty.
            UnsupportedInputError: if an example has audio, audio is shorter than 25 ms, or a prompt
                exceeds the model's context.
            OutOfMemoryError: if a single prompt does not fit into memory.
        """
        decoding = decoding or Decoding()
        if decoding.choices:
            yield from self._choose(prompts, decoding)
            return

        def respond(batch: Sequence[EncodedPrompt]) -> Iterator[Response]:
            tokens = [prompt for prompt, _ in batch]
            end = self._prompts.eos_token_id
            outputs = generate(self._net, tokens, decoding, eos_token_id=end)
            for (_, details), output in zip(batch, outputs, strict=True):
                text = self._tokenizer.decode(list(output.ids), skip_special_tokens=True)
                yield Response(text.strip(), output.finish, details=details)

        # A batch about few clips shares most; a static cache shares nothing, but computes padding.
        by_length = has_static_cache(self._net)
        is_brief = decoding.max_new_tokens <= _BRIEF and not by_length
        yield from run_in_batches(
            self._encoded(prompts),
            2 * self._batch_size if is_brief else self._batch_size,
            respond,
            length=(lambda pair: length_of(self._net, pair[0])) if by_length else None,
            group=None if by_length else lambda pair: id(pair[0].audio_tokens),
        )

    def log_likelihood(
        self, prompts: Iterable[Prompt], continuations: Sequence[str]
    ) -> Iterator[Sequence[LogLikelihood]]:
        """Yield the log-likelihood of each continuation for each prompt.

        Up to four times `batch_size` prompts are computed together, and those about the same audio
        share its computation. Continuations follow the line break at the end of the prompt
        directly, as responses did in training. A warning reports truncated audio.

        Raises:
            InvalidInputError: if a question is empty or a continuation has no tokens.
            UnsupportedInputError: as for `generate`.
            OutOfMemoryError: if a single prompt does not fit into memory.
        """
        ids = [self._prompts.continuation_ids(text) for text in continuations]

        def score(batch: Sequence[EncodedPrompt]) -> list[list[LogLikelihood]]:
            for _, truncated in batch:
                warn_of_truncation(truncated)
            return log_likelihoods(self._net, [prompt for prompt, _ in batch], ids)

        yield from run_in_batches(self._encoded(prompts), _LIKELIHOODS * self._batch_size, score)

    def randomized(self, seed: int) -> "LTU":
        """Return a copy whose weights are permuted; see `protocols.Inspectable`.

        A frozen encoder that is not part of the network keeps its weights.
        """
        return LTU(
            with_random_weights(self._net, seed),
            self._tokenizer,
            randomized_info(self._info, seed),
            frontend=self._frontend,
            transcriber=self._transcriber,
            batch_size=self._batch_size,
        )

    def _choose(self, prompts: Iterable[Prompt], decoding: Decoding) -> Iterator[Response]:
        """Yield the responses to prompts that must be one of `decoding.choices`."""
        end = self._prompts.eos_token_id
        ids = [[*self._prompts.continuation_ids(text), end] for text in decoding.choices]

        def respond(batch: Sequence[EncodedPrompt]) -> Iterator[Response]:
            rows = log_likelihoods(self._net, [prompt for prompt, _ in batch], ids)
            for (_, details), row in zip(batch, rows, strict=True):
                response = choose([value.total for value in row], decoding)
                yield replace(response, details={**response.details, **details})

        yield from run_in_batches(self._encoded(prompts), _LIKELIHOODS * self._batch_size, respond)

    def _encoded(self, prompts: Iterable[Prompt]) -> Iterator[EncodedPrompt]:
        """Yield each prompt as input of the network, with details of its response."""
        return encode_ahead(
            lambda p: (self._encode(p), self._audio.truncation(p.audio)), prompts, self._batch_size
        )

    def _encode(self, prompt: Prompt) -> TokenPrompt:
        """Return the token ids and audio tokens of a prompt; examples precede the question."""
        tokens, transcript = (
            (None, "") if prompt.audio is None else self._audio.encode(prompt.audio)
        )
        text = self._prompts.full_text(prompt, transcript)
        ids = torch.tensor(self._prompts.tokenize(text), device=self._net.device)
        return TokenPrompt(ids, tokens)
