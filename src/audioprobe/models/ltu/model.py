"""LTU, "Listen, Think, and Understand", as a language model with likelihoods.

Source: Gong et al., ICLR 2024. Outputs of the network equal those of the original code to 1e-4;
checkpoints are those that the authors publish, unchanged.
"""

import warnings
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Self

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from audioprobe.errors import InvalidInputError, UnsupportedInputError
from audioprobe.models.causal_lm.batching import answer_in_batches, answer_one
from audioprobe.models.causal_lm.loading import dtype_of
from audioprobe.models.causal_lm.quantization import QUANTIZATIONS, Quantization, quantize
from audioprobe.models.ltu.audio_encoder import TltrConfig
from audioprobe.models.ltu.audio_frontend import (
    WHISPER,
    AudioFrontend,
    SpectrogramFrontend,
    build_frontend,
)
from audioprobe.models.ltu.checkpoint import load_ltu
from audioprobe.models.ltu.generation import TokenPrompt, generate, log_likelihood
from audioprobe.models.ltu.network import LTUNetwork
from audioprobe.models.ltu.prompt import continuation_ids, tokenize, write_prompt
from audioprobe.protocols import LanguageModel
from audioprobe.training_data import TrainingData
from audioprobe.types import (
    ComponentInfo,
    Decoding,
    LogLikelihood,
    Option,
    Prompt,
    Response,
    Waveform,
)

TRANSCRIBE = "Write down the words that are spoken, and nothing else."
"""Prompt of the transcriber."""

PAPER = Decoding(max_new_tokens=400, temperature=0.1, top_p=0.95, top_k=500, repetition_penalty=1.1)
"""Decoding of LTU's published evaluation (`inference_batch.py`), which set no seed."""

DEMO = Decoding(max_new_tokens=400, temperature=0.1, top_p=0.95, top_k=50)
"""Decoding of LTU's demo (`inference_gradio.py`); top_k is the former default of transformers."""

DEMO_AS = replace(PAPER, max_new_tokens=500)
"""Decoding of LTU-AS's demo; that of its published evaluation is `PAPER`."""

DECODINGS: Mapping[str, Decoding] = MappingProxyType(
    {"greedy": Decoding(), "paper": PAPER, "demo": DEMO, "demo-as": DEMO_AS}
)
"""The default and the originals' settings, by name."""

_CACHED_CLIPS = 64  # audio tokens of a clip take 0.5 MB for LTU-7B


@dataclass(frozen=True, slots=True, eq=False)
class _EncodedAudio:
    """Audio tokens of a clip, shape (n_tokens, hidden), and the transcript of its speech."""

    tokens: Tensor
    transcript: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class _EncodedPrompt:
    """Token ids of a prompt, and the details of its response."""

    tokens: TokenPrompt
    details: dict[str, Option]


class LTU:
    """An LTU or LTU-AS; a prompt has one audio clip or none.

    Build one with `from_pretrained`.

    Args:
        net: the network.
        tokenizer: tokenizer of the base model.
        info: provenance for results.
        frontend: prepares audio for the network; None is LTU's filter bank.
        transcriber: for LTU-AS, model that transcribes speech.
        batch_size: prompts per forward pass; does not change responses.
        training_data: recordings that the model was trained on, if known.

    Attributes:
        training_data: as given; None if unknown.
    """

    def __init__(
        self,
        net: LTUNetwork,
        tokenizer: PreTrainedTokenizerBase,
        info: ComponentInfo,
        *,
        frontend: AudioFrontend | None = None,
        transcriber: LanguageModel | None = None,
        batch_size: int = 8,
        training_data: TrainingData | None = None,
    ) -> None:
        if batch_size < 1:
            raise InvalidInputError(f"batch_size must be at least 1, got {batch_size}.")
        if transcriber is not None and not isinstance(net.config.audio, TltrConfig):
            raise InvalidInputError(
                "LTU takes no transcript, so transcriber must be None: only LTU-AS was trained on "
                "prompts with transcripts."
            )
        self._net = net
        self._tokenizer: Any = tokenizer
        self._info = info
        self._frontend: AudioFrontend = frontend or SpectrogramFrontend()
        self._transcriber = transcriber
        self._batch_size = batch_size
        self.training_data = training_data
        self._audio_cache: OrderedDict[str, _EncodedAudio] = OrderedDict()

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path,
        *,
        base: str | Path | None = None,
        whisper: str | Path | None = None,
        transcriber: LanguageModel | None = None,
        dtype: str = "float32",
        device: str = "cpu",
        quantization: Quantization | None = None,
        batch_size: int = 8,
    ) -> Self:
        """Load an LTU or LTU-AS: a published checkpoint, a converted folder, or "mini".

        Args:
            name_or_path: trained file (".bin" or ".safetensors") with audio encoder, projection and
                LoRA, or a full fine-tune that includes the language model; or a folder written by
                `audioprobe convert`.
            base: for a trained file, folder or hub name of the LLaMA that it was trained on, with
                its tokenizer: the authors' `vicuna_ltu` folder, or "lmsys/vicuna-7b-v1.1".
            whisper: for LTU-AS, folder or hub name of its Whisper; None is the one in the converted
                folder, or "openai/whisper-large".
            transcriber: for LTU-AS, model that transcribes speech for the prompt; None leaves the
                transcript out.
            dtype: "float32", "bfloat16" or "float16".
            device: "cpu", "cuda", ...
            quantization: "8bit" or "4bit" stores the language model's linear layers in that many
                bits (extra `quantization`).
            batch_size: prompts per forward pass.

        Raises:
            WeightsError: if a file is missing or damaged, or checkpoint and base do not belong
                together; for a published name, the message lists what to download.
            MissingDependencyError: if quantization needs bitsandbytes and it is not installed.
        """
        torch_dtype = dtype_of(dtype)
        if quantization not in (None, *QUANTIZATIONS):
            raise InvalidInputError(
                f"quantization must be None or one of {', '.join(QUANTIZATIONS)}, got "
                f"{quantization!r}."
            )
        checkpoint = load_ltu(name_or_path, base)
        net = checkpoint.net
        frontend = build_frontend(
            net.config.audio,
            whisper or checkpoint.whisper or WHISPER,
            dtype=torch_dtype,
            device=device,
        )
        net.to(torch_dtype)
        if quantization is not None:
            quantize(net.llama, quantization, torch_dtype)
        net.to(device)
        return cls(
            net,
            checkpoint.tokenizer,
            checkpoint.info({"dtype": dtype, "quantization": quantization, **frontend.options}),
            frontend=frontend,
            transcriber=transcriber,
            batch_size=batch_size,
            training_data=checkpoint.training_data,
        )

    @property
    def info(self) -> ComponentInfo:
        """Checkpoint and base with their hashes, number format; for LTU-AS, the transcriber."""
        if self._transcriber is None:
            return self._info
        return replace(self._info, parts={"transcriber": self._transcriber.info})

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        """Yield one response per prompt, in order.

        Args:
            prompts: with one audio clip or none; examples in text precede the question.
            decoding: None is greedy; `PAPER` and `DEMO` are the originals'.

        Raises:
            InvalidInputError: for an empty question.
            UnsupportedInputError: for examples with audio, audio shorter than 25 ms, or a prompt
                beyond the model's context.
            OutOfMemoryError: if a single prompt does not fit into memory.
        """
        decoding = decoding or Decoding()

        def answer(batch: Sequence[_EncodedPrompt]) -> Iterator[Response]:
            tokens = [prompt.tokens for prompt in batch]
            end = self._tokenizer.eos_token_id
            outputs = generate(self._net, tokens, decoding, eos_token_id=end)
            for prompt, output in zip(batch, outputs, strict=True):
                text = self._tokenizer.decode(list(output.ids), skip_special_tokens=True)
                finish: Literal["stop", "length"] = "stop" if output.ended else "length"
                yield Response(text.strip(), finish, details=prompt.details)

        encoded = (
            _EncodedPrompt(self._encode(prompt), self._truncation(prompt.audio))
            for prompt in prompts
        )
        yield from answer_in_batches(encoded, self._batch_size, answer)

    def log_likelihood(
        self, prompts: Iterable[Prompt], continuations: Sequence[str]
    ) -> Iterator[Sequence[LogLikelihood]]:
        """Yield the log-likelihood of each continuation after each prompt, which is encoded once.

        A continuation follows the prompt's line break directly, as responses did in training. A
        warning reports truncated audio.

        Raises:
            InvalidInputError: for a continuation without tokens.
            UnsupportedInputError: as for `generate`.
            OutOfMemoryError: if a single prompt does not fit into memory.
        """
        ids = [continuation_ids(self._tokenizer, text) for text in continuations]
        for prompt in prompts:
            for name, seconds in self._truncation(prompt.audio).items():
                warnings.warn(
                    f"{name}: {seconds}. The audio is longer than the model's input.", stacklevel=2
                )
            yield log_likelihood(self._net, self._encode(prompt), ids)

    def _encode(self, prompt: Prompt) -> TokenPrompt:
        if not prompt.text.strip():
            raise InvalidInputError("A prompt needs a question, got an empty text.")
        if any(example.audio is not None for example in prompt.examples):
            raise UnsupportedInputError(
                "LTU takes one audio clip per prompt, got examples with audio. Give examples in "
                "text, or leave them out."
            )
        examples = "".join(
            f"{write_prompt(example.question)}{example.answer}\n\n" for example in prompt.examples
        )
        audio = None if prompt.audio is None else self._encode_audio(prompt.audio)
        text = examples + write_prompt(prompt.text, audio.transcript if audio else "")
        ids = torch.tensor(tokenize(self._tokenizer, text), device=self._net.llama.device)
        return TokenPrompt(ids, audio.tokens if audio else None)

    def _encode_audio(self, waveform: Waveform) -> _EncodedAudio:
        """Encode a waveform, or return its encoding from the cache."""
        key = waveform.digest()
        if key in self._audio_cache:
            self._audio_cache.move_to_end(key)
            return self._audio_cache[key]
        tokens = answer_one(lambda: self._audio_tokens(waveform))
        encoded = _EncodedAudio(tokens, self._transcribe(waveform))
        self._audio_cache[key] = encoded
        if len(self._audio_cache) > _CACHED_CLIPS:
            self._audio_cache.popitem(last=False)
        return encoded

    @torch.inference_mode()
    def _audio_tokens(self, waveform: Waveform) -> Tensor:
        weight = self._net.prefix.projection.weight
        tokens: Tensor = self._net.prefix(self._frontend(waveform).to(weight.device, weight.dtype))
        return tokens[0]

    def _transcribe(self, waveform: Waveform) -> str:
        if self._transcriber is None:
            return ""
        (response,) = self._transcriber.generate([Prompt(TRANSCRIBE, waveform)])
        return "" if response.abstained else response.text.strip()

    def _truncation(self, waveform: Waveform | None) -> dict[str, Option]:
        """Seconds of audio beyond the model's input; empty if there are none."""
        if waveform is None or waveform.duration <= self._frontend.seconds:
            return {}
        return {"truncated audio (s)": round(waveform.duration - self._frontend.seconds, 3)}
