"""Text passages for rehearsal and evaluation, and a check that they answer no probe question."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.training.examples import MAX_TOKENS, TrainingExample
from audioprobe.training.trainable import PromptTokenizer

SHIPPED = Path(__file__).parent / "passages"

Facts: TypeAlias = Sequence[tuple[str, str]]
"""Concepts, each with a class or another name: ("a crow", "a bird")."""

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+(?![a-z])|\n\s*\n")


@dataclass(frozen=True, slots=True)
class TextSet:
    """Passages of text.

    Attributes:
        name: "rehearsal" or "evaluation", or the path of the file.
        passages: in the order of the file, with their line breaks.
    """

    name: str
    passages: tuple[str, ...]

    @property
    def revision(self) -> str:
        """First 16 hex digits of the passages' SHA-256."""
        return hashlib.sha256(json.dumps(self.passages).encode()).hexdigest()[:16]


def read_texts(name: str | Path) -> TextSet:
    """Read a shipped set of passages by its name, or the passages of a file.

    Args:
        name: "rehearsal", "evaluation", or the path of a file in UTF-8 with blank lines between
            passages.

    Raises:
        InvalidInputError: if there is no such set or file, it is not UTF-8, or it has no passage.
    """
    shipped = {path.stem: path for path in sorted(SHIPPED.glob("*.txt"))}
    path = shipped.get(str(name), Path(name).expanduser())
    if not path.is_file():
        raise InvalidInputError(
            f"{name}: expected a file or a shipped set ({', '.join(shipped)})."
            f"{did_you_mean(str(name), shipped)}"
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{path}: not readable as UTF-8 ({error}).") from error
    passages = tuple(part.strip() for part in re.split(r"\n(?:[ \t]*\n)+", text) if part.strip())
    if not passages:
        raise InvalidInputError(f"{path}: no passage. Put blank lines between passages.")
    return TextSet(str(name), passages)


def encode_passages(
    texts: Sequence[str], tokenizer: PromptTokenizer, *, max_tokens: int = MAX_TOKENS
) -> list[TrainingExample]:
    """Return each text as an example in which every token but the first is a target.

    There is no end-of-sequence token, since a passage is part of a text.

    Args:
        texts: passages.
        tokenizer: of the model.
        max_tokens: longest example, beginning-of-sequence included; the rest of a text is cut.

    Raises:
        InvalidInputError: if fewer than 2 tokens of a text remain.
    """
    encoded = [tuple(tokenizer.tokenize(text)[: max(max_tokens, 0)]) for text in texts]
    for text, ids in zip(texts, encoded, strict=True):
        if len(ids) < 2:
            raise InvalidInputError(
                f"The text {text!r:.60} has {len(ids)} tokens within {max_tokens}, expected at "
                "least 2. Leave it out, or raise max_tokens."
            )
    return [TrainingExample(ids, 1, "") for ids in encoded]


def refuse_leaks(texts: Sequence[str], questions: Sequence[str], facts: Facts) -> None:
    """Refuse texts that contain answers to the questions of a probe.

    A text leaks if it contains a question word for word, or if one of its sentences has both names
    of a fact, not overlapping ("a church bell" alone does not say that it is a bell). Case,
    punctuation and articles are ignored; plurals in s, es or ies match, also of the first word
    ("birds of prey"). Other plurals, pronouns, and facts across sentences are not detected.

    Args:
        texts: for training or evaluation.
        questions: of the probe.
        facts: that answer them.

    Raises:
        InvalidInputError: if a text leaks, or a question or fact has no words.
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
            # Not overlapping: a name inside another one states nothing.
            if any(a[1] < b[0] or b[1] < a[0] for a in spans[concept] for b in spans[target]):
                yield f"has both {concept!r} and {target!r} in one sentence"


def _words(text: str) -> str:
    """Return the words of a text in lower case, separated by single spaces."""
    return " ".join(re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text).casefold()))


def _pattern(name: str) -> re.Pattern[str]:
    """Match a name without its article, its first and last word also in the plural."""
    words = re.sub("^(an?|the) (?=.)", "", _words(name)).split()
    if not words:
        raise InvalidInputError(f"Expected words in a fact, got {name!r}.")
    for at in {0, len(words) - 1}:
        word = words[at]
        words[at] = f"{word[:-1]}(?:ys?|ies)" if word.endswith("y") else f"{word}(?:e?s)?"
    return re.compile(rf"\b{' '.join(words)}\b")
