"""Records as token ids with targets, the way LTU's trainer makes them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from audioprobe.errors import InvalidInputError
from audioprobe.models.ltu.network import IGNORED
from audioprobe.models.ltu.prompt import tokenize, write_prompt
from audioprobe.training.records import QARecord

CUTOFF = 108
"""Tokens of a sequence in LTU's training, sound not counted; longer ones are cut."""

PAD = -1
"""Segment of tokens that are of no example."""

Loss = Literal["all", "answer"]


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """A record in tokens.

    Attributes:
        ids: beginning-of-sequence first; the end-of-sequence token last, unless it was cut.
        n_prompt: tokens of the question.
        audio_id: of the sound, "" without one.
    """

    ids: tuple[int, ...]
    n_prompt: int
    audio_id: str

    def labels(self, loss: Loss) -> list[int]:
        """Targets: "all" are LTU's, question included; "answer" leaves the question out."""
        hidden = 1 if loss == "all" else self.n_prompt
        # The first token is no target, although a sound may precede it.
        return [IGNORED] * hidden + list(self.ids[hidden:])


def encode(record: QARecord, tokenizer: Any, *, cutoff: int = CUTOFF) -> TrainingExample:  # noqa: ANN401
    """Tokens of a record.

    Question and answer are tokenised together; a sequence that fits gets the end-of-sequence token,
    a longer one is cut without it, both as in LTU's `finetune.py`.

    Args:
        record: what to encode.
        tokenizer: of the base model.
        cutoff: most tokens.

    Raises:
        InvalidInputError: if nothing of the answer is left within `cutoff`.
    """
    prompt = write_prompt(record.instruction, record.input)
    n_prompt = len(tokenize(tokenizer, prompt))
    ids = tokenize(tokenizer, prompt + record.output)[:cutoff]
    if len(ids) <= n_prompt:
        raise InvalidInputError(
            f"The question {record.instruction!r:.60} takes {n_prompt} tokens, which leaves none "
            f"of {cutoff} to its answer. Shorten it, or raise the cutoff."
        )
    if len(ids) < cutoff:
        ids = [*ids, tokenizer.eos_token_id]
    return TrainingExample(tuple(ids), n_prompt, record.audio_id)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Examples one after the other in rows, padded on the right.

    Those of a row share its sound and do not see each other, so that a sound is encoded and read
    once for all its questions.

    Attributes:
        ids: shape (n_rows, n_tokens).
        labels: the same; `IGNORED` where there is no target.
        segments: the same; which example of the row a token is of, `PAD` for none.
        positions: the same; place of a token in its example.
        sounds: shape (n_rows, ...): input of the audio half; None for text alone.
    """

    ids: Tensor
    labels: Tensor
    segments: Tensor
    positions: Tensor
    sounds: Tensor | None

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> "Rows":
        """The same on a device, as tensors have it."""
        texts = (self.ids, self.labels, self.segments, self.positions)
        ids, labels, segments, positions = (
            tensor.to(device, non_blocking=non_blocking) for tensor in texts
        )
        heard = self.sounds
        sounds = None if heard is None else heard.to(device, non_blocking=non_blocking)
        return Rows(ids, labels, segments, positions, sounds)


Batch: TypeAlias = tuple[Rows, ...]
"""Rows with sound, and rows without."""


def collate(
    examples: Sequence[TrainingExample],
    sounds: Mapping[str, Tensor],
    *,
    loss: Loss,
    pad: int,
    per_row: int = 8,
) -> Batch:
    """Put examples into one batch.

    Args:
        examples: at least one.
        sounds: input of the audio half by `audio_id`, for every one that the examples name.
        loss: where the targets are.
        pad: id to fill up with.
        per_row: most examples in a row.
    """
    groups: dict[str, list[TrainingExample]] = {}
    for example in examples:
        groups.setdefault(example.audio_id, []).append(example)
    about = [(name, group) for name, group in groups.items() if name]
    found = []
    for kind in (about, [("", groups.get("", []))]):
        rows = [(name, some) for name, group in kind for some in _runs(group, per_row)]
        if rows:
            heard = torch.stack([sounds[name] for name, _ in rows]) if rows[0][0] else None
            found.append(_rows([some for _, some in rows], heard, loss, pad))
    return tuple(found)


def _runs(group: Sequence[TrainingExample], size: int) -> Iterable[Sequence[TrainingExample]]:
    return (group[at : at + size] for at in range(0, len(group), size))


def _rows(
    groups: Sequence[Sequence[TrainingExample]], sounds: Tensor | None, loss: Loss, pad: int
) -> Rows:
    def padded(of: Callable[[int, TrainingExample], Iterable[int]], fill: int) -> Tensor:
        rows = [[value for n, e in enumerate(group) for value in of(n, e)] for group in groups]
        return pad_sequence([torch.tensor(row) for row in rows], True, fill)

    return Rows(
        padded(lambda _, example: example.ids, pad),
        padded(lambda _, example: example.labels(loss), IGNORED),
        padded(lambda n, example: [n] * len(example.ids), PAD),
        padded(lambda _, example: range(len(example.ids)), 0),
        sounds,
    )
