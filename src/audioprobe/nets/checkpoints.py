"""From published checkpoints to a network: every parameter accounted for, nothing guessed."""

from collections.abc import Mapping

import torch
from torch import Tensor

from audioprobe.errors import WeightsError
from audioprobe.nets._upstream import rename
from audioprobe.nets.ltu import LtuConfig, LtuNet
from audioprobe.weights import refuse_differences


def assemble(config: LtuConfig, *checkpoints: Mapping[str, Tensor], source: str) -> LtuNet:
    """Build an LTU from flat dictionaries of published names.

    Args:
        config: sizes of the model.
        checkpoints: in the order of loading, the base first; a later one replaces what an earlier
            one has, as the base's audio encoder is replaced by the trained one.
        source: name or path of the last checkpoint, for messages.

    Returns:
        The network in evaluation mode, with the tensors of the checkpoints.

    Raises:
        WeightsError: if a parameter is missing, unexpected, or of another shape.
    """
    # Without memory of its own: the tensors of the checkpoints become its parameters.
    with torch.device("meta"):
        net = LtuNet(config)
    expected = net.state_dict()
    found: dict[str, Tensor] = {}
    unknown: list[str] = []
    for checkpoint in checkpoints:
        names = rename(checkpoint, config.audio.n_blocks)
        unknown += names.unknown
        found |= {_adapted(ours, expected): checkpoint[name] for name, ours in names.ours.items()}
    _refuse_other_width(config, found, source)
    refuse_differences(
        source,
        missing=expected.keys() - found.keys(),
        unexpected=[*unknown, *(found.keys() - expected.keys())],
        mismatched=[
            f"{name}: {tuple(found[name].shape)} for {tuple(expected[name].shape)}"
            for name in expected.keys() & found.keys()
            if found[name].shape != expected[name].shape
        ],
    )
    net.load_state_dict(found, assign=True)
    _restore_buffers(net)
    return net.eval().requires_grad_(False)


def _adapted(name: str, expected: Mapping[str, Tensor]) -> str:
    """Where peft keeps a projection that has an adapter."""
    module, _, parameter = name.rpartition(".")
    inner = f"{module}.base_layer.{parameter}"
    return inner if inner in expected else name


def _refuse_other_width(config: LtuConfig, found: Mapping[str, Tensor], source: str) -> None:
    """The commonest mistake, in one sentence: the adapter of one size on the base of another."""
    width = config.llama["hidden_size"]
    projection = found.get("prefix.projection.bias")
    if projection is not None and projection.shape != (width,):
        raise WeightsError(
            f"{source}: was trained for a language model of width {projection.shape[0]}, and the "
            f"base has width {width} (LTU-7B has 4096, LTU-13B has 5120): name the base that it "
            "was trained on."
        )


def _restore_buffers(net: LtuNet) -> None:
    """Compute what is no parameter: the rotary frequencies were laid out without memory too."""
    rotary = net.llama.model.rotary_emb
    net.llama.model.rotary_emb = type(rotary)(config=net.llama.config)
