"""What trains goes by names that can be put together."""

import pytest

from audioprobe.errors import InvalidInputError
from audioprobe.finetuning.trainable import set_trainable_by_name, updates_language_model
from audioprobe.training.trainable import part_of
from tests.golden_ltu import new_net


def trains(names: str) -> set[str]:
    net = new_net()
    found = set_trainable_by_name(net, names)
    own = {name for name, p in net.named_parameters() if p.requires_grad}
    assert len(found) == len(own)
    return own


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        ("projector", {"projector"}),
        ("encoder", {"encoder"}),
        ("lora", {"lora"}),
        ("projector+lora", {"projector", "lora"}),
        ("encoder+projector+lora", {"encoder", "projector", "lora"}),
        ("all", {"encoder", "projector", "lora"}),
        ("all+llm", {"encoder", "projector", "lora", "llm"}),
    ],
)
def test_names_are_parts(names: str, parts: set[str]) -> None:
    assert {part_of(name) for name in trains(names)} == parts


def test_last_layers_are_the_language_models_own_weights() -> None:
    last, both = trains("last-1-layer"), trains("projector + last-2-layers")
    assert all(name.startswith("llama.model.layers.1.") and "lora" not in name for name in last)
    assert last < both
    assert {part_of(name) for name in both} == {"llm", "projector"}
    assert {name.split(".")[3] for name in both if part_of(name) == "llm"} == {"0", "1"}


@pytest.mark.parametrize(
    "names", ["projector", "encoder", "lora", "all", "projector+llm", "encoder+last-1-layer"]
)
def test_the_language_model_is_reached_where_weights_of_it_train(names: str) -> None:
    own = any(name.startswith("llama.") for name in trains(names))
    assert updates_language_model(names) == own


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("", "joined by '\\+', got ''"),
        ("projctor", "got 'projctor'"),
        ("last-0-layers", "got 'last-0-layers'"),
        ("last-9-layers", "has 2 layers"),
    ],
)
def test_what_there_is_not_is_refused(names: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        set_trainable_by_name(new_net(), names)
