"""From a folder to a model of transformers and what prepares its input, without surprises."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
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
from audioprobe.library_notices import without_weight_bars
from audioprobe.models.causal_lm.files import read_json
from audioprobe.weights import refuse_differences

_LOCAL = {"local_files_only": True, "trust_remote_code": False}
_FAULTS = (SafetensorError, OSError, RuntimeError, ValueError, KeyError)


@without_weight_bars()
def load_model(folder: Path, dtype: torch.dtype, device: str) -> Any:  # noqa: ANN401 - any causal model
    """The network in evaluation mode, with every parameter accounted for.

    Of an omni model, only the part that writes text is loaded.

    Raises:
        WeightsError: if files are missing or damaged, need code of their own, or are not
            safetensors.
        MissingDependencyError: if transformers needs another package for this model.
    """
    config = _read_config(folder)
    auto = _class_for(folder, config)
    try:
        model, found = auto.from_pretrained(
            folder,
            config=config,
            dtype=dtype,
            use_safetensors=True,
            output_loading_info=True,
            **_LOCAL,
        )
    except ImportError as error:
        raise _missing_package(folder, error) from error
    except _FAULTS as error:
        raise WeightsError(
            f"{folder}: no language model could be read ({error!s:.300}). Expected a folder of "
            "transformers with safetensors, complete, of a kind that transformers itself knows."
        ) from error
    refuse_differences(
        str(folder),
        missing=found["missing_keys"],
        unexpected=[name for name in found["unexpected_keys"] if not _is_speech(name, config)],
        mismatched=[str(entry) for entry in found["mismatched_keys"]],
    )
    _forget_defaults(model)
    return model.eval().requires_grad_(requires_grad=False).to(device)


def load_processor(folder: Path, model: Any) -> Any:  # noqa: ANN401 - processors and tokenizers
    """What turns text, or text and sound, into input: a processor, or a tokenizer.

    Args:
        folder: of the model's files.
        model: the network, which says whether it hears.

    Raises:
        WeightsError: if its files are missing or damaged.
        MissingDependencyError: if transformers needs another package for it.
    """
    written_in_code = (folder / "tekken.json").is_file() and not any(folder.glob("*.jinja"))
    if written_in_code and not is_mistral_common_available():
        raise MissingDependencyError(
            f"{folder}: this model's prompts are written by mistral-common, which is not "
            "installed. Install it with: pip install mistral-common"
        )
    try:
        config = type(AutoConfig.from_pretrained(folder, **_LOCAL))
        # The text half of a model that hears names the same modalities, but has no processor.
        if "audio" not in model.input_modalities or config not in PROCESSOR_MAPPING:
            return AutoTokenizer.from_pretrained(folder, **_LOCAL)
        kind: Any = PROCESSOR_MAPPING[config]
        if {"image_processor", "video_processor"} & set(kind.get_attributes()):
            return _without_eyes(folder, kind)
        return AutoProcessor.from_pretrained(folder, **_LOCAL)
    except ImportError as error:
        raise _missing_package(folder, error) from error
    except (*_FAULTS, TypeError) as error:
        raise WeightsError(
            f"{folder}: no tokenizer or processor could be read ({error!s:.300}). Expected the "
            "files that the model is published with, beside its weights."
        ) from error


def _read_config(folder: Path) -> Any:  # noqa: ANN401
    adapter = folder / "adapter_config.json"
    if adapter.is_file() and not (folder / "config.json").is_file():
        base = read_json(adapter, "an adapter of peft").get("base_model_name_or_path")
        raise WeightsError(
            f"{folder}: holds an adapter without its model ({base!s:.200}). Merge the two with "
            "peft's merge_and_unload and save them in a folder, or copy the adapter's files into "
            "the model's folder."
        )
    try:
        config = AutoConfig.from_pretrained(folder, **_LOCAL)
    except _FAULTS as error:
        raise WeightsError(
            f"{folder}: no config.json of a model that transformers knows ({error!s:.300}). Code "
            "that comes with weights is never run."
        ) from error
    # The omni models keep the part that writes text in a configuration of its own.
    return getattr(config, "thinker_config", config)


def _class_for(folder: Path, config: Any) -> Any:  # noqa: ANN401
    """The auto class that writes text for this configuration."""
    if not config.is_encoder_decoder:
        for auto, mapping in (
            (AutoModelForMultimodalLM, MODEL_FOR_MULTIMODAL_LM_MAPPING),
            (AutoModelForCausalLM, MODEL_FOR_CAUSAL_LM_MAPPING),
            # Audio Flamingo, although it is a causal model, stands here alone.
            (AutoModelForSeq2SeqLM, MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING),
        ):
            if type(config) in mapping:
                return auto
    raise WeightsError(
        f"{folder}: expected a causal language model, found {config.model_type!r}, which "
        "transformers does not use for that."
    )


def _is_speech(name: str, config: Any) -> bool:  # noqa: ANN401
    """Whether a parameter belongs to the half of an omni model that speaks."""
    omni = str(config.model_type).endswith("_thinker")
    return omni and name.startswith(("talker.", "token2wav.", "code2wav."))


def _forget_defaults(model: Any) -> None:  # noqa: ANN401
    """Keep of a published generation config only the tokens: decoding is the caller's."""
    given = model.generation_config
    model.generation_config = GenerationConfig(
        bos_token_id=given.bos_token_id,
        eos_token_id=given.eos_token_id,
        pad_token_id=given.pad_token_id,
    )


def _without_eyes(folder: Path, kind: Any) -> Any:  # noqa: ANN401
    """A processor of text and sound alone: its parts for pictures need more packages.

    Raises:
        WeightsError: if a part is missing.
    """
    blind = type(
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
    ear = "feature_extractor" if "feature_extractor" in names else "audio_processor"
    parts[ear] = AutoFeatureExtractor.from_pretrained(folder, **_LOCAL)
    dropped = ("processor_class", "auto_map", *names)
    given = {name: value for name, value in options.items() if name not in dropped}
    given.setdefault("chat_template", parts["tokenizer"].chat_template)
    return blind(**parts, **given)


def _missing_package(folder: Path, error: ImportError) -> MissingDependencyError:
    return MissingDependencyError(
        f"{folder}: transformers needs another package for this model. What it says: "
        f"{' '.join(str(error).split())[:400]}"
    )
