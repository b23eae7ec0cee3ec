"""Records as token ids with targets, the way LTU's trainer makes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from audioprobe.errors import InvalidInputError
from audioprobe.language_models.ltu_prompt import tokenize, write_prompt
from audioprobe.nets.ltu import IGNORED
from audioprobe.training.records import Record

CUTOFF = 108
"""Tokens of a sequence in LTU's training, sound not counted; longer ones are cut."""

Loss = Literal["all", "answer"]


@dataclass(frozen=True, slots=True)
class Example:
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


def encode(record: Record, tokenizer: Any, *, cutoff: int = CUTOFF) -> Example:  # noqa: ANN401
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
    return Example(tuple(ids), n_prompt, record.audio_id)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Examples side by side, padded on the right, where no earlier token sees the pads.

    Attributes:
        ids: shape (n_examples, n_tokens).
        labels: the same; `IGNORED` where there is no target.
        lengths: tokens of each example.
        sounds: shape (n_sounds, ...): input of the audio half, each sound once.
        heard: by example, its row in `sounds`, or -1 for text alone.
    """

    ids: Tensor
    labels: Tensor
    lengths: tuple[int, ...]
    sounds: Tensor | None
    heard: tuple[int, ...]


def collate(
    examples: Sequence[Example], sounds: dict[str, Tensor], *, loss: Loss, pad: int
) -> Batch:
    """Put examples into one batch.

    Args:
        examples: at least one.
        sounds: input of the audio half by `audio_id`, for every one that the examples name.
        loss: where the targets are.
        pad: id to fill up with.
    """
    names = list(dict.fromkeys(example.audio_id for example in examples if example.audio_id))
    rows = {name: row for row, name in enumerate(names)}
    return Batch(
        pad_sequence([torch.tensor(e.ids) for e in examples], True, pad),
        pad_sequence([torch.tensor(e.labels(loss)) for e in examples], True, IGNORED),
        tuple(len(example.ids) for example in examples),
        torch.stack([sounds[name] for name in names]) if names else None,
        tuple(rows.get(example.audio_id, -1) for example in examples),
    )
