"""The objective of fine-tuning: answer loss, penalties, distillation and alignment losses."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from torch import Tensor, nn

from audioprobe.errors import InvalidInputError
from audioprobe.finetuning.alignment import AlignmentLoss, PaddedTexts
from audioprobe.finetuning.regularizers import DistillationLoss, Penalty
from audioprobe.training.answer_loss import AnswerBatch, AnswerLoss


class AlignmentTargets(NamedTuple):
    """Clips, and the texts with which their audio tokens are aligned.

    Attributes:
        audio: input of the audio encoder, shape (n_clips, ...).
        labels: labels of each clip, as one text.
        captions: caption of each clip.
    """

    audio: Tensor
    labels: PaddedTexts
    captions: PaddedTexts


class TrainingBatch(NamedTuple):
    """Data of one training step.

    Attributes:
        answers: questions with their answers, including rehearsal data.
        alignment: clips with texts; None if there is no alignment loss.
        distillation: text passages for distillation from the initial model; None if there is no
            distillation.
    """

    answers: AnswerBatch
    alignment: AlignmentTargets | None = None
    distillation: AnswerBatch | None = None


class WeightedLoss(NamedTuple):
    """An alignment loss with its weight.

    Attributes:
        loss: the alignment loss.
        weight: factor of the loss, at least 0.
        text: the field of `AlignmentTargets` with the texts that the loss uses.
    """

    loss: AlignmentLoss
    weight: float
    text: Literal["labels", "captions"]


class MultiTaskObjective(nn.Module):
    """Weighted sum of answer loss, penalties, distillation and alignment losses.

    Args:
        answers: loss of the answers; it contains the model that is trained.
        penalties: penalties that are added to the loss of every batch.
        distillation: loss on the passages for distillation; None for no distillation.
        distillation_weight: factor of the distillation loss, at least 0.
        alignment: alignment losses with their weights.

    Raises:
        InvalidInputError: if a weight is negative.
    """

    def __init__(
        self,
        answers: AnswerLoss,
        *,
        penalties: Sequence[Penalty] = (),
        distillation: DistillationLoss | None = None,
        distillation_weight: float = 1.0,
        alignment: Sequence[WeightedLoss] = (),
    ) -> None:
        super().__init__()
        for weight in (distillation_weight, *(term.weight for term in alignment)):
            if not weight >= 0:
                raise InvalidInputError(f"A weight must be at least 0, got {weight}.")
        self.answers = answers
        self.distillation = distillation
        self._penalties, self._alignment = tuple(penalties), tuple(alignment)
        self._distillation_weight = distillation_weight

    def forward(self, batch: TrainingBatch) -> Tensor:
        """Return the loss, a scalar."""
        loss: Tensor = self.answers(batch.answers)
        for penalty in self._penalties:
            loss = loss + penalty()
        if self.distillation is not None and batch.distillation is not None:
            loss = loss + self._distillation_weight * self.distillation(batch.distillation)
        if self._alignment and batch.alignment is not None:
            model = self.answers.model
            audio_tokens = model.encode_audio(batch.alignment.audio)
            for term in self._alignment:
                texts: PaddedTexts = getattr(batch.alignment, term.text)
                loss = loss + term.weight * term.loss(model, audio_tokens, texts)
        return loss
