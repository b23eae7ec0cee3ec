"""Tensors into a network: every parameter accounted for, nothing guessed."""

from collections.abc import Mapping

from torch import Tensor, nn

from audioprobe.weights import refuse_differences


def load_state(module: nn.Module, tensors: Mapping[str, Tensor], *, source: str) -> None:
    """Make tensors the parameters of a network, without a copy, and freeze it for inference.

    Args:
        module: built on the meta device, so that it has no memory of its own.
        tensors: by the names of its state dictionary.
        source: name or path, for messages.

    Raises:
        WeightsError: if a parameter is missing, unexpected, or of another shape.
    """
    expected = module.state_dict()
    refuse_differences(
        source,
        missing=expected.keys() - tensors.keys(),
        unexpected=tensors.keys() - expected.keys(),
        mismatched=[
            f"{name}: {tuple(tensors[name].shape)} for {tuple(expected[name].shape)}"
            for name in expected.keys() & tensors.keys()
            if tensors[name].shape != expected[name].shape
        ],
    )
    module.load_state_dict(tensors, assign=True)
    module.eval().requires_grad_(requires_grad=False)
