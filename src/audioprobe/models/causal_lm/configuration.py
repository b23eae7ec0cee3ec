"""Read the configurations of transformers models, which are not trusted."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoConfig, PreTrainedConfig

from audioprobe.errors import WeightsError
from audioprobe.parsing import parse_json

Config = TypeVar("Config", bound=PreTrainedConfig)

LOADING_ERRORS = (
    *(SafetensorError, StrictDataclassError, OSError, RuntimeError, ValueError, TypeError),
    *(LookupError, AttributeError, ArithmeticError, AssertionError),
)
"""Errors that transformers raises if the files of a model are missing or damaged.

Most values of a damaged configuration are not checked before they are used."""

MOST_LAYERS = 1000
"""Largest number of layers of a model; a larger one is a damaged configuration."""

_N_LAYERS = re.compile(r"(.*_)?(layers?|depths?)")  # names of such numbers in configurations


def read_json(path: Path, expected: str) -> dict[str, Any]:
    """Read a JSON object from a file.

    Raises:
        WeightsError: if the file is missing or damaged, or does not contain a JSON object. The
            message contains the description `expected`.
    """
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: not readable ({error}). Expected {expected}.") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path}: expected a JSON object, got another JSON value.")
    return content


def read_config(folder: Path, kind: type[Config], expected: str) -> Config:
    """Read the configuration of a transformers model from the file config.json.

    Raises:
        WeightsError: if the configuration is missing or damaged, or is not an instance of `kind`.
            The message contains `expected`, a description of the model such as "a CLAP".
    """
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
    except LOADING_ERRORS as error:
        raise WeightsError(
            f"{folder}: no readable config.json ({error!s:.300}). Download it again."
        ) from error
    if not isinstance(config, kind):
        raise WeightsError(f"{folder}: expected {expected}, found {config.model_type!r}.")
    return config


def refuse_many_layers(place: Path, config: Mapping[str, Any]) -> None:
    """Raise `WeightsError` if a configuration has a number of layers over `MOST_LAYERS`.

    transformers creates all layers before it reads weights, so that a wrong number fills the
    memory.
    """
    for name, value in config.items():
        if isinstance(value, dict):
            refuse_many_layers(place, value)
        counts = value if isinstance(value, list) else [value]
        most = max((n for n in counts if isinstance(n, int)), default=0)
        if _N_LAYERS.fullmatch(name) and most > MOST_LAYERS:
            raise WeightsError(
                f"{place}: expected at most {MOST_LAYERS} layers, got {name} = {value!s:.40}. "
                "Download the file again."
            )
