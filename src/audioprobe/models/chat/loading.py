"""Load chat models of transformers and their processors from a folder.

Python code in the folder is never run.
"""

import copy
from collections.abc import Callable
from functools import update_wrapper
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModelForCausalLM,
    AutoModelForMultimodalLM,
    AutoModelForSeq2SeqLM,
    AutoProcessor,
    AutoTokenizer,
    GenerationConfig,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MULTIMODAL_LM_MAPPING,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
)
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING
from transformers.utils.import_utils import is_mistral_common_available

from audioprobe.errors import MissingDependencyError, WeightsError
from audioprobe.models.causal_lm.configuration import LOADING_ERRORS, read_json
from audioprobe.models.causal_lm.loading import load_network

_LOCAL = {"local_files_only": True, "trust_remote_code": False}
_SPEECH = ("talker.", "token2wav.", "code2wav.")  # parameters of an omni model's speech synthesis
_AUDIO_ENCODER = "audio_tower"  # name of the audio encoder in transformers' models


def load_model(folder: Path, dtype: torch.dtype, device: str) -> Any:  # noqa: ANN401 - any causal model
    """Load the network of a chat model for inference; the weights must match all its parameters.

    For an omni model, only the part that generates text is loaded. If consecutive inputs of the
    audio encoder are equal, they are encoded once.

    Raises:
        WeightsError: if files are missing or damaged, are not safetensors, or require code that
            comes with the model.
        MissingDependencyError: if transformers needs another package for this model.
    """
    config = _read_config(folder)
    omni = str(config.model_type).endswith("_thinker")
    try:
        model = load_network(
            _auto_class(folder, config),
            folder,
            dtype=dtype,
            ignored=_SPEECH if omni else (),
            config=config,
            use_safetensors=True,
            trust_remote_code=False,
        )
    except ImportError as error:
        raise _missing_package(folder, error) from error
    # From the published generation config, only the special tokens are used.
    published = model.generation_config
    model.generation_config = GenerationConfig(
        bos_token_id=published.bos_token_id,
        eos_token_id=published.eos_token_id,
        pad_token_id=published.pad_token_id,
    )
    for name, module in model.named_modules():
        if name.rpartition(".")[2] == _AUDIO_ENCODER:
            module.forward = _CachedForward(module.forward)
    return model.eval().requires_grad_(requires_grad=False).to(device)


def load_processor(folder: Path, model: Any) -> Any:  # noqa: ANN401 - processors and tokenizers
    """Load the processor if `model` is an audio model, or the tokenizer if it is a text model.

    Raises:
        WeightsError: if files are missing or damaged.
        MissingDependencyError: if transformers needs another package for the processor.
    """
    template_in_code = (folder / "tekken.json").is_file() and not any(folder.glob("*.jinja"))
    if template_in_code and not is_mistral_common_available():
        raise MissingDependencyError(
            f"{folder}: this model needs the package mistral-common, which is not installed. "
            "Install it with: pip install mistral-common"
        )
    try:
        config = type(AutoConfig.from_pretrained(folder, **_LOCAL))
        # The text part of an audio model declares the same modalities but has no processor.
        if "audio" not in model.input_modalities or config not in PROCESSOR_MAPPING:
            return AutoTokenizer.from_pretrained(folder, **_LOCAL)
        kind: Any = PROCESSOR_MAPPING[config]
        if {"image_processor", "video_processor"} & set(kind.get_attributes()):
            return _without_vision(folder, kind)
        return AutoProcessor.from_pretrained(folder, **_LOCAL)
    except ImportError as error:
        raise _missing_package(folder, error) from error
    except LOADING_ERRORS as error:
        raise WeightsError(
            f"{folder}: no tokenizer or processor could be read ({error!s:.300}). Copy the "
            "published tokenizer and processor files into the folder of the weights."
        ) from error


def clear_encoder_cache(model: nn.Module) -> None:
    """Forget the stored outputs of audio encoders, so that the next forward pass computes them."""
    for module in model.modules():
        if isinstance(module.forward, _CachedForward):
            module.forward.clear()


class _CachedForward:
    """Forward method of a module that stores its last output, and returns it for equal inputs."""

    def __init__(self, forward: Callable[..., Any]) -> None:
        self._forward = forward
        self._last: tuple[tuple[Any, ...], dict[str, Any], Any] | None = None
        update_wrapper(self, forward)  # preserves the signature

    def clear(self) -> None:
        """Forget the stored output."""
        self._last = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        if self._last is not None:
            last_args, last_kwargs, output = self._last
            if _equal(last_args, args) and _equal(last_kwargs, kwargs):
                return copy.deepcopy(output)  # the caller may modify the output
        output = self._forward(*args, **kwargs)
        self._last = args, kwargs, copy.deepcopy(output)
        return output


def _equal(a: Any, b: Any) -> bool:  # noqa: ANN401
    """Return whether two arguments are equal; tensors may be inside lists and dictionaries."""
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_equal(a[name], b[name]) for name in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(_equal, a, b))
    return type(a) is type(b) and bool(a == b)


def _read_config(folder: Path) -> Any:  # noqa: ANN401
    """Read the configuration of a model, or of the part of an omni model that generates text."""
    adapter = folder / "adapter_config.json"
    if adapter.is_file() and not (folder / "config.json").is_file():
        base = read_json(adapter, "an adapter of peft").get("base_model_name_or_path")
        raise WeightsError(
            f"{folder}: contains an adapter without its model ({base!s:.200}). Merge both with "
            "peft's merge_and_unload and save them in a folder, or copy the adapter's files into "
            "the model's folder."
        )
    try:
        config = AutoConfig.from_pretrained(folder, **_LOCAL)
    except LOADING_ERRORS as error:
        raise WeightsError(
            f"{folder}: no config.json of an architecture in transformers ({error!s:.300}). Models "
            "that need code from their folder are not supported, because it is never run."
        ) from error
    # Omni models have a separate configuration for the part that generates text.
    return getattr(config, "thinker_config", config)


def _auto_class(folder: Path, config: Any) -> Any:  # noqa: ANN401
    """Return the class of transformers that loads a model with this configuration."""
    if not config.is_encoder_decoder:
        for auto, mapping in (
            (AutoModelForMultimodalLM, MODEL_FOR_MULTIMODAL_LM_MAPPING),
            (AutoModelForCausalLM, MODEL_FOR_CAUSAL_LM_MAPPING),
            # Only this mapping contains Audio Flamingo, although it is a causal model.
            (AutoModelForSeq2SeqLM, MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING),
        ):
            if type(config) in mapping:
                return auto
    raise WeightsError(
        f"{folder}: expected a causal language model, found {config.model_type!r}, which "
        "transformers does not list as a causal language model."
    )


def _without_vision(folder: Path, kind: Any) -> Any:  # noqa: ANN401
    """Load a processor without image and video parts, which would need more packages."""
    subclass = type(
        kind.__name__,
        (kind,),
        {
            "check_argument_for_proper_class": lambda *_: None,
            "get_attributes": classmethod(lambda _: kind.get_attributes()),
        },
    )
    options, _ = kind.get_processor_dict(folder, **_LOCAL)
    names = kind.get_attributes()
    parts: dict[str, Any] = dict.fromkeys(names)
    parts["tokenizer"] = AutoTokenizer.from_pretrained(folder, **_LOCAL)
    extractor = "feature_extractor" if "feature_extractor" in names else "audio_processor"
    parts[extractor] = AutoFeatureExtractor.from_pretrained(folder, **_LOCAL)
    dropped = ("processor_class", "auto_map", *names)
    remaining = {name: value for name, value in options.items() if name not in dropped}
    remaining.setdefault("chat_template", parts["tokenizer"].chat_template)
    return subclass(**parts, **remaining)


def _missing_package(folder: Path, error: ImportError) -> MissingDependencyError:
    """Return an error to raise; its message quotes transformers, which names the package."""
    return MissingDependencyError(
        f"{folder}: transformers needs another package for this model. Its message: "
        f"{' '.join(str(error).split())[:400]}"
    )
