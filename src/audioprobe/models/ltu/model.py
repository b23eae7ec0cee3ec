"""LTU, "Listen, Think, and Understand": the model of the study that this library re-enacts.

Source: Gong et al., ICLR 2024. The network is that of `network.py`, equal to the original code to
1e-4; checkpoints are those that its authors publish, unchanged.
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
from audioprobe.models.causal_lm.dtypes import dtype_of
from audioprobe.models.causal_lm.quantization import QUANTIZATIONS, Quantization, quantize
from audioprobe.models.ltu.audio_frontend import (
    WHISPER,
    AudioFrontend,
    SpectrogramFrontend,
    WhisperFrontend,
    frontend_for,
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
"""What a transcriber is asked."""

PAPER = Decoding(max_new_tokens=400, temperature=0.1, top_p=0.95, top_k=500, repetition_penalty=1.1)
"""Decoding of LTU's published evaluation (`inference_batch.py`); it set no seed."""

DEMO = Decoding(max_new_tokens=400, temperature=0.1, top_p=0.95, top_k=50)
"""Decoding of LTU's demo (`inference_gradio.py`); top_k is transformers' former default."""

DEMO_AS = replace(PAPER, max_new_tokens=500)
"""Decoding of LTU-AS's demo; that of its published evaluation is `PAPER`."""

DECODINGS: Mapping[str, Decoding] = MappingProxyType(
    {"greedy": Decoding(), "paper": PAPER, "demo": DEMO, "demo-as": DEMO_AS}
)
"""The originals' settings, and the default, by name."""

_REMEMBERED = 64  # sounds whose tokens are kept: 0.5 MB each for LTU-7B


@dataclass(frozen=True, slots=True, eq=False)
class _EncodedAudio:
    """What the model has of a sound: its tokens, and the words spoken in it."""

    tokens: Tensor
    transcript: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class _PendingPrompt:
    """A prompt in tokens, and what of its sound was not heard."""

    tokens: TokenPrompt
    details: dict[str, Option]


class LTU:
    """An LTU or LTU-AS that hears one sound per prompt, or reads text alone.

    Build one with `from_pretrained`.

    Args:
        net: the network.
        tokenizer: of the base model.
        info: what goes into the provenance of results.
        ear: what prepares a sound for the network; None is LTU's filter bank.
        transcriber: for LTU-AS, who writes down the spoken words.
        batch_size: prompts answered at once; does not change answers.
        training_data: recordings that the model was trained on, where they are known.

    Attributes:
        training_data: as given; None where they are not known.
    """

    def __init__(
        self,
        net: LTUNetwork,
        tokenizer: PreTrainedTokenizerBase,
        info: ComponentInfo,
        *,
        ear: AudioFrontend | None = None,
        transcriber: LanguageModel | None = None,
        batch_size: int = 8,
        training_data: TrainingData | None = None,
    ) -> None:
        if batch_size < 1:
            raise InvalidInputError(f"batch_size must be at least 1, got {batch_size}.")
        if transcriber is not None and not isinstance(ear, WhisperFrontend):
            raise InvalidInputError(
                "LTU takes no transcript, so it needs no transcriber: only LTU-AS was trained on "
                "prompts with spoken words."
            )
        self._net = net
        self._tokenizer: Any = tokenizer
        self._info = info
        self._ear: AudioFrontend = ear or SpectrogramFrontend()
        self._transcriber = transcriber
        self._batch_size = batch_size
        self.training_data = training_data
        self._heard: OrderedDict[str, _EncodedAudio] = OrderedDict()

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
        """Load an LTU or an LTU-AS: a checkpoint as its authors publish it, or a converted folder.

        Args:
            name_or_path: the trained file (".bin" or ".safetensors"): audio encoder, projection and
                LoRA, or a full fine-tune with the language model in it; or a folder written by
                `audioprobe convert`.
            base: for a trained file, folder or hub name of the LLaMA that it was trained on, with
                its tokenizer: the authors' `vicuna_ltu` folder, or "lmsys/vicuna-7b-v1.1".
            whisper: for LTU-AS, folder or hub name of the Whisper that it hears by; None is the one
                in the converted folder, or "openai/whisper-large".
            transcriber: for LTU-AS, who writes down the spoken words that the prompt then quotes;
                None leaves them out.
            dtype: "float32", "bfloat16" or "float16".
            device: "cpu", "cuda", ...
            quantization: "8bit" or "4bit" keeps the language model's linear maps in that many bits
                (extra `quantization`).
            batch_size: prompts answered at once.

        Raises:
            WeightsError: if a file is missing or damaged, or checkpoint and base do not belong
                together; for a published name, says what to get.
            MissingDependencyError: if quantization is asked for and bitsandbytes is not installed.
        """
        numbers = dtype_of(dtype)
        if quantization not in (None, *QUANTIZATIONS):
            raise InvalidInputError(
                f"quantization must be None or one of {', '.join(QUANTIZATIONS)}, got "
                f"{quantization!r}."
            )
        files = load_ltu(name_or_path, base)
        sizes = files.net.config.audio
        reads = whisper or files.whisper or WHISPER
        ear = frontend_for(sizes, reads, dtype=numbers, device=device)
        files.net.to(numbers)
        if quantization is not None:
            quantize(files.net.llama, quantization, numbers)
        files.net.to(device)
        info = files.info({"dtype": dtype, "quantization": quantization, **ear.options})
        return cls(
            files.net,
            files.tokenizer,
            info,
            ear=ear,
            transcriber=transcriber,
            batch_size=batch_size,
            training_data=files.training_data,
        )

    @property
    def info(self) -> ComponentInfo:
        """Checkpoint, base, their hashes, number format; for LTU-AS, who transcribes."""
        if self._transcriber is None:
            return self._info
        return replace(self._info, parts={"transcriber": self._transcriber.info})

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        """Answers, in order, one per prompt.

        Args:
            prompts: with one sound or none; examples in text are shown before the question.
            decoding: None is greedy; `PAPER` and `DEMO` are the originals'.

        Raises:
            InvalidInputError: for an empty question.
            UnsupportedInputError: for examples with sound, for a sound shorter than 25 ms, or a
                prompt beyond the model's context.
            OutOfMemoryError: if a single prompt does not fit into the memory.
        """
        chosen = decoding or Decoding()

        def answer(batch: Sequence[_PendingPrompt]) -> Iterator[Response]:
            end = self._tokenizer.eos_token_id
            tokens = [question.tokens for question in batch]
            for question, new in zip(
                batch, generate(self._net, tokens, chosen, end=end), strict=True
            ):
                text = self._tokenizer.decode(list(new.ids), skip_special_tokens=True)
                finish: Literal["stop", "length"] = "stop" if new.ended else "length"
                yield Response(text.strip(), finish, details=question.details)

        questions = (
            _PendingPrompt(self._encode(prompt), self._cropping(prompt.audio)) for prompt in prompts
        )
        yield from answer_in_batches(questions, self._batch_size, answer)

    def log_likelihood(
        self, prompts: Iterable[Prompt], continuations: Sequence[str]
    ) -> Iterator[Sequence[LogLikelihood]]:
        """Log-likelihood of each continuation after each prompt, which is encoded once.

        A continuation follows the prompt's line break directly, as answers did in training. A
        sound that is cut off is told by a warning, for a likelihood has no place for it.

        Raises:
            InvalidInputError: for a continuation without tokens.
            UnsupportedInputError: as for `generate`.
            OutOfMemoryError: if a single prompt does not fit into the memory.
        """
        ids = [continuation_ids(self._tokenizer, text) for text in continuations]
        for prompt in prompts:
            for where, seconds in self._cropping(prompt.audio).items():
                warnings.warn(f"{where}: {seconds}. The sound is too long.", stacklevel=2)
            yield log_likelihood(self._net, self._encode(prompt), ids)

    def _encode(self, prompt: Prompt) -> TokenPrompt:
        if not prompt.text.strip():
            raise InvalidInputError("A prompt needs a question, got an empty text.")
        if any(example.audio is not None for example in prompt.examples):
            raise UnsupportedInputError(
                "LTU hears one sound per prompt: give examples in text, or leave them out."
            )
        shown = "".join(
            f"{write_prompt(example.question)}{example.answer}\n\n" for example in prompt.examples
        )
        heard = None if prompt.audio is None else self._hear(prompt.audio)
        text = shown + write_prompt(prompt.text, heard.transcript if heard else "")
        ids = torch.tensor(tokenize(self._tokenizer, text), device=self._net.llama.device)
        return TokenPrompt(ids, heard.tokens if heard else None)

    def _hear(self, waveform: Waveform) -> _EncodedAudio:
        """Many questions about one sound encode it once."""
        key = waveform.digest()
        if key in self._heard:
            self._heard.move_to_end(key)
            return self._heard[key]
        tokens = answer_one(lambda: self._tokens_of(waveform))
        heard = _EncodedAudio(tokens, self._transcribe(waveform))
        self._heard[key] = heard
        if len(self._heard) > _REMEMBERED:
            self._heard.popitem(last=False)
        return heard

    @torch.inference_mode()
    def _tokens_of(self, waveform: Waveform) -> Tensor:
        """Shape (n_tokens, hidden)."""
        parameter = self._net.prefix.projection.weight
        given = self._ear(waveform).to(parameter.device, parameter.dtype)
        tokens: Tensor = self._net.prefix(given)[0]
        return tokens

    def _transcribe(self, waveform: Waveform) -> str:
        if self._transcriber is None:
            return ""
        (response,) = self._transcriber.generate([Prompt(TRANSCRIBE, waveform)])
        return "" if response.abstained else response.text.strip()

    def _cropping(self, waveform: Waveform | None) -> dict[str, Option]:
        """How much of a sound was not heard, in seconds; empty where all was."""
        if waveform is None or waveform.duration <= self._ear.seconds:
            return {}
        return {"not heard (s)": round(waveform.duration - self._ear.seconds, 3)}
