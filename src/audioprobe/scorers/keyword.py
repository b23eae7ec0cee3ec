"""A baseline scorer that compares the words of captions and labels."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.texts import (
    checked_captions,
    checked_labels,
    checked_synonyms,
    label_variants,
)
from audioprobe.types import ComponentInfo, FloatArray, InfoRepr

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")


class KeywordScorer(InfoRepr):
    """Scorer that returns the share of a label's words that are in the caption, in [0, 1].

    If a label has synonyms, the name with the highest share counts. Case and plural are ignored:
    "crow" is in "Crows call.", but not in "a crowd". The order of words and negation are ignored,
    too: "no rain" contains "rain".

    Args:
        synonyms: alternative names, keyed by label.
    """

    def __init__(self, *, synonyms: Mapping[str, Sequence[str]] | None = None) -> None:
        self._synonyms = checked_synonyms(synonyms)

    @property
    def info(self) -> ComponentInfo:
        """Name of the scorer, and the synonyms of each label as an option."""
        return ComponentInfo("scorer", "KeywordScorer", "1", self._synonyms)

    def score(self, captions: Sequence[str], labels: Sequence[str]) -> FloatArray:
        """Return the shares of words, float64 in [0, 1], shape (n_captions, n_labels).

        Raises:
            InvalidInputError: if a label is empty, repeated or without a word, or if a caption is
                empty.
        """
        captions, labels = checked_captions(captions), checked_labels(labels)
        variants = [self._variants(label) for label in labels]
        rows = []
        for caption in captions:
            words = frozenset().union(*split_words(caption))
            rows.append([max(_share(name, words) for name in names) for names in variants])
        return np.array(rows, dtype=np.float64).reshape(len(captions), len(labels))

    def _variants(self, label: str) -> list[list[frozenset[str]]]:
        """Return a list of words for the label and for each synonym; skip names without words."""
        names = label_variants(label, self._synonyms)
        variants = [words for name in names if (words := split_words(name))]
        if not variants:
            raise InvalidInputError(
                f"The label {label!r:.60} has no word, but KeywordScorer compares words. Remove "
                "the label, or pass synonyms with words."
            )
        return variants


def split_words(text: str) -> list[frozenset[str]]:
    """Split a text into words in lower case; return each word as a set of its possible forms.

    The forms of "crows" are "crows" and "crow".
    """
    return [_forms(word) for word in _WORD.findall(text.casefold())]


def _forms(word: str) -> frozenset[str]:
    """Return the forms that a word may have: without "'s", and as singular if it ends in "s"."""
    word = word.removesuffix("'s")
    forms = {word}
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        forms.add(word[:-1])
    if word.endswith("es") and word[:-2].endswith(("s", "x", "z", "ch", "sh")):
        forms.add(word[:-2])
    if word.endswith("ies"):
        forms.add(f"{word[:-3]}y")
    return frozenset(forms)


def _share(label: Sequence[frozenset[str]], caption: frozenset[str]) -> float:
    """Return the share of the label's words that are in the caption in any form."""
    return sum(bool(forms & caption) for forms in label) / len(label)
