"""Cross-entropy of answers to questions about audio and text."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioprobe.training.examples import IGNORED, PADDING, AnswerBatch, PackedRows
from audioprobe.training.trainable import TrainableModel

_AUDIO = PADDING - 1  # segment of audio tokens, to which every example of a row attends


class AnswerLoss(nn.Module):
    """Mean cross-entropy of the targets in a batch, in nats.

    Each clip is encoded once for all questions about it, and logits are computed only where there
    is a target.

    Args:
        model: the model to train.
        per: unit of equal weight. "token" is LTU's mean over tokens, in which a passage of a
            hundred tokens outweighs ten answers; "example" averages each example first.
    """

    def __init__(
        self, model: TrainableModel, *, per: Literal["token", "example"] = "token"
    ) -> None:
        super().__init__()
        self.network = model.network
        self.model = model
        self._per = per

    def forward(self, batch: AnswerBatch) -> Tensor:
        """Return the loss, a scalar."""
        logits, targets = self.logits(batch)
        if self._per == "token":
            return functional.cross_entropy(logits, targets)
        losses = functional.cross_entropy(logits, targets, reduction="none")
        weights = torch.cat([_example_weights(rows) for rows in batch])
        return (weights * losses).sum() / weights.sum()

    def logits(self, batch: AnswerBatch) -> tuple[Tensor, Tensor]:
        """Return the logits of all targets, shape (n_targets, n_vocabulary), and the targets."""
        states = torch.cat([self._states(rows) for rows in batch])
        targets = torch.cat([rows.labels[:, 1:][_is_target(rows)] for rows in batch])
        return self.model.logits(states).float(), targets

    def _states(self, rows: PackedRows) -> Tensor:
        """States that predict the targets, shape (n_targets, hidden)."""
        audio_tokens = None if rows.audio is None else self.model.encode_audio(rows.audio)
        n_audio = 0 if audio_tokens is None else audio_tokens.shape[1]
        (states,) = self.model.hidden_states(
            self.model.embed(rows.ids, audio_tokens),
            _attention_mask(rows.segments, n_audio),
            _position_ids(rows.positions, n_audio),
            last_only=True,
        )
        return states[:, n_audio:-1][_is_target(rows)]


def _is_target(rows: PackedRows) -> Tensor:
    return rows.labels[:, 1:] != IGNORED


def _example_weights(rows: PackedRows) -> Tensor:
    """One over the number of targets of its example, for every target."""
    row, column = _is_target(rows).nonzero(as_tuple=True)
    example = row * (int(rows.segments.max()) + 1) + rows.segments[row, column + 1]
    return 1 / torch.bincount(example)[example]


def _attention_mask(segments: Tensor, n_audio: int) -> Tensor:
    """Each token attends to earlier ones of its own example, and to the audio tokens."""
    owner = functional.pad(segments, (n_audio, 0), value=_AUDIO)
    n_tokens = owner.shape[1]
    causal = torch.ones(n_tokens, n_tokens, dtype=torch.bool, device=owner.device).tril()
    visible = (owner[:, :, None] == owner[:, None, :]) | (owner[:, None, :] == _AUDIO)
    return (causal & visible)[:, None]


def _position_ids(positions: Tensor, n_audio: int) -> Tensor:
    """Every example is positioned directly after the audio tokens."""
    audio = torch.arange(n_audio, device=positions.device).expand(len(positions), -1)
    return torch.cat([audio, positions + n_audio], dim=1)
