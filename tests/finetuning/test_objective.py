"""Answer loss, penalties, distillation and alignment losses are added with their weights."""

from pathlib import Path
from typing import Literal, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprobe.errors import InvalidInputError
from audioprobe.finetuning.alignment import (
    ContrastiveLoss,
    EmbeddingLoss,
    HiddenStateLoss,
    PaddedTexts,
)
from audioprobe.finetuning.objective import (
    AlignmentTargets,
    MultiTaskObjective,
    TrainingBatch,
    WeightedLoss,
)
from audioprobe.finetuning.regularizers import DistillationLoss, Penalty, l2sp_loss
from audioprobe.training.answer_loss import AnswerLoss
from audioprobe.training.trainable import set_trainable, trainable_weights
from tests.finetuning.test_regularizers import audio_batch, value
from tests.golden_ltu import spectrograms
from tests.tiny_tuning import tiny_model

WEIGHTS = st.floats(0, 5)


def texts(*rows: list[int]) -> PaddedTexts:
    return PaddedTexts(torch.tensor(rows), torch.ones(len(rows), len(rows[0]), dtype=torch.bool))


TARGETS = AlignmentTargets(
    spectrograms()[:2], texts([5, 6], [7, 8]), texts([9, 10, 11], [12, 13, 14])
)
BATCH = TrainingBatch(audio_batch(), TARGETS, audio_batch())


class Parts(NamedTuple):
    answers: AnswerLoss
    distillation: DistillationLoss
    penalty: Penalty


@pytest.fixture(scope="module")
def moved(base: Path) -> Parts:
    """A model whose weights have changed since penalty and teacher were made."""
    model = tiny_model(base)
    set_trainable(model, "projector+lora")
    answers = AnswerLoss(model).eval()
    parts = Parts(answers, DistillationLoss(answers), l2sp_loss(answers, 2.0))
    with torch.no_grad():
        for weights in trainable_weights(answers).values():
            weights.add_(0.01)
    return parts


def test_penalties_are_added(moved: Parts) -> None:
    n_weights = sum(w.numel() for w in trainable_weights(moved.answers).values())
    answers = value(moved.answers(audio_batch()))
    for n in (0, 1, 2):
        objective = MultiTaskObjective(moved.answers, penalties=[moved.penalty] * n).eval()
        expected = answers + n * n_weights * 0.01**2
        assert value(objective(BATCH)) == pytest.approx(expected, rel=1e-4)


@settings(max_examples=8, deadline=None)
@given(distillation=WEIGHTS, first=WEIGHTS, second=WEIGHTS)
def test_terms_are_added_by_their_weights(
    moved: Parts, distillation: float, first: float, second: float
) -> None:
    answers, model = moved.answers, moved.answers.model
    contrastive, states = ContrastiveLoss(), HiddenStateLoss(1)
    objective = MultiTaskObjective(
        answers,
        penalties=[moved.penalty],
        distillation=moved.distillation,
        distillation_weight=distillation,
        alignment=(
            WeightedLoss(contrastive, first, "labels"),
            WeightedLoss(states, second, "captions"),
        ),
    ).eval()
    with torch.inference_mode():
        tokens = model.encode_audio(TARGETS.audio)
        expected = value(answers(audio_batch()) + moved.penalty())
        expected += distillation * value(moved.distillation(audio_batch()))
        expected += first * value(contrastive(model, tokens, TARGETS.labels))
        expected += second * value(states(model, tokens, TARGETS.captions))
        assert value(objective(BATCH)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("text", ["labels", "captions"])
def test_alignment_takes_the_named_texts(moved: Parts, text: Literal["labels", "captions"]) -> None:
    loss, model = EmbeddingLoss(), moved.answers.model
    objective = MultiTaskObjective(moved.answers, alignment=[WeightedLoss(loss, 1.0, text)]).eval()
    expected = value(moved.answers(audio_batch()))
    expected += value(loss(model, model.encode_audio(TARGETS.audio), getattr(TARGETS, text)))
    assert value(objective(BATCH)) == pytest.approx(expected, rel=1e-5)


def test_batch_without_targets_has_the_answer_loss_only(moved: Parts) -> None:
    objective = MultiTaskObjective(
        moved.answers,
        distillation=moved.distillation,
        alignment=[WeightedLoss(EmbeddingLoss(), 1.0, "labels")],
    )
    expected = value(moved.answers(audio_batch()))
    assert value(objective(TrainingBatch(audio_batch()))) == expected
    assert value(MultiTaskObjective(moved.answers).eval()(BATCH)) == expected


def test_only_the_student_is_trainable(moved: Parts) -> None:
    objective = MultiTaskObjective(moved.answers, distillation=moved.distillation).train()
    assert moved.answers.training
    assert not moved.distillation.teacher.training
    names = set(trainable_weights(objective))
    assert names == {f"answers.{name}" for name in trainable_weights(moved.answers)}
    assert names
    objective.eval()


@pytest.mark.parametrize("weight", [-1.0, float("nan")])
def test_negative_weight_is_refused(moved: Parts, weight: float) -> None:
    with pytest.raises(InvalidInputError, match="at least 0"):
        MultiTaskObjective(
            moved.answers, distillation=moved.distillation, distillation_weight=weight
        )
    with pytest.raises(InvalidInputError, match="at least 0"):
        MultiTaskObjective(
            moved.answers, alignment=[WeightedLoss(EmbeddingLoss(), weight, "labels")]
        )
