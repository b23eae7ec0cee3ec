"""Text passages for rehearsal and evaluation: reading, text loss, and a check for leaks.

A probe is a set of questions that measures what a model knows. A text leaks if it answers one of
these questions.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.training.examples import IGNORED, MAX_TOKENS, TrainingExample
from audioprobe.training.trainable import PromptTokenizer, TrainableModel

SHIPPED = Path(__file__).parent / "passages"

Facts: TypeAlias = Sequence[tuple[str, str]]
"""Pairs of a concept and its class or other name, such as ("a crow", "a bird")."""

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+(?![a-z])|\n\s*\n")


@dataclass(frozen=True, slots=True)
class TextSet:
    """A set of text passages.

    Attributes:
        name: "rehearsal", "evaluation", or the path of a file.
        passages: passages in the order of the file, with their line breaks.
    """

    name: str
    passages: tuple[str, ...]

    @property
    def revision(self) -> str:
        """Hash of the passages (16 hexadecimal digits), to detect changed texts."""
        return hashlib.sha256(json.dumps(self.passages).encode()).hexdigest()[:16]


def read_texts(name: str | Path) -> TextSet:
    """Read the passages of a file, or of a set that is part of audioprobe.

    Args:
        name: name of a set ("rehearsal" or "evaluation"), or path of a UTF-8 file with blank lines
            between passages.

    Raises:
        InvalidInputError: if neither a set nor a file has this name, or the file is not UTF-8 or
            has no passages.
    """
    shipped = {path.stem: path for path in sorted(SHIPPED.glob("*.txt"))}
    path = shipped.get(str(name), Path(name).expanduser())
    if not path.is_file():
        raise InvalidInputError(
            f"{name}: expected a file or the name of a shipped set ({', '.join(shipped)})."
            f"{did_you_mean(str(name), shipped)}"
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{path}: not readable as UTF-8 ({error}).") from error
    passages = tuple(part.strip() for part in re.split(r"\n(?:[ \t]*\n)+", text) if part.strip())
    if not passages:
        raise InvalidInputError(
            f"{path}: expected text passages separated by blank lines, got an empty file."
        )
    return TextSet(str(name), passages)


def encode_passages(
    texts: Sequence[str], tokenizer: PromptTokenizer, *, max_tokens: int = MAX_TOKENS
) -> list[TrainingExample]:
    """Return each text as a training example; the model learns to predict all tokens but the first.

    Examples have no end-of-sequence token, because a passage is an excerpt of a longer text.

    Args:
        texts: the passages.
        tokenizer: tokenizer of the model.
        max_tokens: largest number of tokens, including beginning-of-sequence; longer texts are
            truncated.

    Raises:
        InvalidInputError: if an example would have fewer than 2 tokens.
    """
    encoded = [tuple(tokenizer.tokenize(text)[: max(max_tokens, 0)]) for text in texts]
    for text, ids in zip(texts, encoded, strict=True):
        if len(ids) < 2:
            raise InvalidInputError(
                f"Expected at least 2 tokens per text, got {len(ids)} for {text!r:.60} with "
                f"max_tokens {max_tokens}. Leave this text out, or raise max_tokens."
            )
    return [TrainingExample(ids, 1, "") for ids in encoded]


class TextLoss(NamedTuple):
    """Negative log-likelihood of a text passage.

    Attributes:
        nats: sum over the target tokens (tokens that the model predicts).
        n_tokens: number of target tokens.
    """

    nats: float
    n_tokens: int


def text_losses(
    model: TrainableModel, examples: Sequence[TrainingExample], *, batch_size: int = 8
) -> tuple[TextLoss, ...]:
    """Return the text loss of each example, computed in evaluation mode.

    Args:
        model: model on any device; its training mode is restored afterwards.
        examples: examples without audio.
        batch_size: number of examples per forward pass; it changes results only by rounding errors.

    Raises:
        InvalidInputError: if the batch size is below 1, or an example has audio.
    """
    if batch_size < 1 or any(example.audio_id for example in examples):
        raise InvalidInputError(
            f"Expected a batch size of at least 1, got {batch_size}, and examples without audio, "
            f"got {sum(bool(example.audio_id) for example in examples)} examples with audio."
        )
    starts = range(0, len(examples), batch_size)
    with evaluation_mode(model.network), torch.inference_mode():
        return tuple(
            loss for at in starts for loss in _losses(model, examples[at : at + batch_size])
        )


def mean_text_loss(losses: Sequence[TextLoss]) -> float:
    """Return the mean loss per token over all passages, in nats."""
    return sum(loss.nats for loss in losses) / sum(loss.n_tokens for loss in losses)


@contextmanager
def evaluation_mode(module: nn.Module) -> Iterator[None]:
    """Context manager: set evaluation mode, and finally restore the mode of each submodule."""
    modes = [(submodule, submodule.training) for submodule in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for submodule, mode in modes:
            submodule.training = mode


def refuse_leaks(texts: Sequence[str], questions: Sequence[str], facts: Facts) -> None:
    """Raise if a text contains the answer to a question of a probe (a leak).

    A text leaks if it contains a question word for word, or if one of its sentences contains both
    names of a fact. The names must not overlap: "a church bell" alone does not state that a church
    bell is a bell. Case, punctuation and articles are ignored. Plurals in s, es or ies are
    detected, also of the first word ("birds of prey"); other plurals, pronouns, and facts in
    several sentences are not.

    Args:
        texts: texts for training or evaluation.
        questions: questions of the probe.
        facts: facts that answer the questions.

    Raises:
        InvalidInputError: if a text leaks, or a question or fact contains no words.
    """
    by_words = {_words(question): question for question in questions}
    if "" in by_words:
        raise InvalidInputError(f"Expected words in a question, got {by_words['']!r}.")
    patterns = {name: _pattern(name) for fact in facts for name in fact}
    unique = list(dict.fromkeys(facts))
    leaks = [(text, leak) for text in texts for leak in _leaks(text, by_words, patterns, unique)]
    if leaks:
        (text, leak), n_texts = leaks[0], len({text for text, _ in leaks})
        raise InvalidInputError(
            f"The text {text!r:.60} {leak}, which the probe asks; {n_texts} of {len(texts)} texts "
            f"have {len(leaks)} such leaks. Leave these texts out, or probe other concepts."
        )


def _losses(model: TrainableModel, examples: Sequence[TrainingExample]) -> Iterator[TextLoss]:
    # Padding follows the text, and attention is causal: no mask is needed.
    ids = pad_sequence([torch.tensor(x.ids) for x in examples], True)
    labels = pad_sequence([torch.tensor(x.labels("answer")) for x in examples], True, IGNORED)
    (states,) = model.hidden_states(model.embed(ids), last_only=True)
    logits = model.logits(states)[:, :-1].float()
    targets = labels[:, 1:].to(logits.device)
    losses = functional.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none"
    ).view_as(targets)
    n_tokens = (targets != IGNORED).sum(1)
    yield from map(TextLoss, losses.double().sum(1).tolist(), n_tokens.tolist())


def _leaks(
    text: str,
    questions: Mapping[str, str],
    patterns: Mapping[str, re.Pattern[str]],
    facts: Facts,
) -> Iterator[str]:
    words = f" {_words(text)} "
    yield from (
        f"contains the question {questions[question]!r}"
        for question in questions
        if f" {question} " in words
    )
    for sentence in _SENTENCE_END.split(text):
        words = _words(sentence)
        spans = {name: [m.span() for m in p.finditer(words)] for name, p in patterns.items()}
        for concept, target in facts:
            # Overlapping names do not count: "church bell" does not state that it is a bell.
            if any(a[1] < b[0] or b[1] < a[0] for a in spans[concept] for b in spans[target]):
                yield f"has both {concept!r} and {target!r} in one sentence"


def _words(text: str) -> str:
    """Return the words of a text in lower case, separated by single spaces."""
    return " ".join(re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text).casefold()))


def _pattern(name: str) -> re.Pattern[str]:
    """Return a regular expression for a name without article, in singular or plural."""
    words = re.sub("^(an?|the) (?=.)", "", _words(name)).split()
    if not words:
        raise InvalidInputError(f"Expected words in a fact, got {name!r}.")
    for at in {0, len(words) - 1}:
        word = words[at]
        words[at] = f"{word[:-1]}(?:ys?|ies)" if word.endswith("y") else f"{word}(?:e?s)?"
    return re.compile(rf"\b{' '.join(words)}\b")
