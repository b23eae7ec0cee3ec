"""Training examples: question-answer records, their token ids, and batches of them."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from audioprobe.errors import InvalidInputError
from audioprobe.training.trainable import PromptTokenizer

MAX_TOKENS = 108
"""Longest sequence in LTU's training, in text tokens; longer sequences are truncated."""

IGNORED = -100
"""Label of a token that does not count in the loss, as in torch and transformers."""

PADDING = -1
"""Segment number of padding tokens, which belong to no example."""

LossTargets = Literal["all", "answer"]
"""Which tokens count in the loss: "all" (question and answer, as LTU does) or only the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QARecord:
    """A question with its answer; the fields have the names of LTU's training data (OpenAQA).

    Attributes:
        instruction: the question.
        output: the answer.
        audio_id: id of the clip; "" for a question without audio.
        input: text between question and answer: the transcript in LTU-AS, "" in LTU.
        dataset: name of the dataset from which the clip comes.
        task: kind of question, such as "caption"; used to count and to select questions.
    """

    instruction: str
    output: str
    audio_id: str = ""
    input: str = ""
    dataset: str = ""
    task: str = ""

    def __post_init__(self) -> None:
        if not self.instruction.strip() or not self.output.strip():
            raise InvalidInputError(
                "Expected a question and an answer that are not empty, got "
                f"{self.instruction!r:.60} and {self.output!r:.60}."
            )


_KEYS = tuple(field.name for field in fields(QARecord))


def write_qa_records(path: str | Path, records: Iterable[QARecord]) -> int:
    """Write records to a file, one JSON object per line, and return the number of records."""
    lines = [json.dumps(asdict(record), ensure_ascii=False) + "\n" for record in records]
    Path(path).write_text("".join(lines), encoding="utf-8")
    return len(lines)


def read_qa_records(path: str | Path) -> Iterator[QARecord]:
    """Read records from a file of JSON lines, or of one JSON list as published by LTU's authors.

    Raises:
        InvalidInputError: if the file cannot be read or is not JSON, or if a record lacks a key or
            has a value that is not text; the message names the record.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{path}: not readable as UTF-8 text ({error}).") from error
    entries: Iterable[object]
    if text.lstrip().startswith("["):
        entries = _parse_json(text, str(path))  # type: ignore[assignment]
    else:
        lines = [line for line in text.split("\n") if line.strip()]
        entries = (_parse_json(line, f"{path}, record {n}") for n, line in enumerate(lines, 1))
    for number, entry in enumerate(entries, 1):
        yield _record(entry, f"{path}, record {number}")


def _parse_json(text: str, source: str) -> object:
    try:
        parsed: object = json.loads(text)
    except ValueError as error:
        raise InvalidInputError(f"{source}: not JSON ({error}). Is the file complete?") from error
    return parsed


def _record(entry: object, source: str) -> QARecord:
    if not isinstance(entry, Mapping):
        raise InvalidInputError(f"{source}: expected an object, got {entry!r:.60}.")
    if missing := [key for key in _KEYS if key not in entry]:
        raise InvalidInputError(f"{source}: missing keys: {', '.join(missing)}.")
    if wrong := [key for key in _KEYS if not isinstance(entry[key], str)]:
        raise InvalidInputError(f"{source}: expected text as the value of {', '.join(wrong)}.")
    return QARecord(**{key: entry[key] for key in _KEYS})


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """The token ids of one question with its answer.

    Attributes:
        ids: token ids, from the beginning-of-sequence token to the end-of-sequence token; a
            truncated sequence has no end-of-sequence token.
        n_prompt: number of tokens of the prompt, which precede the answer.
        audio_id: id of the clip; "" if there is no audio.
    """

    ids: tuple[int, ...]
    n_prompt: int
    audio_id: str

    def labels(self, targets: LossTargets) -> list[int]:
        """Return the token ids, with `IGNORED` for tokens that do not count in the loss."""
        n_ignored = 1 if targets == "all" else self.n_prompt
        return [IGNORED] * n_ignored + list(self.ids[n_ignored:])


def encode_record(
    record: QARecord, tokenizer: PromptTokenizer, *, max_tokens: int = MAX_TOKENS
) -> TrainingExample:
    """Return the token ids of a record, computed as in LTU's `finetune.py`.

    Question and answer are tokenised together. A sequence shorter than `max_tokens` ends with the
    end-of-sequence token; a longer sequence is truncated and has no end-of-sequence token.

    Raises:
        InvalidInputError: if no token of the answer remains after truncation.
    """
    prompt = tokenizer.prompt(record.instruction, record.input)
    n_prompt = len(tokenizer.tokenize(prompt))
    ids = tokenizer.tokenize(prompt + record.output)[:max_tokens]
    if len(ids) <= n_prompt:
        raise InvalidInputError(
            f"The prompt with the question {record.instruction!r:.60} has {n_prompt} tokens, so "
            f"{max_tokens} tokens leave no space for the answer. Shorten the question, or raise "
            "max_tokens."
        )
    if len(ids) < max_tokens:
        ids = [*ids, tokenizer.eos_token_id]
    return TrainingExample(tuple(ids), n_prompt, record.audio_id)


@dataclass(frozen=True, slots=True, eq=False)
class PackedRows:
    """Several examples per row of a batch, padded on the right.

    All examples of a row belong to the same clip, so that the clip is encoded once for all
    questions about it. They do not attend to each other.

    Attributes:
        ids: token ids, shape (n_rows, n_tokens).
        labels: target ids or `IGNORED`, shape (n_rows, n_tokens).
        segments: index, within the row, of the example to which each token belongs, or `PADDING`,
            shape (n_rows, n_tokens).
        positions: position of each token in its example, shape (n_rows, n_tokens).
        audio: input of the audio encoder, shape (n_rows, ...); None if there is no audio.
    """

    ids: Tensor
    labels: Tensor
    segments: Tensor
    positions: Tensor
    audio: Tensor | None

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> "PackedRows":
        """Return a copy of the rows on a device."""
        ids, labels, segments, positions = (
            tensor.to(device, non_blocking=non_blocking)
            for tensor in (self.ids, self.labels, self.segments, self.positions)
        )
        audio = None if self.audio is None else self.audio.to(device, non_blocking=non_blocking)
        return PackedRows(ids, labels, segments, positions, audio)


AnswerBatch: TypeAlias = tuple[PackedRows, ...]
"""Up to two groups of rows: rows with audio, then rows without audio."""


def collate(
    examples: Sequence[TrainingExample],
    audio: Mapping[str, Tensor],
    *,
    targets: LossTargets,
    pad_id: int,
    per_row: int = 8,
) -> AnswerBatch:
    """Return one batch of examples, packed by clip.

    Args:
        examples: at least one example.
        audio: input of the audio encoder for every clip of the examples, by `audio_id`.
        targets: which tokens count in the loss.
        pad_id: token id of padding.
        per_row: largest number of examples in a row.
    """
    by_audio: dict[str, list[TrainingExample]] = {}
    for example in examples:
        by_audio.setdefault(example.audio_id, []).append(example)
    batch = []
    for with_audio in (True, False):
        rows = [
            (audio_id, group[start : start + per_row])
            for audio_id, group in by_audio.items()
            if bool(audio_id) == with_audio
            for start in range(0, len(group), per_row)
        ]
        if rows:
            features = torch.stack([audio[name] for name, _ in rows]) if with_audio else None
            batch.append(_pack([group for _, group in rows], features, targets, pad_id))
    return tuple(batch)


def _pack(
    groups: Sequence[Sequence[TrainingExample]],
    audio: Tensor | None,
    targets: LossTargets,
    pad_id: int,
) -> PackedRows:
    def padded(values: Callable[[int, TrainingExample], Iterable[int]], fill: int) -> Tensor:
        rows = [[v for n, example in enumerate(g) for v in values(n, example)] for g in groups]
        return pad_sequence([torch.tensor(row) for row in rows], True, fill)

    return PackedRows(
        padded(lambda _, example: example.ids, pad_id),
        padded(lambda _, example: example.labels(targets), IGNORED),
        padded(lambda n, example: [n] * len(example.ids), PADDING),
        padded(lambda _, example: range(len(example.ids)), 0),
        audio,
    )
