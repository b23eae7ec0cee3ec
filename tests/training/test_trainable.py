"""Trainable modules are named, combined, and frozen otherwise."""

import pytest
from tests.golden_ltu import new_net

from audioprobe.errors import InvalidInputError
from audioprobe.models.ltu.trainable import TrainableLTU
from audioprobe.training.trainable import set_trainable, updates_language_model


def trainable_names(names: str) -> set[str]:
    model = TrainableLTU(new_net())
    parameters = set_trainable(model, names)
    trainable = {name for name, p in model.network.named_parameters() if p.requires_grad}
    assert len(parameters) == len(trainable)
    return trainable


def groups(names: set[str]) -> set[str]:
    model = TrainableLTU(new_net())
    return {model.group_of(name) for name in names}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("projector", {"projector"}),
        ("encoder", {"encoder"}),
        ("lora", {"lora"}),
        ("projector+lora", {"projector", "lora"}),
        ("all", {"encoder", "projector", "lora"}),
        ("all+llm", {"encoder", "projector", "lora", "llm"}),
    ],
)
def test_named_groups_are_trainable(names: str, expected: set[str]) -> None:
    assert groups(trainable_names(names)) == expected


def test_last_layers_are_the_weights_of_the_language_model_without_lora() -> None:
    last, both = trainable_names("last-1-layer"), trainable_names("projector + last-2-layers")
    assert all(name.startswith("llama.model.layers.1.") and "lora" not in name for name in last)
    assert last < both
    assert groups(both) == {"llm", "projector"}
    assert {name.split(".")[3] for name in both if name.startswith("llama.")} == {"0", "1"}


@pytest.mark.parametrize(
    "names", ["projector", "encoder", "lora", "all", "projector+llm", "encoder+last-1-layer"]
)
def test_language_model_is_updated_if_one_of_its_weights_is_trainable(names: str) -> None:
    of_llama = any(name.startswith("llama.") for name in trainable_names(names))
    assert updates_language_model(names) == of_llama


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("", "joined by '\\+', got ''"),
        ("projctor", "got 'projctor'"),
        ("last-0-layers", "got 'last-0-layers'"),
        ("last-9-layers", "has 2 layers"),
        ("cross-attention", "has no cross-attention to train"),
    ],
)
def test_unknown_or_missing_module_is_refused(names: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        set_trainable(TrainableLTU(new_net()), names)
