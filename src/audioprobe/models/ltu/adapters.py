"""Save the trained LoRA and audio modules of an LTU without its LLaMA; expand LoRA adapters."""

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
    """Write the audio prefix and LoRA of an LTU to a folder, in float16, without the LLaMA.

    The audio prefix is the part of the network that turns audio into tokens of the LLaMA.
    `LTU.from_pretrained(out)` loads the base, which is the LLaMA, and then this folder.

    Args:
        checkpoint: the model; its `origin` names the base.
        out: folder to create; it appears only when it is complete.
        name: name of the model.
        training_clips: clips that the model was trained on, in addition to
            `checkpoint.training_data`. The folder stores their hashes, so that results can list
            which clips were used in training.

    Returns:
        The path of the folder.

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
    """Increase the rank of LoRA adapters or add target projections, in place.

    The outputs of the network do not change: trained rows and columns are copied, and new ones are
    initialised as in peft, with a zero output. The scale (alpha / rank) is preserved, except that
    alpha is rounded to an integer.

    Args:
        net: network with or without LoRA.
        rank: new rank, at least the current rank.
        targets: suffixes of the projections that get LoRA ("q_proj", "up_proj"). They must include
            all projections that already have LoRA.
        seed: seed of the new rows and columns.

    Raises:
        InvalidInputError: if trained LoRA weights would be lost, or if the language model has no
            projection with such a suffix.
    """
    config, old_rank = net.config, net.config.lora_rank
    known = {name.rpartition(".")[2] for name, _ in _projections(net)}
    unknown = [target for target in targets if target not in known]
    lost = [target for target in config.lora_targets if old_rank and target not in targets]
    if unknown or not targets:
        raise InvalidInputError(
            f"Expected LoRA targets among {', '.join(sorted(known))}; got "
            f"{', '.join(unknown) or 'none'}."
        )
    if lost or rank < max(old_rank, 1):
        raise InvalidInputError(
            f"The network has LoRA of rank {old_rank} on {', '.join(config.lora_targets)}; rank "
            f"{rank} on {', '.join(targets)} would discard trained weights. Use a rank of at least "
            f"{max(old_rank, 1)} and include all projections that have LoRA."
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
    """Return the projections of the language model's layers with their names."""
    return [
        (name, module)
        for name, module in net.llama.named_modules()
        if name.endswith("_proj") and ".layers." in name
    ]


def _remove_lora(net: LTUNetwork) -> dict[str, tuple[Tensor, Tensor]]:
    """Replace LoRA layers by their base layers; return the removed A and B matrices by name."""
    maps = {}
    for name, layer in _projections(net):
        if isinstance(layer, LoraLayer):
            maps[name] = _lora_maps(net, name)
            net.llama.set_submodule(name, net.llama.get_submodule(f"{name}.base_layer"))
    del net.llama.peft_config  # otherwise peft would assume that adapters are present
    return maps


def _lora_maps(net: LTUNetwork, name: str) -> tuple[Tensor, Tensor]:
    """Return the A and B matrices of a projection's adapter, which peft calls "default"."""
    down, up = (net.llama.get_parameter(f"{name}.lora_{part}.default.weight") for part in "AB")
    return down, up
