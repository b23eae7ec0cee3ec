"""Regularizers follow their definitions where the solution is known."""

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
    fisher_information,
    interpolate_weights,
    l2sp_loss,
    merge_importances,
)
from audioprobe.models.ltu.trainable import TrainableLTU
from audioprobe.training.answer_loss import AnswerBatch, AnswerLoss, collate
from audioprobe.training.examples import QARecord, encode_record
from audioprobe.training.trainable import copy_trainable_weights, set_trainable, trainable_weights
from tests.golden_ltu import new_net, spectrograms
from tests.tiny_tuning import PROMPTS

POSITIVE = st.floats(0.1, 10)
ANY = st.floats(-5, 5)


def value(loss: Tensor) -> float:
    return float(loss.detach())


class Point(nn.Module):
    """A model that consists of its weights."""

    def __init__(self, *values: float) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor(values, dtype=torch.float64))


def minimize(point: Point, loss: Callable[[], Tensor]) -> npt.NDArray[np.float64]:
    optimizer = torch.optim.LBFGS(
        point.parameters(), max_iter=200, tolerance_grad=1e-12, tolerance_change=1e-14
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        current = loss()
        current.backward()  # type: ignore[no-untyped-call]
        return current

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return point.weights.detach().numpy()


@settings(max_examples=15, deadline=None)
@given(initial=ANY, target=ANY, curvature=POSITIVE, importance=POSITIVE, strength=POSITIVE)
def test_quadratic_loss_has_its_closed_form_optimum(
    initial: float, target: float, curvature: float, importance: float, strength: float
) -> None:
    for weight in (1.0, importance):
        point = Point(initial)
        penalty = EWCLoss(point, {"weights": torch.tensor([weight])}, strength)
        if weight == 1.0:
            penalty = l2sp_loss(point, strength)

        def loss(point: Point = point, penalty: EWCLoss = penalty) -> Tensor:
            return curvature / 2 * ((point.weights - target) ** 2).sum() + penalty()

        pull = strength * weight
        expected = (curvature * target + pull * initial) / (curvature + pull)
        assert minimize(point, loss)[0] == pytest.approx(expected, abs=1e-6)


def test_ewc_on_a_second_task_reaches_the_optimum_of_both() -> None:
    """For squared losses with uncorrelated inputs, importances describe the first task fully.

    With the sum of squared inputs as importance and strength 1, the optimum is that of both tasks;
    without the penalty, it is that of the second.
    """
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(40, 3)), rng.normal(size=(30, 3))
    first = np.linalg.qr(first)[0] * np.array([3.0, 1.0, 0.2])
    targets = first @ [1.0, -2.0, 0.5], second @ [0.0, 1.0, 3.0] + rng.normal(size=30)
    point = Point(*np.linalg.lstsq(first, targets[0], rcond=None)[0])
    importances = {"weights": torch.from_numpy((first**2).sum(axis=0))}
    penalty = EWCLoss(point, importances, 1.0)
    inputs, outputs = torch.from_numpy(second), torch.from_numpy(targets[1])
    optimum = minimize(
        point, lambda: ((inputs @ point.weights - outputs) ** 2).sum() / 2 + penalty()
    )
    both = np.linalg.lstsq(np.vstack([first, second]), np.concatenate(targets), rcond=None)[0]
    assert optimum == pytest.approx(both, abs=1e-6)
    only_second = np.linalg.lstsq(second, targets[1], rcond=None)[0]
    assert np.abs(only_second - both).max() > 0.1


class Logistic(Point):
    """Negative log-likelihood of labels 0 and 1."""

    def forward(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        inputs, labels = batch
        return nn.functional.binary_cross_entropy_with_logits(inputs @ self.weights, labels)


def test_fisher_information_is_the_mean_of_squared_gradients() -> None:
    rng = np.random.default_rng(1)
    inputs, labels = rng.normal(size=(50, 2)), rng.integers(2, size=50).astype(np.float64)
    model = Logistic(0.3, -0.7)
    examples = [(torch.from_numpy(inputs[[n]]), torch.from_numpy(labels[[n]])) for n in range(50)]
    fisher = fisher_information(model, examples)["weights"].numpy()
    probability = 1 / (1 + np.exp(-(inputs @ [0.3, -0.7])))
    gradients = (probability - labels)[:, None] * inputs
    assert fisher == pytest.approx((gradients**2).mean(axis=0))
    one_batch = [(torch.from_numpy(inputs), torch.from_numpy(labels))]
    of_batch = fisher_information(model, one_batch)["weights"].numpy()
    assert (of_batch < fisher).all()  # squares of means: why a batch must be one example
    assert model.weights.grad is None
    with pytest.raises(InvalidInputError, match="at least one example"):
        fisher_information(model, [])


def test_text_gives_the_audio_projector_no_importance() -> None:
    model = TrainableLTU(new_net())
    set_trainable(model, "projector")
    record = QARecord(instruction="Why?", output="Because.")
    text = collate([encode_record(record, PROMPTS)], {}, targets="answer", pad_id=0)
    objective = AnswerLoss(model)
    of_text, of_audio = (fisher_information(objective, [b]) for b in (text, audio_batch()))
    assert of_text.keys() == trainable_weights(objective).keys()
    assert not any(importance.any() for importance in of_text.values())
    assert any(importance.any() for importance in of_audio.values())


def test_separate_penalties_equal_the_merged_one_without_decay() -> None:
    point = Point(1.0, 2.0)
    first, second = ({"weights": torch.tensor(v)} for v in ([1.0, 4.0], [0.5, 0.0]))
    separate = [EWCLoss(point, first, 3.0), EWCLoss(point, second, 3.0)]
    merged = EWCLoss(point, merge_importances(first, second, 1.0), 3.0)
    decayed = EWCLoss(point, merge_importances(first, second, 0.5), 3.0)
    with torch.no_grad():
        point.weights.add_(torch.tensor([0.7, -0.2], dtype=torch.float64))
    assert value(merged()) == pytest.approx(sum(value(penalty()) for penalty in separate))
    assert value(decayed()) < value(merged())
    with pytest.raises(InvalidInputError, match="decay from 0 to 1"):
        merge_importances(first, second, 1.5)


def test_weights_are_interpolated_linearly() -> None:
    point = Point(1.0, 2.0)
    initial = copy_trainable_weights(point)
    with torch.no_grad():
        point.weights.copy_(torch.tensor([3.0, -2.0]))
    interpolate_weights(point, initial, 0.25)
    assert point.weights.tolist() == [1.5, 1.0]
    interpolate_weights(point, initial, 0.0)
    assert point.weights.tolist() == [1.0, 2.0]
    with pytest.raises(InvalidInputError, match="share from 0 to 1"):
        interpolate_weights(point, initial, 2.0)
    with pytest.raises(InvalidInputError, match="initial weights of the trainable"):
        interpolate_weights(point, {}, 0.5)


def tiny_loss() -> AnswerLoss:
    model = TrainableLTU(new_net())
    set_trainable(model, "projector+lora")
    return AnswerLoss(model)


def audio_batch() -> AnswerBatch:
    record = QARecord(instruction="What is heard?", output="A crow.", audio_id="a")
    audio = {"a": spectrograms()[0]}
    return collate([encode_record(record, PROMPTS)], audio, targets="answer", pad_id=0)


def test_distillation_is_zero_until_weights_change() -> None:
    objective = tiny_loss().eval()
    distillation = DistillationLoss(objective, temperature=3.0).eval()
    assert value(distillation(audio_batch())) == pytest.approx(0.0, abs=1e-6)
    with torch.no_grad():
        for weights in trainable_weights(objective).values():
            weights.add_(0.1)
    student, teacher = (
        np.exp(log_softmax(logits.detach().double().numpy() / 3.0, axis=1))
        for logits, _ in (
            objective.logits(audio_batch()),
            distillation.teacher.logits(audio_batch()),
        )
    )
    divergence = rel_entr(teacher, student).sum(axis=1).mean()
    assert divergence > 1e-4
    assert value(distillation(audio_batch())) == pytest.approx(9 * divergence, rel=1e-4)


def test_teacher_is_frozen_and_has_no_dropout() -> None:
    objective = tiny_loss()
    distillation = DistillationLoss(objective).train()
    assert not any(module.training for module in distillation.teacher.modules())
    assert not trainable_weights(distillation)
    with torch.no_grad():
        next(iter(trainable_weights(objective).values())).add_(0.1)
    distillation(audio_batch()).backward()
    assert all(weights.grad is None for weights in distillation.teacher.parameters())
    assert any(p.grad is not None and p.grad.any() for p in objective.parameters())


def test_impossible_options_are_refused() -> None:
    frozen = Point(1.0).requires_grad_(requires_grad=False)
    with pytest.raises(InvalidInputError, match="the 0 trainable parameters"):
        l2sp_loss(frozen, 1.0)
    with pytest.raises(InvalidInputError, match="at least 0"):
        l2sp_loss(Point(1.0), -1.0)
    with pytest.raises(InvalidInputError, match="Expected the importances"):
        EWCLoss(Point(1.0), {"other": torch.ones(1)}, 1.0)
    with pytest.raises(InvalidInputError, match="temperature must be above 0"):
        DistillationLoss(tiny_loss(), 0.0)
