"""Networks of transformers from a folder: whole, of the right shape, never unpickled."""

from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, PreTrainedConfig

from audioprobe.errors import WeightsError
from audioprobe.library_notices import without_weight_bars
from audioprobe.weights import refuse_differences

Config = TypeVar("Config", bound=PreTrainedConfig)


def read_config(folder: Path, kind: type[Config], expected: str) -> Config:
    """The configuration of a network.

    Args:
        folder: holds config.json.
        kind: class of transformers that it must be of.
        expected: what that is, with its article, for the message.

    Raises:
        WeightsError: if it is missing, damaged, or of another kind.
    """
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise WeightsError(f"{folder}: no readable config.json ({error}).") from error
    if not isinstance(config, kind):
        raise WeightsError(f"{folder}: expected {expected}, found {config.model_type!r}.")
    return config


@without_weight_bars()
def load_network(kind: Any, folder: Path) -> Any:  # noqa: ANN401 - transformers has no types
    """A network for inference, in float32, with just the parameters of its checkpoint.

    Args:
        kind: a class of transformers with `from_pretrained`.
        folder: holds config.json and safetensors.

    Raises:
        WeightsError: if the weights are missing, damaged or those of another model.
    """
    try:
        network, found = kind.from_pretrained(
            folder,
            output_loading_info=True,
            local_files_only=True,
            dtype=torch.float32,
        )
    except (SafetensorError, OSError, RuntimeError, ValueError) as error:
        raise WeightsError(
            f"{folder}: the weights could not be read ({error}). The file may be missing or "
            "cut short: get it again."
        ) from error
    refuse_differences(
        str(folder),
        missing=found["missing_keys"],
        unexpected=found["unexpected_keys"],
        mismatched=[str(entry) for entry in found["mismatched_keys"]],
    )
    return network.eval()
