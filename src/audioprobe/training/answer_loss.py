"""Batches of training examples, and the cross-entropy loss of their answers."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from audioprobe.training.examples import IGNORED, LossTargets, TrainingExample
from audioprobe.training.trainable import TrainableModel

PADDING = -1
"""Segment number of padding tokens, which belong to no example."""

_AUDIO = PADDING - 1  # segment number of audio tokens, to which all examples of the row attend


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PackedRows:
    """Rows of a batch; a row contains several examples about one clip, padded on the right.

    A clip is encoded once for all its rows. The examples of a row do not attend to each other.

    Attributes:
        ids: token ids, shape (n_rows, n_tokens).
        labels: target ids or `IGNORED`, shape (n_rows, n_tokens).
        segments: index in the row of the example that contains each token, or `PADDING`, shape
            (n_rows, n_tokens).
        positions: position of each token in its example, shape (n_rows, n_tokens).
        audio: input of the audio encoder, shape (n_clips, ...); None if there is no audio.
        clips: index in `audio` of the clip of each row, shape (n_rows,); None if there is no audio.
    """

    ids: Tensor
    labels: Tensor
    segments: Tensor
    positions: Tensor
    audio: Tensor | None = None
    clips: Tensor | None = None

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> "PackedRows":
        """Return a copy of the rows on a device."""
        moved = {
            name: tensor.to(device, non_blocking=non_blocking)
            for name in self.__dataclass_fields__
            if (tensor := getattr(self, name)) is not None
        }
        return PackedRows(**moved)


AnswerBatch: TypeAlias = tuple[PackedRows, ...]
"""One or two elements: the rows with audio, then the rows without audio."""


def collate(
    examples: Sequence[TrainingExample],
    audio: Mapping[str, Tensor],
    *,
    targets: LossTargets,
    pad_id: int,
    per_row: int = 2,
) -> AnswerBatch:
    """Combine examples into a batch in which examples about the same clip share rows.

    Args:
        examples: at least one example.
        audio: input of the audio encoder for every clip of the examples, by `audio_id`.
        targets: which tokens count in the loss.
        pad_id: token id of padding.
        per_row: largest number of examples in a row. The cost of attention grows with the square
            of the length of a row; on a CPU, two examples are faster than eight.
    """
    by_audio: dict[str, list[TrainingExample]] = {}
    for example in examples:
        by_audio.setdefault(example.audio_id, []).append(example)
    batch = []
    for with_audio in (True, False):
        rows = [
            (audio_id, row)
            for audio_id, group in by_audio.items()
            if bool(audio_id) == with_audio
            for row in _split_evenly(group, per_row)
        ]
        if rows:
            packed = _pack([group for _, group in rows], targets, pad_id)
            if with_audio:
                names = list(dict.fromkeys(name for name, _ in rows))
                clips = torch.tensor([names.index(name) for name, _ in rows])
                features = torch.stack([audio[name] for name in names])
                packed = replace(packed, audio=features, clips=clips)
            batch.append(packed)
    return tuple(batch)


def _split_evenly(
    examples: Sequence[TrainingExample], largest: int
) -> Iterator[Sequence[TrainingExample]]:
    """Yield the examples in as few parts as possible; equal sizes need the least padding."""
    n_parts = math.ceil(len(examples) / largest)
    bounds = [len(examples) * part // n_parts for part in range(n_parts + 1)]
    yield from (examples[start:end] for start, end in pairwise(bounds))


def _pack(
    groups: Sequence[Sequence[TrainingExample]],
    targets: LossTargets,
    pad_id: int,
) -> PackedRows:
    def padded(values: Callable[[int, TrainingExample], Iterable[int]], fill: int) -> Tensor:
        rows = [[v for n, example in enumerate(g) for v in values(n, example)] for g in groups]
        return pad_sequence([torch.tensor(row) for row in rows], True, fill)

    return PackedRows(
        ids=padded(lambda _, example: example.ids, pad_id),
        labels=padded(lambda _, example: example.labels(targets), IGNORED),
        segments=padded(lambda n, example: [n] * len(example.ids), PADDING),
        positions=padded(lambda _, example: range(len(example.ids)), 0),
    )


class AnswerLoss(nn.Module):
    """Mean cross-entropy, in nats, of the tokens that the model learns to predict (targets).

    Args:
        model: the model to train.
        per: "token" averages over all target tokens of the batch, as LTU does, so long answers
            weigh more; "example" averages over the tokens of each example, then over examples.
    """

    def __init__(
        self, model: TrainableModel, *, per: Literal["token", "example"] = "token"
    ) -> None:
        super().__init__()
        self.network = model.network  # registers the parameters, so that they can be trained
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
        """Return the logits of the target tokens, (n_targets, n_vocabulary), and the target ids."""
        states = torch.cat([self._states(rows) for rows in batch])
        targets = torch.cat([rows.labels[:, 1:][_is_target(rows)] for rows in batch])
        return self.model.logits(states).float(), targets

    def _states(self, rows: PackedRows) -> Tensor:
        """Return the hidden states that predict the target tokens, shape (n_targets, hidden)."""
        audio_tokens = None
        if rows.audio is not None:
            audio_tokens = self.model.encode_audio(rows.audio)[rows.clips]
        n_audio = self.model.n_positions(audio_tokens)
        with self.model.reading(audio_tokens):
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
    """Return the weight of each target token: 1 / number of target tokens in its example."""
    row, column = _is_target(rows).nonzero(as_tuple=True)
    example = row * (int(rows.segments.max()) + 1) + rows.segments[row, column + 1]
    return 1 / torch.bincount(example)[example]


def _attention_mask(segments: Tensor, n_audio: int) -> Tensor:
    """Return a mask, True if a token may attend to another, (n_rows, 1, n_tokens, n_tokens).

    A token may attend to itself, to earlier tokens of its example, and to earlier audio tokens.
    """
    owner = functional.pad(segments, (n_audio, 0), value=_AUDIO)
    n_tokens = owner.shape[1]
    causal = torch.ones(n_tokens, n_tokens, dtype=torch.bool, device=owner.device).tril()
    visible = (owner[:, :, None] == owner[:, None, :]) | (owner[:, None, :] == _AUDIO)
    return (causal & visible)[:, None]


def _position_ids(positions: Tensor, n_audio: int) -> Tensor:
    """Return position ids in which every example starts directly after the audio tokens."""
    audio = torch.arange(n_audio, device=positions.device).expand(len(positions), -1)
    return torch.cat([audio, positions + n_audio], dim=1)
