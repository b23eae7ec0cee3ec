"""What holds forgetting does what its definition says, where the answer is known."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, rel_entr
from torch import Tensor, nn

from audioprobe.errors import InvalidInputError
from audioprobe.finetuning.regularizers import (
    DistillationLoss,
    EWCLoss,
    fisher,
    interpolate,
    l2sp_loss,
    online,
)
from audioprobe.training import checkpointing
from audioprobe.training.objectives import AnswerLoss
from audioprobe.training.records import QARecord
from audioprobe.training.sequences import Batch, collate, encode
from audioprobe.training.trainable import set_trainable
from tests.golden_ltu import new_net, spectrograms
from tests.training.test_objectives import RECORD, TOKENIZER

POSITIVE = st.floats(0.1, 10)
ANY = st.floats(-5, 5)


def value(found: Tensor) -> float:
    return float(found.detach())


class Point(nn.Module):
    """Weights of a model that is nothing but these."""

    def __init__(self, *values: float) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor(values, dtype=torch.float64))


def minimised(point: Point, loss: Callable[[], Tensor]) -> npt.NDArray[np.float64]:
    optimizer = torch.optim.LBFGS(
        point.parameters(), max_iter=200, tolerance_grad=1e-12, tolerance_change=1e-14
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return point.weights.detach().numpy()


@settings(max_examples=30, deadline=None)
@given(began=ANY, wanted=ANY, bend=POSITIVE, importance=POSITIVE, strength=POSITIVE)
def test_a_quadratic_has_its_closed_form(
    began: float, wanted: float, bend: float, importance: float, strength: float
) -> None:
    for weight in (1.0, importance):
        point = Point(began)
        held = EWCLoss(point, {"weights": torch.tensor([weight])}, strength)
        if weight == 1.0:
            held = l2sp_loss(point, strength)

        def loss(point: Point = point, held: EWCLoss = held) -> Tensor:
            return bend / 2 * ((point.weights - wanted) ** 2).sum() + held()

        found = minimised(point, loss)
        pull = strength * weight
        assert found[0] == pytest.approx((bend * wanted + pull * began) / (bend + pull), abs=1e-6)


def test_a_second_task_ends_where_both_together_would() -> None:
    """Squared losses with uncorrelated inputs: importances are all there is to know of the first.

    With the sum of squared inputs as importance and strength 1, the optimum is that of both tasks
    at once; without it, it is that of the second.
    """
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(40, 3)), rng.normal(size=(30, 3))
    first = np.linalg.qr(first)[0] * np.array([3.0, 1.0, 0.2])
    targets = first @ [1.0, -2.0, 0.5], second @ [0.0, 1.0, 3.0] + rng.normal(size=30)
    alone = np.linalg.lstsq(first, targets[0], rcond=None)[0]
    point = Point(*alone)
    importance = {"weights": torch.from_numpy((first**2).sum(axis=0))}
    held = EWCLoss(point, importance, 1.0)
    inputs, wanted = torch.from_numpy(second), torch.from_numpy(targets[1])
    found = minimised(point, lambda: ((inputs @ point.weights - wanted) ** 2).sum() / 2 + held())
    both = np.linalg.lstsq(np.vstack([first, second]), np.concatenate(targets), rcond=None)[0]
    assert found == pytest.approx(both, abs=1e-6)
    unheld = np.linalg.lstsq(second, targets[1], rcond=None)[0]
    assert np.abs(unheld - both).max() > 0.1


class Logistic(Point):
    """Negative log-likelihood of labels 0 and 1."""

    def forward(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        inputs, labels = batch
        return nn.functional.binary_cross_entropy_with_logits(inputs @ self.weights, labels)


def test_importances_are_means_of_squared_gradients() -> None:
    rng = np.random.default_rng(1)
    inputs, labels = rng.normal(size=(50, 2)), rng.integers(2, size=50).astype(np.float64)
    model = Logistic(0.3, -0.7)
    examples = [(torch.from_numpy(inputs[[n]]), torch.from_numpy(labels[[n]])) for n in range(50)]
    found = fisher(model, examples)["weights"].numpy()
    said = 1 / (1 + np.exp(-(inputs @ [0.3, -0.7])))
    assert found == pytest.approx((((said - labels)[:, None] * inputs) ** 2).mean(axis=0))
    together = fisher(model, [(torch.from_numpy(inputs), torch.from_numpy(labels))])["weights"]
    assert (together.numpy() < found).all()  # squares of means: why a batch must be one example
    assert model.weights.grad is None
    with pytest.raises(InvalidInputError, match="at least one example"):
        fisher(model, [])


def test_what_a_task_does_not_reach_has_no_importance_for_it() -> None:
    """Nothing that hears has a part in the reading of texts."""
    net = new_net()
    set_trainable(net, ("projector",))
    text = collate([encode(QARecord("Why?", "Because."), TOKENIZER)], {}, loss="answer", pad=0)
    found = fisher(AnswerLoss(net), [text])
    assert found.keys() == checkpointing.trained(AnswerLoss(net)).keys()
    assert not any(importance.any() for importance in found.values())
    assert any(importance.any() for importance in fisher(AnswerLoss(net), [batch()]).values())


def test_tasks_held_apart_are_one_penalty_if_nothing_fades() -> None:
    point = Point(1.0, 2.0)
    one, two = ({"weights": torch.tensor(v)} for v in ([1.0, 4.0], [0.5, 0.0]))
    apart = [EWCLoss(point, one, 3.0), EWCLoss(point, two, 3.0)]
    merged = EWCLoss(point, online(one, two, 1.0), 3.0)
    fading = EWCLoss(point, online(one, two, 0.5), 3.0)
    with torch.no_grad():
        point.weights.add_(torch.tensor([0.7, -0.2], dtype=torch.float64))
    together = value(merged())
    assert together == pytest.approx(sum(value(each()) for each in apart))
    assert value(fading()) < together
    with pytest.raises(InvalidInputError, match="decay from 0 to 1"):
        online(one, two, 1.5)


def test_weights_lie_on_the_way_between() -> None:
    point = Point(1.0, 2.0)
    before = {name: weights.clone() for name, weights in checkpointing.trained(point).items()}
    with torch.no_grad():
        point.weights.copy_(torch.tensor([3.0, -2.0]))
    interpolate(point, before, 0.25)
    assert point.weights.tolist() == [1.5, 1.0]
    interpolate(point, before, 0.0)
    assert point.weights.tolist() == [1.0, 2.0]
    with pytest.raises(InvalidInputError, match="share from 0 to 1"):
        interpolate(point, before, 2.0)
    with pytest.raises(InvalidInputError, match="of the same parameters"):
        interpolate(point, {}, 0.5)


def tiny() -> AnswerLoss:
    net = new_net()
    set_trainable(net, ("projector", "lora"))
    return AnswerLoss(net)


def batch() -> Batch:
    examples = [encode(RECORD, TOKENIZER)]
    return collate(examples, {"a": spectrograms()[0]}, loss="answer", pad=0)


def test_a_teacher_changes_nothing_until_something_moves() -> None:
    loss = tiny().eval()
    teacher = DistillationLoss(loss, temperature=3.0).eval()
    assert value(teacher(batch())) == pytest.approx(0.0, abs=1e-6)
    with torch.no_grad():
        for weights in checkpointing.trained(loss).values():
            weights.add_(0.1)
    logits, _ = loss.logits(batch())
    before, _ = teacher.teacher.logits(batch())
    now, then = (
        np.exp(log_softmax(x.detach().double().numpy() / 3.0, axis=1)) for x in (logits, before)
    )
    apart = rel_entr(then, now).sum(axis=1).mean()
    assert apart > 1e-4
    assert value(teacher(batch())) == pytest.approx(9 * apart, rel=1e-4)


def test_a_teacher_neither_learns_nor_drops_anything() -> None:
    loss = tiny()
    teacher = DistillationLoss(loss).train()
    assert not any(module.training for module in teacher.teacher.modules())
    assert not checkpointing.trained(teacher), "the pupil trains elsewhere"
    with torch.no_grad():
        next(iter(checkpointing.trained(loss).values())).add_(0.1)
    teacher(batch()).backward()
    assert all(weights.grad is None for weights in teacher.teacher.parameters())
    assert any(p.grad is not None and p.grad.any() for p in loss.parameters())


def test_what_cannot_hold_is_refused() -> None:
    frozen = Point(1.0).requires_grad_(requires_grad=False)
    with pytest.raises(InvalidInputError, match="something must"):
        l2sp_loss(frozen, 1.0)
    with pytest.raises(InvalidInputError, match="at least 0"):
        l2sp_loss(Point(1.0), -1.0)
    with pytest.raises(InvalidInputError, match="Importances must be those"):
        EWCLoss(Point(1.0), {"other": torch.ones(1)}, 1.0)
    with pytest.raises(InvalidInputError, match="temperature must be above 0"):
        DistillationLoss(tiny(), 0.0)
