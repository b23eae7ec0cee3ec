"""LTU, "Listen, Think, and Understand": the model of the study that this library re-enacts.

Source: Gong et al., ICLR 2024. The network is `audioprobe.nets.ltu`, equal to the original code to
1e-4; checkpoints are those that its authors publish, unchanged.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from audioprobe.audio.filterbank import LTU as LTU_SPECTROGRAM
from audioprobe.errors import InvalidInputError, UnsupportedInputError, WeightsError
from audioprobe.nets.checkpoints import assemble, config_of
from audioprobe.nets.decoding import TokenPrompt, generate, log_likelihood
from audioprobe.nets.ltu import LtuNet
from audioprobe.types import (
    ComponentInfo,
    Decoding,
    LogLikelihood,
    Prompt,
    Response,
    Waveform,
)
from audioprobe.weights import resolve

TEMPLATE = "### Instruction:\n{}\n\n### Response:\n"
"""LTU's prompt (`alpaca_short.json`); the sound is not mentioned in it."""

PAPER = Decoding(max_new_tokens=400, temperature=0.1, top_p=0.95, top_k=500, repetition_penalty=1.1)
"""Decoding of LTU's published evaluation (`inference_batch.py`); it set no seed."""

DEMO = Decoding(max_new_tokens=400, temperature=0.1, top_p=0.95, top_k=50)
"""Decoding of LTU's demo (`inference_gradio.py`); top_k is transformers' former default."""

SECONDS = 10.24  # 1024 frames of 10 ms: what the audio encoder hears
_REMEMBERED = 64  # sounds whose tokens are kept: 0.5 MB each for LTU-7B
_WEIGHT_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth")


class LTU:
    """An LTU that hears one sound per prompt, or reads text alone.

    Build one with `from_pretrained`.

    Args:
        net: the network.
        tokenizer: of the base model; it puts the beginning-of-sequence token first.
        info: what goes into the provenance of results.
        batch_size: prompts answered at once; does not change answers.
    """

    def __init__(
        self,
        net: LtuNet,
        tokenizer: PreTrainedTokenizerBase,
        info: ComponentInfo,
        *,
        batch_size: int = 8,
    ) -> None:
        if batch_size < 1:
            raise InvalidInputError(f"batch_size must be at least 1, got {batch_size}.")
        self._net = net
        self._tokenizer: Any = tokenizer
        self._info = info
        self._batch_size = batch_size
        self._heard: OrderedDict[str, Tensor] = OrderedDict()

    @classmethod
    def from_pretrained(
        cls,
        checkpoint: str | Path,
        *,
        base: str | Path,
        dtype: str = "float32",
        device: str = "cpu",
        batch_size: int = 8,
    ) -> Self:
        """Load a checkpoint as LTU's authors publish it.

        Args:
            checkpoint: the trained file (".bin" or ".safetensors"): audio encoder, projection and
                LoRA; or a full fine-tune with the language model in it.
            base: folder or hub name of the LLaMA that it was trained on, with its tokenizer; for
                LTU-7B the authors' `vicuna_ltu` folder, or lmsys/vicuna-7b-v1.1.
            dtype: "float32", "bfloat16" or "float16".
            device: "cpu", "cuda", ...
            batch_size: prompts answered at once.

        Raises:
            WeightsError: if a file is missing or damaged, or checkpoint and base do not belong
                together.
        """
        if dtype not in ("float32", "bfloat16", "float16"):
            raise InvalidInputError(f"dtype must be float32, bfloat16 or float16, got {dtype!r}.")
        folder = resolve(str(base)).folder
        trained = read_tensors(Path(checkpoint))
        llama = _read_llama_config(folder)
        whole = any(name.endswith("embed_tokens.weight") for name in trained)
        parts = [trained] if whole else [_read_folder(folder), trained]
        net = assemble(config_of(llama, *parts), *parts, source=str(checkpoint))
        net.to(device, getattr(torch, dtype))
        info = ComponentInfo(
            "language_model",
            f"LTU {Path(checkpoint).stem}",
            _digest(Path(checkpoint)),
            {"base": Path(base).name, "dtype": dtype},
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        return cls(net, tokenizer, info, batch_size=batch_size)

    @property
    def info(self) -> ComponentInfo:
        """Checkpoint, its hash, base and number format."""
        return self._info

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
        """
        chosen = decoding or Decoding()
        end = self._tokenizer.eos_token_id
        queue = iter(prompts)
        while batch := list(islice(queue, self._batch_size)):
            encoded = [self._encode(prompt) for prompt in batch]
            answers = generate(self._net, encoded, chosen, end=end)
            for prompt, answer in zip(batch, answers, strict=True):
                text = self._tokenizer.decode(list(answer.ids), skip_special_tokens=True)
                finish = "stop" if answer.ended else "length"
                yield Response(text.strip(), finish, details=_cropping(prompt.audio))  # type: ignore[arg-type]

    def log_likelihood(
        self, prompts: Iterable[Prompt], continuations: Sequence[str]
    ) -> Iterator[Sequence[LogLikelihood]]:
        """Log-likelihood of each continuation after each prompt, which is encoded once.

        Raises:
            InvalidInputError: for a continuation without tokens.
            UnsupportedInputError: as for `generate`.
        """
        ids = [self._tokenizer(text, add_special_tokens=False).input_ids for text in continuations]
        for prompt in prompts:
            yield log_likelihood(self._net, self._encode(prompt), ids)

    def _encode(self, prompt: Prompt) -> TokenPrompt:
        if not prompt.text.strip():
            raise InvalidInputError("A prompt needs a question, got an empty text.")
        if any(example.audio is not None for example in prompt.examples):
            raise UnsupportedInputError(
                "LTU hears one sound per prompt: give examples in text, or leave them out."
            )
        shown = "".join(
            f"{TEMPLATE.replace('{}', example.question)}{example.answer}\n\n"
            for example in prompt.examples
        )
        text = shown + TEMPLATE.replace("{}", prompt.text)
        ids = torch.tensor(self._tokenizer(text).input_ids, device=self._net.llama.device)
        return TokenPrompt(ids, None if prompt.audio is None else self._hear(prompt.audio))

    def _hear(self, waveform: Waveform) -> Tensor:
        """Audio tokens of a sound; many questions about one sound encode it once."""
        key = waveform.digest()
        if key in self._heard:
            self._heard.move_to_end(key)
            return self._heard[key]
        spectrogram = LTU_SPECTROGRAM.of(waveform)[None]
        parameter = self._net.prefix.projection.weight
        with torch.inference_mode():
            tokens: Tensor = self._net.prefix(spectrogram.to(parameter.device, parameter.dtype))[0]
        self._heard[key] = tokens
        if len(self._heard) > _REMEMBERED:
            self._heard.popitem(last=False)
        return tokens


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The flat dictionary of a checkpoint file, as data: nothing in it is executed.

    Raises:
        WeightsError: if it is missing, damaged, or no dictionary of tensors.
    """
    if not path.is_file():
        raise WeightsError(
            f"{path}: no such file. Expected an LTU checkpoint (.bin, .safetensors)."
        )
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (SafetensorError, RuntimeError, OSError, ValueError, EOFError) as error:
        raise WeightsError(f"{path}: could not be read ({error!s:.200}). Get it again.") from error
    except Exception as error:  # the unpickler's own class is private
        raise WeightsError(
            f"{path}: holds something other than tensors and was not opened ({error!s:.200})."
        ) from error
    if not isinstance(content, dict) or not all(isinstance(v, Tensor) for v in content.values()):
        raise WeightsError(f"{path}: expected a flat dictionary of tensors.")
    return content


def _read_folder(folder: Path) -> dict[str, Tensor]:
    """All tensors of a base folder; safetensors are preferred where both are there."""
    for suffix in _WEIGHT_SUFFIXES:
        files = sorted(folder.glob(f"*{suffix}"))
        if files:
            tensors: dict[str, Tensor] = {}
            for file in files:
                tensors |= read_tensors(file)
            return tensors
    raise WeightsError(f"{folder}: holds no weights ({', '.join(_WEIGHT_SUFFIXES)}).")


def _read_llama_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: not readable ({error}). Expected a LLaMA's folder.") from error
    if config.get("model_type") != "llama":
        raise WeightsError(f"{path}: expected a LLaMA, found {config.get('model_type')!r}.")
    dropped = (
        "architectures",
        "model_type",
        "transformers_version",
        "torch_dtype",
        "_name_or_path",
    )
    return {key: value for key, value in config.items() if key not in dropped}


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]


def _cropping(waveform: Waveform | None) -> dict[str, float]:
    """How much of a sound was not heard, in seconds; empty where all was."""
    if waveform is None or waveform.duration <= SECONDS:
        return {}
    return {"not heard (s)": round(waveform.duration - SECONDS, 3)}
