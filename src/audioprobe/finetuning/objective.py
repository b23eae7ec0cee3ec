"""The objective of fine-tuning: answer loss, penalties, distillation and alignment losses."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from torch import Tensor, nn

from audioprobe.errors import InvalidInputError
from audioprobe.finetuning.alignment import AlignmentLoss, PaddedTexts
from audioprobe.finetuning.regularizers import DistillationLoss, Penalty
from audioprobe.training.answer_loss import AnswerLoss
from audioprobe.training.examples import AnswerBatch


class AlignmentTargets(NamedTuple):
    """Clips, and the texts that their audio tokens are aligned with.

    Attributes:
        audio: input of the audio encoder, shape (n_clips, ...).
        labels: labels of each clip.
        captions: caption of each clip.
    """

    audio: Tensor
    labels: PaddedTexts
    captions: PaddedTexts


class TrainingBatch(NamedTuple):
    """Data of one step.

    Attributes:
        answers: questions with their answers, rehearsal included.
        alignment: clips with texts; None without alignment losses.
        distillation: passages on which the initial model is the teacher; None without.
    """

    answers: AnswerBatch
    alignment: AlignmentTargets | None = None
    distillation: AnswerBatch | None = None


class WeightedLoss(NamedTuple):
    """An alignment loss with its weight.

    Attributes:
        loss: the loss.
        weight: its factor, at least 0.
        text: the texts of `AlignmentTargets` that it takes.
    """

    loss: AlignmentLoss
    weight: float
    text: Literal["labels", "captions"]


class MultiTaskObjective(nn.Module):
    """Weighted sum of answer loss, penalties, distillation and alignment losses.

    Args:
        answers: loss of the answers, with the model to train.
        penalties: added to every batch.
        distillation: loss on the passages of the batch; None adds none.
        distillation_weight: its factor, at least 0.
        alignment: alignment losses.

    Raises:
        InvalidInputError: for a negative weight.
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
