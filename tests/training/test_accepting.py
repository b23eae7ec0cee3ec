"""A training that is looked at ends with the weights of the last look that was accepted."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.training.test_trainer import KilledError, Line, batch_at, killed_at, weights
from torch import Tensor, nn

from audioprobe.errors import InvalidInputError, TrainingError
from audioprobe.training import checkpointing
from audioprobe.training.trainer import LOG, STATE, TrainingArguments, train

PLAN = TrainingArguments(steps=20, learning_rate=1e-2, warmup_steps=2, save_every=4)
LOOKS = (4, 8, 12, 16, 20)


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def until(look: int, module: nn.Module, seen: dict[int, list[Tensor]]) -> Callable[[int], bool]:
    """Refuses at a look, and keeps the weights of all."""

    def accept(step: int) -> bool:
        assert not module.training
        seen[step] = weights(module)
        return step != look

    return accept


@pytest.mark.parametrize("look", LOOKS[1:])
def test_refused_at_a_look_it_ends_at_the_look_before(tmp_path: Path, look: int) -> None:
    module = Line()
    seen: dict[int, list[Tensor]] = {}
    log = train(module, batch_at, PLAN, tmp_path, accept=until(look, module, seen))
    assert list(seen) == list(range(4, look + 1, 4))
    assert same(weights(module), seen[look - 4])
    assert not same(seen[look], seen[look - 4])
    assert [entry["step"] for entry in log] == list(range(look - 4))
    assert [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()] == log
    assert checkpointing.load(tmp_path / STATE)["step"] == look - 4


def test_refused_at_the_first_look_it_ends_where_it_began(tmp_path: Path) -> None:
    module = Line()
    before = weights(module)
    assert train(module, batch_at, PLAN, tmp_path, accept=lambda _: False) == []
    assert same(weights(module), before)
    assert not (tmp_path / STATE).exists()


def test_accepted_always_it_is_as_if_nobody_looked(tmp_path: Path) -> None:
    looked_at, whole = Line(), Line()
    log = train(looked_at, batch_at, PLAN, tmp_path / "a", accept=lambda _: True)
    expected = train(whole, batch_at, PLAN, tmp_path / "b")
    assert same(weights(looked_at), weights(whole))
    assert [entry["loss"] for entry in log] == [entry["loss"] for entry in expected]


def test_looks_draw_no_noise_from_the_steps(tmp_path: Path) -> None:
    """What a look draws leaves dropout as it was."""
    module, whole = Line(), Line()

    def accept(_: int) -> bool:
        return bool(torch.rand(7).sum() > -1)

    train(module, batch_at, PLAN, tmp_path / "a", accept=accept)
    train(whole, batch_at, PLAN, tmp_path / "b")
    assert same(weights(module), weights(whole))


@settings(max_examples=15, deadline=None)
@given(look=st.sampled_from(LOOKS), kills=st.lists(st.integers(0, 19), min_size=1, max_size=3))
def test_killed_anywhere_it_ends_at_the_same_look(
    tmp_path_factory: pytest.TempPathFactory, look: int, kills: list[int]
) -> None:
    whole, folder = Line(), tmp_path_factory.mktemp("killed")
    train(whole, batch_at, PLAN, tmp_path_factory.mktemp("whole"), accept=until(look, whole, {}))
    for step in kills:
        module = Line()
        try:
            train(module, killed_at(step), PLAN, folder, accept=until(look, module, {}))
        except KilledError:
            continue
    module = Line()
    log = train(module, batch_at, PLAN, folder, accept=until(look, module, {}))
    assert same(weights(module), weights(whole))
    assert len(log) == look - 4


class Wider(nn.Module):
    """Parameters of the same names as a line's, of another size."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Dropout(0.2), nn.Linear(8, 1))

    def forward(self, batch: Tensor) -> Tensor:
        loss: Tensor = self.layers(batch).mean()
        return loss


def test_a_state_of_other_sizes_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    train(Line(), batch_at, PLAN, tmp_path)
    state, other = checkpointing.load(tmp_path / STATE), Wider()
    before = weights(other)
    assert not checkpointing.restore(other, state["weights"])
    with pytest.raises(InvalidInputError, match="of other parameters or sizes"):
        train(other, batch_at, PLAN, tmp_path)
    assert same(weights(other), before)
    fewer = {name: w for name, w in state["weights"].items() if "bias" not in name}
    line = Line()
    before = weights(line)
    assert not checkpointing.restore(line, fewer)
    assert same(weights(line), before)
    assert checkpointing.restore(line, state["weights"])
    assert not same(weights(line), before)


class Falling(nn.Module):
    """Its weight falls at every step, and its loss does not show it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, batch: Tensor) -> Tensor:
        return (self.weight - self.weight.detach()).sum()


def test_weights_that_overflow_are_never_saved(tmp_path: Path) -> None:
    plan = TrainingArguments(
        steps=20, learning_rate=3e37, warmup_steps=0, schedule="constant", save_every=1
    )
    with pytest.raises(TrainingError, match=r"weights that are not finite at step 11: .* diverged"):
        train(Falling(), batch_at, plan, tmp_path)
    state = checkpointing.load(tmp_path / STATE)
    assert state["step"] == 11
    assert state["weights"]["weight"].isfinite().all()


class Frozen(nn.Module):
    """Something trains, and the loss does not feel it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, batch: Tensor) -> Tensor:
        return batch.mean()


def test_a_loss_that_nothing_can_lower_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="nothing that trains has a part in the loss"):
        train(Frozen(), batch_at, PLAN, tmp_path)
