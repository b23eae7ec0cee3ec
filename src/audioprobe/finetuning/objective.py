"""The loss of a fine-tuning strategy: answers, penalties, distillation and alignment."""

from collections.abc import Sequence
from functools import partial, reduce

import torch
from torch import Tensor, nn

from audioprobe.errors import UnsupportedInputError
from audioprobe.finetuning.alignment import (
    LossAlignment,
    alignment_loss,
)
from audioprobe.finetuning.components import EWC, L2SP, Distillation
from audioprobe.finetuning.data import TrainingBatch, TrainingSampler
from audioprobe.finetuning.regularizers import (
    DistillationLoss,
    EWCLoss,
    Penalty,
    fisher_information,
    l2sp_loss,
    merge_importances,
)
from audioprobe.finetuning.strategy import Strategy
from audioprobe.training.answer_loss import AnswerLoss
from audioprobe.training.trainable import TrainableModel


class MultiTaskObjective(nn.Module):
    """Weighted sum of answer loss, penalties, distillation and alignment losses.

    Args:
        answers: loss of the answers; it contains the model that is trained.
        penalties: penalties that are added to the loss of every batch.
        distillation: loss on the passages for distillation; None for no distillation.
        distillation_weight: factor of the distillation loss, at least 0.
        alignment: options of the alignment losses.
    """

    def __init__(
        self,
        answers: AnswerLoss,
        *,
        penalties: Sequence[Penalty] = (),
        distillation: DistillationLoss | None = None,
        distillation_weight: float = 1.0,
        alignment: Sequence[LossAlignment] = (),
    ) -> None:
        super().__init__()
        self.answers = answers
        self.distillation = distillation
        self.alignment = tuple(alignment)
        self._penalties, self._distillation_weight = tuple(penalties), distillation_weight

    def forward(self, batch: TrainingBatch) -> Tensor:
        """Return the loss, a scalar."""
        loss: Tensor = self.answers(batch.answers)
        for penalty in self._penalties:
            loss = loss + penalty()
        if self.distillation is not None and batch.distillation is not None:
            loss = loss + self._distillation_weight * self.distillation(batch.distillation)
        if self.alignment and batch.alignment is not None:
            model = self.answers.model
            audio_tokens = model.encode_audio(batch.alignment.audio)
            for term in self.alignment:
                term_loss = alignment_loss(term, model, audio_tokens, batch.alignment)
                loss = loss + term.weight * term_loss
        return loss


def build_objective(
    model: TrainableModel, data: TrainingSampler, strategy: Strategy
) -> MultiTaskObjective:
    """Return the loss of a strategy; penalties are relative to the current weights.

    Raises:
        UnsupportedInputError: if the strategy aligns audio tokens that layers of the language model
            read, which have no positions in its input.
    """
    if strategy.alignment and not model.n_positions(torch.zeros(1, 1, 1)):
        raise UnsupportedInputError(
            "Expected a model whose audio tokens precede the text, because the strategy aligns "
            "them with text. Use another connector, or remove the alignment."
        )
    answers = AnswerLoss(model, per="example")
    penalties: list[Penalty] = []
    if (l2sp := strategy.get(L2SP)) is not None:
        penalties.append(l2sp_loss(answers, l2sp.strength))
    if (ewc := strategy.get(EWC)) is not None:
        importances = [
            fisher_information(answers, data.previous_task(task, ewc.n_examples))
            for task in ewc.tasks
        ]
        if ewc.variant == "online":
            merge = partial(merge_importances, decay=ewc.decay)
            importances = [reduce(merge, importances)]
        penalties += [EWCLoss(answers, importance, ewc.strength) for importance in importances]
    distillation = strategy.get(Distillation)
    return MultiTaskObjective(
        answers,
        penalties=penalties,
        distillation=DistillationLoss(answers, distillation.temperature) if distillation else None,
        distillation_weight=distillation.weight if distillation else 1.0,
        alignment=[a for a in strategy.alignment if isinstance(a, LossAlignment)],
    )
