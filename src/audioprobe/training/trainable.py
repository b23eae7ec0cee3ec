"""Which parts of an LTU train."""

from collections.abc import Iterable
from typing import Literal, get_args

from torch import nn

from audioprobe.errors import InvalidInputError
from audioprobe.models.ltu.audio_prefix import GATE
from audioprobe.models.ltu.network import LTUNetwork

Part = Literal["encoder", "projector", "gate", "lora", "llm"]
PARTS: tuple[Part, ...] = get_args(Part)


def set_trainable(net: LTUNetwork, parts: Iterable[Part]) -> list[nn.Parameter]:
    """Let some parts require gradients and freeze all others.

    Args:
        net: changed in place.
        parts: "encoder" of sound, "projector", "gate" (see `nets.gate`), "lora" (the adapters),
            "llm" (the language model itself). LTU's first stage trains the projector, the others
            encoder, projector and LoRA.

    Returns:
        The parameters that train.

    Raises:
        InvalidInputError: for no part, an unknown one, or one that this network lacks.
    """
    wanted = set(parts)
    if not wanted or wanted - set(PARTS):
        raise InvalidInputError(
            f"Name some of {', '.join(PARTS)} to train, got {', '.join(sorted(wanted)) or 'none'}."
        )
    chosen: dict[Part, list[nn.Parameter]] = {part: [] for part in PARTS}
    for name, parameter in net.named_parameters():
        chosen[part_of(name)].append(parameter)
        parameter.requires_grad = part_of(name) in wanted
    missing = sorted(part for part in wanted if not chosen[part])
    if missing:
        raise InvalidInputError(f"This network has no {', '.join(missing)} to train.")
    return [parameter for part in PARTS if part in wanted for parameter in chosen[part]]


def part_of(name: str) -> Part:
    """The part that a parameter belongs to, by its name in the network."""
    if name.startswith("prefix.encoder."):
        return "encoder"
    if name.startswith(f"prefix.{GATE}."):
        return "gate"
    if name.startswith("prefix."):
        return "projector"
    return "lora" if "lora_" in name else "llm"
