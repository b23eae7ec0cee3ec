"""Answers, penalties, a teacher and ties add up, each by its weight."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprobe.errors import InvalidInputError
from audioprobe.finetuning.alignment import ContrastiveLoss, EmbeddingLoss, HiddenStateLoss, Texts
from audioprobe.finetuning.objective import (
    AlignmentTargets,
    MultiTaskObjective,
    TrainingBatch,
    WeightedLoss,
)
from audioprobe.finetuning.regularizers import DistillationLoss, Penalty, l2sp_loss
from audioprobe.finetuning.trainable import set_trainable_by_name
from audioprobe.training import checkpointing
from audioprobe.training.objectives import AnswerLoss
from tests.finetuning.test_regularizers import batch, value
from tests.golden_ltu import spectrograms
from tests.tiny_tuning import tiny_files

SHARES = st.floats(0, 5)


def texts(*rows: list[int]) -> Texts:
    return Texts(torch.tensor(rows), torch.ones(len(rows), len(rows[0]), dtype=torch.bool))


ABOUT = AlignmentTargets(
    spectrograms()[:2], texts([5, 6], [7, 8]), texts([9, 10, 11], [12, 13, 14])
)
Moved = tuple[AnswerLoss, DistillationLoss, Penalty]
LOT = TrainingBatch(batch(), ABOUT, batch())


@pytest.fixture(scope="module")
def plain(base: Path) -> AnswerLoss:
    net = tiny_files(base).net
    set_trainable_by_name(net, "projector+lora")
    return AnswerLoss(net).eval()


@pytest.fixture(scope="module")
def moved(base: Path) -> Moved:
    """A network that is no longer where it was when it was held."""
    net = tiny_files(base).net
    set_trainable_by_name(net, "projector+lora")
    loss = AnswerLoss(net).eval()
    teacher, pull = DistillationLoss(loss), l2sp_loss(loss, 2.0)
    with torch.no_grad():
        for weights in checkpointing.trained(loss).values():
            weights.add_(0.01)
    return loss, teacher, pull


def test_a_penalty_is_added_to_any_loss(plain: AnswerLoss, moved: Moved) -> None:
    loss, _, pull = moved
    n_weights = sum(w.numel() for w in checkpointing.trained(loss).values())
    expected = value(loss(batch())) + n_weights * 0.01**2
    assert value(MultiTaskObjective(loss, penalties=[pull]).eval()(LOT)) == pytest.approx(
        expected, rel=1e-4
    )
    twice = MultiTaskObjective(loss, penalties=[pull, pull]).eval()
    assert value(twice(LOT)) == pytest.approx(expected + n_weights * 0.01**2, rel=1e-4)
    still = MultiTaskObjective(plain, penalties=[l2sp_loss(plain, 2.0)]).eval()
    assert value(still(LOT)) == value(plain(batch()))


@settings(max_examples=15, deadline=None)
@given(keeping=SHARES, first=SHARES, second=SHARES)
def test_everything_adds_up_by_its_weight(
    moved: Moved, keeping: float, first: float, second: float
) -> None:
    loss, teacher, pull = moved
    net, contrastive, states = loss.net, ContrastiveLoss(), HiddenStateLoss(1)
    ties = (WeightedLoss(contrastive, first, "labels"), WeightedLoss(states, second, "captions"))
    combined = MultiTaskObjective(
        loss, penalties=[pull], teacher=teacher, keeping=keeping, ties=ties
    ).eval()
    with torch.inference_mode():
        heard = net.prefix(ABOUT.sounds)
        expected = value(loss(batch()) + pull() + keeping * teacher(batch()))
        expected += first * value(contrastive(net, heard, ABOUT.labels))
        expected += second * value(states(net, heard, ABOUT.captions))
        assert value(combined(LOT)) == pytest.approx(expected, rel=1e-4)


def test_each_tie_takes_the_text_that_it_names(moved: Moved) -> None:
    loss, _, _ = moved
    tie = EmbeddingLoss()
    heard = loss.net.prefix(ABOUT.sounds)
    plain = value(loss(batch()))
    for name, said in (("labels", ABOUT.labels), ("captions", ABOUT.captions)):
        tied = MultiTaskObjective(loss, ties=[WeightedLoss(tie, 1.0, name)]).eval()  # type: ignore[arg-type]
        expected = plain + value(tie(loss.net, heard, said))
        assert value(tied(LOT)) == pytest.approx(expected, rel=1e-5)


def test_a_lot_without_sounds_or_texts_has_its_answers_alone(moved: Moved) -> None:
    loss, teacher, _ = moved
    combined = MultiTaskObjective(
        loss, teacher=teacher, ties=[WeightedLoss(EmbeddingLoss(), 1.0, "labels")]
    ).eval()
    assert value(combined(TrainingBatch(batch()))) == value(loss(batch()))
    assert value(MultiTaskObjective(loss).eval()(LOT)) == value(loss(batch()))


def test_only_the_answers_network_trains_and_the_teacher_drops_nothing(moved: Moved) -> None:
    loss, teacher, _ = moved
    combined = MultiTaskObjective(loss, teacher=teacher).train()
    assert loss.training
    assert not teacher.teacher.training
    names = set(checkpointing.trained(combined))
    assert names == {f"answers.{name}" for name in checkpointing.trained(loss)}
    assert names
    combined.eval()


@pytest.mark.parametrize("weight", [-1.0, float("nan")])
def test_weights_that_cannot_be_are_refused(moved: Moved, weight: float) -> None:
    loss, teacher, _ = moved
    with pytest.raises(InvalidInputError, match="at least 0"):
        MultiTaskObjective(loss, teacher=teacher, keeping=weight)
    with pytest.raises(InvalidInputError, match="at least 0"):
        MultiTaskObjective(loss, ties=[WeightedLoss(EmbeddingLoss(), weight, "labels")])
