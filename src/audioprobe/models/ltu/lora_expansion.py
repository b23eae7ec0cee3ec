"""Adapters of more directions, and on more projections, that at first say what was said before."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from audioprobe.errors import InvalidInputError
from audioprobe.models.ltu.network import LTUNetwork, inject

_NAME = "default"  # peft's, of the one adapter that a projection has here


def expand_lora(net: LTUNetwork, rank: int, targets: Sequence[str], seed: int) -> None:
    """Give a network larger adapters, in place.

    What adapters have learned stays: new directions begin as peft begins them, with nothing to say.
    The scale (alpha over rank) stays too, as nearly as whole numbers allow.

    Args:
        net: its adapters, if any, become those of this rank.
        rank: at least that of the adapters there are.
        targets: suffixes of the projections that are to have adapters, "q_proj", "up_proj"; those
            that have them are among them.
        seed: of the new directions.

    Raises:
        InvalidInputError: if adapters would lose what they have learned, or the language model has
            no such projection.
    """
    config, old = net.config, net.config.lora_rank
    known = {name.rpartition(".")[2] for name, _ in _projections(net)}
    unknown = [target for target in targets if target not in known]
    lost = [target for target in config.lora_targets if old and target not in targets]
    if unknown or not targets:
        raise InvalidInputError(
            f"The language model has no projection {', '.join(unknown) or '(none was named)'}; it "
            f"has {', '.join(sorted(known))}."
        )
    if lost or rank < max(old, 1):
        raise InvalidInputError(
            f"Adapters of rank {old} on {', '.join(config.lora_targets)} would lose what they have "
            f"learned at rank {rank} on {', '.join(targets)}. Take a rank of at least {max(old, 1)}"
            f"{', and these projections' if lost else ''}."
        )
    scale = config.lora_alpha / old if old else config.lora_alpha / rank
    alpha = max(1, round(scale * rank))
    learned = _taken_off(net) if old else {}
    net.config = replace(config, lora_rank=rank, lora_alpha=alpha, lora_targets=tuple(targets))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        inject(net.config, net.llama)
    with torch.no_grad():
        for name, (into, out) in learned.items():
            new_into, new_out = _maps(net, name)
            new_into[:old] = into
            new_out[:, :old] = out * (scale / (alpha / rank))


def _projections(net: LTUNetwork) -> list[tuple[str, nn.Module]]:
    """Of the language model's layers, with or without an adapter."""
    return [
        (name, module)
        for name, module in net.llama.named_modules()
        if name.endswith("_proj") and ".layers." in name
    ]


def _taken_off(net: LTUNetwork) -> dict[str, tuple[Tensor, Tensor]]:
    """The maps of all adapters, into and out of their few dimensions; projections are bare then."""
    found = {}
    for name, layer in _projections(net):
        if not isinstance(layer, LoraLayer):
            continue
        found[name] = _maps(net, name)
        parent, _, own = name.rpartition(".")
        bare = net.llama.get_submodule(f"{name}.base_layer")
        setattr(net.llama.get_submodule(parent), own, bare)
    del net.llama.peft_config  # peft takes a model that has one for one with adapters
    return found


def _maps(net: LTUNetwork, name: str) -> tuple[Tensor, Tensor]:
    """Of the adapter of a projection: into its few dimensions, and out of them."""
    into, out = (
        net.llama.get_parameter(f"{name}.lora_{part}.{_NAME}.weight") for part in ("A", "B")
    )
    return into, out
