"""The transparent baseline: does the caption say the label?"""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.text_validation import (
    checked_captions,
    checked_labels,
    checked_synonyms,
    wordings,
)
from audioprobe.types import ComponentInfo, FloatArray

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")


class KeywordScorer:
    """The share of a label's words that the caption holds, in [0, 1]; the best of its synonyms.

    Words are compared without case, and in singular or plural, so "crow" is in "Crows call.", and
    not in "a crowd". A score of 1 means that every word of the label was said, in any order. It
    understands nothing, on purpose: "no rain" says rain.

    Args:
        synonyms: other wordings by label.
    """

    def __init__(self, *, synonyms: Mapping[str, Sequence[str]] | None = None) -> None:
        self._synonyms = checked_synonyms(synonyms)

    @property
    def info(self) -> ComponentInfo:
        """The synonyms, one option per label."""
        return ComponentInfo("scorer", "KeywordScorer", "1", self._synonyms)

    def score(self, captions: Sequence[str], labels: Sequence[str]) -> FloatArray:
        """Shares of words found, float64 in [0, 1], shape (n_captions, n_labels).

        Raises:
            InvalidInputError: for empty or repeated labels, a label without a word, or empty
                captions.
        """
        captions, labels = checked_captions(captions), checked_labels(labels)
        variants = [self._variants(label) for label in labels]
        rows = [
            [max(_share(wording, said) for wording in label) for label in variants]
            for said in (frozenset().union(*_words(caption)) for caption in captions)
        ]
        return np.array(rows, dtype=np.float64).reshape(len(captions), len(labels))

    def _variants(self, label: str) -> list[list[frozenset[str]]]:
        """The words of each wording that has any."""
        variants = [words for text in wordings(label, self._synonyms) if (words := _words(text))]
        if not variants:
            raise InvalidInputError(
                f"The label {label!r:.60} has no word that a caption could hold, and KeywordScorer "
                "compares words. Leave it out, or give synonyms with words."
            )
        return variants


def _words(text: str) -> list[frozenset[str]]:
    """The words of a text, each with its possible singular forms."""
    return [_forms(word) for word in _WORD.findall(text.casefold())]


def _forms(word: str) -> frozenset[str]:
    """The word without possessive, and what it would be the English plural of."""
    word = word.removesuffix("'s")
    forms = {word}
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        forms.add(word[:-1])
    if word.endswith("es") and word[:-2].endswith(("s", "x", "z", "ch", "sh")):
        forms.add(word[:-2])
    if word.endswith("ies"):
        forms.add(f"{word[:-3]}y")
    return frozenset(forms)


def _share(wanted: Sequence[frozenset[str]], said: frozenset[str]) -> float:
    return sum(bool(forms & said) for forms in wanted) / len(wanted)
