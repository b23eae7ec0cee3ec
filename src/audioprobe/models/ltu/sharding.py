"""Distribution of the LLaMA of an LTU over several devices, with accelerate.

Whole layers are on different devices, and the states move from one to the next; the devices compute
one after another. The audio prefix is where the word embeddings are computed.
"""

import shutil
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import torch
from accelerate import dispatch_model, infer_auto_device_map
from accelerate.utils import get_balanced_memory, get_max_memory

from audioprobe.errors import InvalidInputError, UnsupportedInputError
from audioprobe.models.ltu.network import LTUNetwork

MapStrategy: TypeAlias = Literal["auto", "balanced", "balanced_low_0", "sequential"]
STRATEGIES: tuple[MapStrategy, ...] = get_args(MapStrategy)
"""Names of transformers' ways to distribute layers; "auto" equals "balanced"."""

DeviceMap: TypeAlias = MapStrategy | Mapping[str, int | str]
"""How to distribute layers, or the device of each module of the LLaMA."""

_HOSTS = ("cpu", "disk")  # with a GPU, weights there are copied to it for each use
_EMBEDDINGS = "model.embed_tokens"


@dataclass(frozen=True, slots=True)
class Sharding:
    """Options that distribute a LLaMA over devices; see `LTU.from_pretrained`.

    Attributes:
        device_map: strategy or device by module; None for a single device.
        max_memory: memory to use by device; None is all that is free.
        offload_folder: parent of the folder with weights on the disk.
    """

    device_map: DeviceMap | None = None
    max_memory: Mapping[int | str, int | str] | None = None
    offload_folder: str | Path | None = None

    def check(self, **others: object) -> None:
        """Raise `InvalidInputError` if a device or strategy is unknown, or options contradict.

        Args:
            others: options that cannot be used together with a device map; None, False and "auto"
                mean that an option is not used.
        """
        if self.device_map is None:
            if self.max_memory is not None or self.offload_folder is not None:
                raise InvalidInputError(
                    "Expected max_memory and offload_folder only together with device_map, got "
                    'no device_map. Add device_map="auto", or omit them.'
                )
            return
        used = [name for name, value in others.items() if value not in (None, False, "auto")]
        if used:
            raise InvalidInputError(
                f"Expected device_map without {', '.join(others)}, got it with {', '.join(used)}. "
                "Omit one of them."
            )
        if isinstance(self.device_map, str):
            _check_strategy(self.device_map)
        else:
            _check_devices(self.device_map)

    def apply(self, net: LTUNetwork, device: str) -> str:
        """Distribute a network on the CPU over devices, in place; return that of the audio prefix.

        The network is moved to `device` if there is no map. Files on the disk are removed with
        the network.

        Raises:
            InvalidInputError: if the map names an unknown module or omits one, or if weights must
                be on the disk and there is no folder.
            UnsupportedInputError: if layers of the LLaMA read the audio tokens.
        """
        if self.device_map is None:
            net.to(device)
            return device
        if net.prefix.reader is not None:
            raise UnsupportedInputError(
                "Expected a connector whose audio tokens precede the text for device_map, got "
                f"{net.config.connector.kind!r}, whose tokens are read by layers. Use device."
            )
        llama: Any = net.llama
        device_map = self.device_map
        if isinstance(device_map, str):
            device_map = _inferred(llama, device_map, self.max_memory)
        devices = _by_part(llama, device_map)
        device = _main_device(devices)
        main_device: Any = device  # a text, with which accelerate compares "cpu"
        on_disk = "disk" in devices.values()
        net.prefix.to(device)
        dispatch_model(
            llama,
            {**devices, "model.rotary_emb": device},
            main_device=main_device,
            offload_dir=_temporary_folder(net, self.offload_folder) if on_disk else None,
            skip_keys=llama._skip_keys_device_placement,  # noqa: SLF001 - as transformers does
        )
        return device


def _check_strategy(strategy: str) -> None:
    """Raise `InvalidInputError` unless transformers has a strategy of this name."""
    if strategy not in STRATEGIES:
        raise InvalidInputError(
            f"Expected device_map to be one of {', '.join(STRATEGIES)}, or a dictionary from "
            f'modules to devices, got {strategy!r}. For one device, use device="...".'
        )


def _check_devices(device_map: Mapping[str, int | str]) -> None:
    """Raise `InvalidInputError` unless this machine has all devices of a map."""
    devices = [*_HOSTS, *(f"cuda:{n}" for n in range(torch.cuda.device_count()))]
    for module, device in device_map.items():
        if _name(device) not in devices:
            raise InvalidInputError(
                f"Expected a device of this machine ({', '.join(devices)}) for {module!r} in "
                f"device_map, got {device!r}. Change the map."
            )


def _inferred(
    llama: Any,  # noqa: ANN401 - attributes of models of transformers have no types
    strategy: MapStrategy,
    max_memory: Mapping[int | str, int | str] | None,
) -> Mapping[str, str]:
    """Return the device of each module, as transformers chooses it."""
    whole = list(llama._no_split_modules)  # noqa: SLF001 - as transformers does
    limits = None
    if max_memory is not None:
        # Keys in TOML are texts, but accelerate expects numbers of GPUs.
        limits = {int(k) if str(k).isdigit() else k: size for k, size in max_memory.items()}
    try:
        if strategy == "sequential":
            limits = get_max_memory(limits)
        else:
            is_low = strategy == "balanced_low_0"
            limits = get_balanced_memory(llama, limits, whole, low_zero=is_low)
        devices = infer_auto_device_map(llama, limits, whole)
    except (ValueError, RuntimeError) as error:  # the latter for an unknown device
        raise InvalidInputError(
            'Expected max_memory as sizes of devices, such as {0: "20GiB", "cpu": "60GiB"}, got '
            f"{max_memory!r} ({error!s:.200}). Change it."
        ) from error
    return {module: _name(device) for module, device in devices.items()}


def _by_part(llama: Any, device_map: Mapping[str, int | str]) -> dict[str, str]:  # noqa: ANN401
    """Return the device of embeddings, each layer, norm and head; the longest name decides.

    Raises:
        InvalidInputError: if a name is unknown, or a part has no device.
    """
    layers = [f"model.layers.{n}" for n in range(len(llama.model.layers))]
    parts = [_EMBEDDINGS, *layers, "model.norm", "lm_head"]
    known = {"", "model", "model.layers", "model.rotary_emb", *parts}
    if unknown := [name for name in device_map if name not in known]:
        raise InvalidInputError(
            f"Expected device_map to name modules of the LLaMA ({_EMBEDDINGS}, {layers[0]} to "
            f"{layers[-1]}, model.norm, lm_head, model, or '' for all), got "
            f"{', '.join(map(repr, unknown))}. Layers cannot be split."
        )
    devices = {}
    for part in parts:
        names = [name for name in device_map if name == "" or f"{part}.".startswith(f"{name}.")]
        if not names:
            raise InvalidInputError(
                f"Expected device_map to contain all modules of the LLaMA, got none for {part}. "
                "Add it, or '' for all modules that have no entry."
            )
        devices[part] = _name(device_map[max(names, key=len)])
    return devices


def _main_device(devices: Mapping[str, str]) -> str:
    """Return the device that computes word embeddings, and what is offloaded to CPU or disk."""
    gpus = [device for device in devices.values() if device not in _HOSTS]
    return devices[_EMBEDDINGS] if devices[_EMBEDDINGS] in gpus else next(iter(gpus), "cpu")


def _temporary_folder(net: LTUNetwork, parent: str | Path | None) -> str:
    """Create a folder for weights; it is removed with the network, or at the end of the process."""
    if parent is None:
        raise InvalidInputError(
            "Expected offload_folder, because the device map places modules on the disk, got "
            "None. Pass a folder, or a map without the disk."
        )
    Path(parent).mkdir(parents=True, exist_ok=True)
    folder = tempfile.mkdtemp(dir=parent)
    weakref.finalize(net, shutil.rmtree, folder, ignore_errors=True)
    return folder


def _name(device: int | str | torch.device) -> str:
    """Return the name of a device; a number is that of a GPU."""
    return f"cuda:{device}" if isinstance(device, int) else str(device)
