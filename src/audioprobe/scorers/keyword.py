"""The transparent baseline: does the caption say the label?"""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from audioprobe.scorers.labels import check_texts, wordings
from audioprobe.types import ComponentInfo, FloatArray

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")


class KeywordScorer:
    """The share of a label's words that the caption holds, in [0, 1]; the best of its synonyms.

    Words are compared without case and without a plural ending, so "crow" is in "Crows call.", and
    not in "a crowd". A score of 1 means that every word of the label was said, in any order. It
    understands nothing, on purpose: "no rain" says rain.

    Args:
        synonyms: other wordings by label.
    """

    def __init__(self, *, synonyms: Mapping[str, Sequence[str]] | None = None) -> None:
        self._synonyms = {label: tuple(words) for label, words in (synonyms or {}).items()}

    @property
    def info(self) -> ComponentInfo:
        """The synonyms, one option per label."""
        return ComponentInfo("scorer", "KeywordScorer", "1", self._synonyms)

    def score(self, captions: Sequence[str], labels: Sequence[str]) -> FloatArray:
        """Shares of words found, float64 in [0, 1], shape (n_captions, n_labels).

        Raises:
            InvalidInputError: for empty or repeated labels, or empty captions.
        """
        check_texts(captions, labels)
        variants = [[_stems(w) for w in wordings(label, self._synonyms)] for label in labels]
        rows = [
            [max(_share(variant, said) for variant in label) for label in variants]
            for said in map(_stems, captions)
        ]
        return np.array(rows, dtype=np.float64).reshape(len(captions), len(labels))


def _stems(text: str) -> frozenset[str]:
    return frozenset(_singular(word) for word in _WORD.findall(text.casefold()))


def _singular(word: str) -> str:
    """Without an English plural ending; both sides get the same, so a wrong cut does no harm."""
    if word.endswith(("ches", "shes", "sses", "xes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def _share(wanted: frozenset[str], said: frozenset[str]) -> float:
    return len(wanted & said) / len(wanted) if wanted else 0.0
