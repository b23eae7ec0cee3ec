"""Words that a lens reads, and the tokens that stand for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from audioprobe.errors import InvalidInputError
from audioprobe.io.data_table import DataTable, TidyData
from audioprobe.protocols import Inspectable

TokenRule: TypeAlias = Literal["first", "mean"]
"""How a word of several tokens is read: by its first distinguishing token, or their mean."""


@dataclass(frozen=True, slots=True)
class WordTokens(TidyData):
    """Candidate words and the tokens by which they are read.

    With the rule "first", a word is read by one token: the first one after which no other word
    has the same beginning. With the rule "mean", it is read by all its tokens.

    Attributes:
        words: the words.
        ids: ids of the tokens that are read for each word.
        texts: texts of these tokens; they come from the vocabulary of the model.
        rule: rule for words of several tokens.
    """

    words: tuple[str, ...]
    ids: tuple[tuple[int, ...], ...]
    texts: tuple[tuple[str, ...], ...]
    rule: TokenRule

    @classmethod
    def of(
        cls, model: Inspectable, words: Sequence[str], rule: TokenRule = "first"
    ) -> "WordTokens":
        """Return the tokens of words.

        Args:
            model: model whose tokenizer is used.
            words: at least two different words, written as they follow the prompt: many tokenizers
                have different tokens for "crow" and " crow".
            rule: rule for words of several tokens.

        Raises:
            InvalidInputError: if there are fewer than two words, a word occurs twice, or the rule
                does not distinguish two words.
        """
        if rule not in get_args(TokenRule):
            raise InvalidInputError(f"Expected tokens 'first' or 'mean', got {rule!r}.")
        if len(words) < 2 or len(set(words)) < len(words):
            raise InvalidInputError(
                f"Expected at least two words without repetitions, got {list(words)!r:.200}."
            )
        all_ids = [tuple(model.continuation_ids(word)) for word in words]
        ids = all_ids if rule == "mean" else _distinguishing(words, all_ids)
        first_with: dict[tuple[int, ...], str] = {}
        for word, tokens in zip(words, ids, strict=True):
            other = first_with.setdefault(tuple(sorted(tokens)), word)
            if other != word:
                raise _indistinct(word, other)
        texts = tuple(tuple(model.token_texts(tokens)) for tokens in ids)
        return cls(tuple(words), tuple(ids), texts, rule)

    @property
    def unique_ids(self) -> tuple[int, ...]:
        """The ids that are read, each once, sorted."""
        return tuple(sorted({number for tokens in self.ids for number in tokens}))

    def only(self, chosen: Sequence[int]) -> "WordTokens":
        """Return some of the words, given their indices."""
        return WordTokens(
            tuple(self.words[n] for n in chosen),
            tuple(self.ids[n] for n in chosen),
            tuple(self.texts[n] for n in chosen),
            self.rule,
        )

    def averaged(self, values: Tensor) -> Tensor:
        """Return the mean over the tokens of each word.

        Args:
            values: values of `unique_ids`, shape (..., n_unique).

        Returns:
            Shape (..., n_words).
        """
        position = {number: n for n, number in enumerate(self.unique_ids)}
        weights = torch.zeros(len(position), len(self.words), dtype=values.dtype)
        for word, tokens in enumerate(self.ids):
            for number in tokens:
                weights[position[number], word] += 1 / len(tokens)
        return values @ weights.to(values.device)

    def data(self) -> DataTable:
        """Return a table with one row per word: its tokens and their ids."""
        rows = zip(self.words, self.ids, self.texts, strict=True)
        return DataTable.from_rows(
            ("word", "rule", "token_ids", "tokens"),
            [(word, self.rule, list(ids), list(texts)) for word, ids, texts in rows],
        )


def _distinguishing(words: Sequence[str], ids: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Return the first token of each word after which no other word has the same beginning."""
    tokens: list[tuple[int, ...]] = []
    for word, word_ids in enumerate(ids):
        shared = [_n_shared(word_ids, other) for n, other in enumerate(ids) if n != word]
        longest = max(shared)
        if longest == len(word_ids):
            other = next(
                n for n, each in enumerate(ids) if n != word and each[:longest] == word_ids
            )
            raise _indistinct(words[word], words[other])
        tokens.append((word_ids[longest],))
    return tokens


def _n_shared(first: Sequence[int], second: Sequence[int]) -> int:
    """Return the number of tokens that two words have in common at their beginning."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(first), len(second)))


def _indistinct(word: str, other: str) -> InvalidInputError:
    return InvalidInputError(
        f"Expected words with different tokens, but {word!r} cannot be distinguished from "
        f"{other!r}. Use the other rule for tokens ('first' or 'mean'), or remove a word."
    )
