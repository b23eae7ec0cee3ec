"""What a step of fine-tuning minimises: answers, what holds forgetting, and ties to text."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from torch import Tensor, nn

from audioprobe.errors import InvalidInputError
from audioprobe.finetuning.alignment import AlignmentLoss, Texts
from audioprobe.finetuning.regularizers import DistillationLoss, Penalty
from audioprobe.training.objectives import AnswerLoss
from audioprobe.training.sequences import Batch


class AlignmentTargets(NamedTuple):
    """Sounds, and texts about each.

    Attributes:
        sounds: input of the audio half, shape (n_sounds, ...).
        labels: what is heard in each, in a word or two.
        captions: what is heard in each, in a sentence.
    """

    sounds: Tensor
    labels: Texts
    captions: Texts


class TrainingBatch(NamedTuple):
    """What a step learns from.

    Attributes:
        answers: what the model is to say.
        about: sounds to tie to text; None has nothing tied.
        kept: passages that are to be read as before; None keeps nothing so.
    """

    answers: Batch
    about: AlignmentTargets | None = None
    kept: Batch | None = None


class WeightedLoss(NamedTuple):
    """A tie with its weight.

    Attributes:
        alignment: the loss.
        weight: of it; 0 or more.
        text: which of the texts about a sound it takes.
    """

    alignment: AlignmentLoss
    weight: float
    text: Literal["labels", "captions"]


class MultiTaskObjective(nn.Module):
    """Answers, penalties, a teacher and ties, added up.

    Args:
        answers: the loss of the answers, with the network that trains.
        penalties: whatever the batch.
        teacher: of passages that are to be read as before; None has none.
        keeping: weight of the teacher; 0 or more.
        ties: of sound to text.

    Raises:
        InvalidInputError: for a weight below 0.
    """

    def __init__(
        self,
        answers: AnswerLoss,
        *,
        penalties: Sequence[Penalty] = (),
        teacher: DistillationLoss | None = None,
        keeping: float = 1.0,
        ties: Sequence[WeightedLoss] = (),
    ) -> None:
        super().__init__()
        for weight in (keeping, *(tie.weight for tie in ties)):
            if not weight >= 0:
                raise InvalidInputError(f"A weight must be at least 0, got {weight}.")
        self.answers = answers
        self.teacher = teacher
        self._penalties, self._keeping, self._ties = tuple(penalties), keeping, tuple(ties)

    def forward(self, lot: TrainingBatch) -> Tensor:
        """The loss, a scalar."""
        loss: Tensor = self.answers(lot.answers)
        for penalty in self._penalties:
            loss = loss + penalty()
        if self.teacher is not None and lot.kept is not None:
            loss = loss + self._keeping * self.teacher(lot.kept)
        if self._ties and lot.about is not None:
            net = self.answers.net
            tokens = net.prefix(lot.about.sounds)
            for tie in self._ties:
                texts: Texts = getattr(lot.about, tie.text)
                loss = loss + tie.weight * tie.alignment(net, tokens, texts)
        return loss
