"""LoRA adapters of an LTU: larger ones, and a small folder of what was trained."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from peft.tuners.lora import LoraLayer
from safetensors.torch import save_file
from torch import Tensor, nn

from audioprobe.errors import InvalidInputError
from audioprobe.io.atomic import staged_directory
from audioprobe.models.ltu.checkpoint import ADAPTER, LTUCheckpoint
from audioprobe.models.ltu.model_card import write_card, write_training_data
from audioprobe.models.ltu.network import LTUNetwork, inject_lora
from audioprobe.types import Clip


def save_adapter(
    checkpoint: LTUCheckpoint, out: str | Path, *, name: str, training_clips: Iterable[Clip] = ()
) -> Path:
    """Write audio prefix and LoRA in half precision, without the LLaMA.

    `LTU.from_pretrained(out)` loads the folder over its base.

    Args:
        checkpoint: the model; its `origin` names the base.
        out: folder to create; it appears only when it is complete.
        name: name of the model.
        training_clips: clips that it was trained on, besides those of `checkpoint.training_data`.
            Their hashes are stored, so that results can list which clips were used in training.

    Returns:
        The folder.

    Raises:
        InvalidInputError: if `out` exists.
        AudioReadError: if a training clip cannot be read.
    """
    tensors = {
        key: tensor.to(torch.float16).contiguous()
        for key, tensor in checkpoint.net.state_dict().items()
        if key.startswith("prefix.") or "lora_" in key
    }
    with staged_directory(out) as folder:
        save_file(tensors, folder / ADAPTER)
        digest = hashlib.sha256((folder / ADAPTER).read_bytes()).hexdigest()
        origin = replace(checkpoint.origin, checkpoint=name, sha256=digest)
        write_card(folder, origin, checkpoint.net.config)
        write_training_data(checkpoint.training_data, folder, name, training_clips)
    return Path(out)


def expand_lora(net: LTUNetwork, rank: int, targets: Sequence[str], seed: int) -> None:
    """Increase the rank of LoRA adapters, or add targets, in place and without changing outputs.

    Trained directions stay; new ones are initialised as in peft, with a zero output. The scale
    (alpha over rank) stays up to the rounding of alpha to an integer.

    Args:
        net: network with or without LoRA.
        rank: new rank, at least the present one.
        targets: suffixes of the projections with LoRA ("q_proj", "up_proj"), including all present
            ones.
        seed: seed of the new directions.

    Raises:
        InvalidInputError: if trained directions would be lost, or the language model has no such
            projection.
    """
    config, old_rank = net.config, net.config.lora_rank
    known = {name.rpartition(".")[2] for name, _ in _projections(net)}
    unknown = [target for target in targets if target not in known]
    lost = [target for target in config.lora_targets if old_rank and target not in targets]
    if unknown or not targets:
        raise InvalidInputError(
            f"The language model has no projection {', '.join(unknown) or '(none was named)'}; it "
            f"has {', '.join(sorted(known))}."
        )
    if lost or rank < max(old_rank, 1):
        raise InvalidInputError(
            f"LoRA of rank {old_rank} on {', '.join(config.lora_targets)} would lose trained "
            f"directions at rank {rank} on {', '.join(targets)}. Use a rank of at least "
            f"{max(old_rank, 1)}{' and include these projections' if lost else ''}."
        )
    scale = config.lora_alpha / (old_rank or rank)
    alpha = max(1, round(scale * rank))
    trained = _remove_lora(net) if old_rank else {}
    net.config = replace(config, lora_rank=rank, lora_alpha=alpha, lora_targets=tuple(targets))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        inject_lora(net.config, net.llama)
    with torch.no_grad():
        for name, (down, up) in trained.items():
            new_down, new_up = _lora_maps(net, name)
            new_down[:old_rank] = down
            new_up[:, :old_rank] = up * (scale / (alpha / rank))


def _projections(net: LTUNetwork) -> list[tuple[str, nn.Module]]:
    """The projections of the language model's layers, with or without LoRA, by name."""
    return [
        (name, module)
        for name, module in net.llama.named_modules()
        if name.endswith("_proj") and ".layers." in name
    ]


def _remove_lora(net: LTUNetwork) -> dict[str, tuple[Tensor, Tensor]]:
    """Replace LoRA layers by their base layers; return the maps of each projection by name."""
    maps = {}
    for name, layer in _projections(net):
        if isinstance(layer, LoraLayer):
            maps[name] = _lora_maps(net, name)
            net.llama.set_submodule(name, net.llama.get_submodule(f"{name}.base_layer"))
    del net.llama.peft_config  # with it, peft would assume that adapters are present
    return maps


def _lora_maps(net: LTUNetwork, name: str) -> tuple[Tensor, Tensor]:
    """The down and up maps (A and B) of a projection's adapter, which peft calls "default"."""
    down, up = (net.llama.get_parameter(f"{name}.lora_{part}.default.weight") for part in "AB")
    return down, up
