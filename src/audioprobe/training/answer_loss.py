"""The cross-entropy loss of answers to questions about audio and text."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioprobe.training.examples import IGNORED, PADDING, AnswerBatch, PackedRows
from audioprobe.training.trainable import TrainableModel

_AUDIO = PADDING - 1  # segment number of audio tokens; all examples of a row attend to them


class AnswerLoss(nn.Module):
    """Mean cross-entropy of the target tokens in a batch, in nats.

    Target tokens are the tokens that the model learns to predict. A clip is encoded once for all
    questions about it, and logits are computed only for target tokens.

    Args:
        model: the model to train.
        per: "token" averages over all target tokens, as LTU does, so that a passage of a hundred
            tokens counts more than ten short answers; "example" first averages over the tokens of
            each example, so that all examples count the same.
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
        """Return the logits of all target tokens, (n_targets, n_vocabulary), and their ids."""
        states = torch.cat([self._states(rows) for rows in batch])
        targets = torch.cat([rows.labels[:, 1:][_is_target(rows)] for rows in batch])
        return self.model.logits(states).float(), targets

    def _states(self, rows: PackedRows) -> Tensor:
        """Return the hidden states that predict the target tokens, shape (n_targets, hidden)."""
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
    """Return, for every target token, 1 / the number of target tokens in its example."""
    row, column = _is_target(rows).nonzero(as_tuple=True)
    example = row * (int(rows.segments.max()) + 1) + rows.segments[row, column + 1]
    return 1 / torch.bincount(example)[example]


def _attention_mask(segments: Tensor, n_audio: int) -> Tensor:
    """Return the mask by which a token attends to audio and to earlier tokens of its example."""
    owner = functional.pad(segments, (n_audio, 0), value=_AUDIO)
    n_tokens = owner.shape[1]
    causal = torch.ones(n_tokens, n_tokens, dtype=torch.bool, device=owner.device).tril()
    visible = (owner[:, :, None] == owner[:, None, :]) | (owner[:, None, :] == _AUDIO)
    return (causal & visible)[:, None]


def _position_ids(positions: Tensor, n_audio: int) -> Tensor:
    """Return position ids in which every example starts directly after the audio tokens."""
    audio = torch.arange(n_audio, device=positions.device).expand(len(positions), -1)
    return torch.cat([audio, positions + n_audio], dim=1)
