"""Answer loss, penalties, distillation and alignment losses are added with their weights."""

from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from audioprobe.finetuning.alignment import (
    AlignmentTargets,
    LossAlignment,
    PaddedTexts,
    alignment_loss,
    contrastive_loss,
    distance_loss,
    hidden_state_loss,
)
from audioprobe.finetuning.components import (
    ContrastiveAlignment,
    EmbeddingAlignment,
    HiddenStateAlignment,
)
from audioprobe.finetuning.data import TrainingBatch
from audioprobe.finetuning.objective import MultiTaskObjective
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
    objective = MultiTaskObjective(
        answers,
        penalties=[moved.penalty],
        distillation=moved.distillation,
        distillation_weight=distillation,
        alignment=(ContrastiveAlignment(first), HiddenStateAlignment(second, layer=1)),
    ).eval()
    with torch.inference_mode():
        tokens = model.encode_audio(TARGETS.audio)
        expected = value(answers(audio_batch()) + moved.penalty())
        expected += distillation * value(moved.distillation(audio_batch()))
        expected += first * value(contrastive_loss(model, tokens, TARGETS.labels, 0.07))
        states = hidden_state_loss(model, tokens, TARGETS.captions, 1, "cosine")
        expected += second * value(states)
        assert value(objective(BATCH)) == pytest.approx(expected, rel=1e-4)


def test_alignment_uses_labels_or_captions(moved: Parts) -> None:
    model = moved.answers.model
    tokens = model.encode_audio(TARGETS.audio)
    embedded, mask = model.embed(TARGETS.captions.ids), TARGETS.captions.mask
    expected: dict[LossAlignment, Tensor] = {
        EmbeddingAlignment(): distance_loss(tokens, embedded, mask, "cosine"),
        ContrastiveAlignment(): contrastive_loss(model, tokens, TARGETS.labels, 0.07),
        HiddenStateAlignment(): hidden_state_loss(model, tokens, TARGETS.captions, -1, "cosine"),
    }
    for alignment, loss in expected.items():
        assert torch.equal(alignment_loss(alignment, model, tokens, TARGETS), loss)
        objective = MultiTaskObjective(moved.answers, alignment=[alignment]).eval()
        total = value(moved.answers(audio_batch())) + value(loss)
        assert value(objective(BATCH)) == pytest.approx(total, rel=1e-5)


def test_batch_without_targets_has_the_answer_loss_only(moved: Parts) -> None:
    objective = MultiTaskObjective(
        moved.answers,
        distillation=moved.distillation,
        alignment=[EmbeddingAlignment()],
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
