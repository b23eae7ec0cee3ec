"""What trains, by names put together: "encoder+projector+lora", "projector+last-2-layers"."""

import re
from typing import cast

from torch import nn

from audioprobe.errors import InvalidInputError
from audioprobe.models.ltu.network import LTUNetwork
from audioprobe.training.trainable import PARTS, Part, part_of, set_trainable

ALL: tuple[Part, ...] = ("encoder", "projector", "lora")
"""What LTU's own later stages train, and call "all"."""

_LANGUAGE: frozenset[Part] = frozenset({"lora", "llm"})
_LAST = re.compile(r"last-([1-9]\d*)-layers?")


def set_trainable_by_name(net: LTUNetwork, names: str) -> list[nn.Parameter]:
    """Let what is named require gradients, and freeze everything else.

    Args:
        net: changed in place.
        names: some of "encoder", "projector", "gate" (see `nets.gate`), "lora" (the adapters),
            "llm" (the language model's own weights), "all" (encoder, projector and adapters), and
            "last-N-layers" (the language model's own weights in its last N layers), joined by "+".

    Returns:
        The parameters that train, in the order of the network.

    Raises:
        InvalidInputError: for nothing, an unknown name, a part that this network lacks, or more
            layers than it has.
    """
    parts, n_layers = _read(names)
    net.requires_grad_(requires_grad=False)
    if parts:
        set_trainable(net, parts)
    _let_last(net, n_layers)
    return [parameter for parameter in net.parameters() if parameter.requires_grad]


def updates_language_model(names: str) -> bool:
    """Whether what is named is of the language model, so that text without sound is read anew.

    Args:
        names: as for `set_trainable_by_name`.

    Raises:
        InvalidInputError: for nothing, or an unknown name.
    """
    parts, n_layers = _read(names)
    return n_layers > 0 or not parts.isdisjoint(_LANGUAGE)


def _read(names: str) -> tuple[set[Part], int]:
    """Parts, and how many of the language model's last layers."""
    parts: set[Part] = set()
    n_layers = 0
    for name in names.split("+"):
        last = _LAST.fullmatch(name.strip())
        if last:
            n_layers = max(n_layers, int(last.group(1)))
        elif name.strip() == "all":
            parts.update(ALL)
        elif name.strip() in PARTS:
            parts.add(cast("Part", name.strip()))
        else:
            raise InvalidInputError(
                f"Expected some of {', '.join(PARTS)}, all, last-N-layers, joined by '+', got "
                f"{names!r}."
            )
    return parts, n_layers


def _let_last(net: LTUNetwork, n_layers: int) -> None:
    """The language model's own weights: adapters train only by name."""
    layers = net.llama.model.layers
    if n_layers > len(layers):
        raise InvalidInputError(
            f"The language model has {len(layers)} layers, got last-{n_layers}-layers."
        )
    for layer in layers[len(layers) - n_layers :]:
        for name, parameter in layer.named_parameters():
            if part_of(name) == "llm":
                parameter.requires_grad = True
