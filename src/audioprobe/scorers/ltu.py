r"""LTU's own evaluation, text by text, for numbers that must compare with its published ones.

Ten scripts (`eval_esc.py`, `eval_as.py`, ...) of the LTU repository, commit 2002aad, differ in how
they cut captions and word labels. What they do is kept here as data, quirks included; nothing of it
is a default of this library:

- esc: what stands before the *last* colon goes: "Speech: a man speaks" loses "Speech".
- as, fsd50k, vggsound: the two characters after the marker "Audio caption" are dropped; without the
  marker, the first two *letters* are ("Sneezing" becomes "neezing" after the blank).
- bj, dcase, tut, vs: one character after the last colon is dropped in the same way.
- Quotation marks are removed in some scripts and kept in others; the full stop is always embedded.
- The mode "max" starts from zero, so negative cosines become 0. With text-embedding-ada-002 there
  are none; with local models there are, and ranks tie.
- Empty captions are embedded as the bare prefix.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from audioprobe.types import FloatArray

PREFIX = "sound of "


@dataclass(frozen=True, slots=True)
class LTUScorer:
    """How one script words captions and labels, and reads its reference answers.

    Attributes:
        caption_text: model output to embedded text.
        label_text: class name, as the script's class table has it, to embedded text.
        truth: reference answer to class names.
        clips_negatives: whether the script scores in the mode "max".
    """

    caption_text: Callable[[str], str]
    label_text: Callable[[str], str]
    truth: Callable[[str], tuple[str, ...]]
    clips_negatives: bool


def pool_ltu_scores(
    text_vectors: FloatArray, label_vectors: FloatArray, *, clips_negatives: bool
) -> FloatArray:
    """Scores of one clip that has several texts, as `get_pred` pools them.

    Args:
        text_vectors: shape (n_texts, width).
        label_vectors: shape (n_labels, width).
        clips_negatives: True is the mode "max" (the best cosine, at least 0), False is "accu" (the
            sum of the cosines).

    Returns:
        Shape (n_labels,).
    """
    units = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in (text_vectors, label_vectors)]
    cosines = units[0] @ units[1].T
    pooled: FloatArray = np.maximum(cosines.max(axis=0), 0.0) if clips_negatives else cosines.sum(0)
    return pooled


def _after_last_colon(caption: str) -> str:
    return PREFIX + caption.rsplit(":", maxsplit=1)[-1].lstrip().lower()


def _after_last_colon_less_one(caption: str) -> str:
    return PREFIX + caption.rsplit(":", maxsplit=1)[-1][1:].lower()


def _after_marker_less_two(caption: str) -> str:
    return PREFIX + caption.replace('"', "").split("Audio caption")[-1][2:].lower()


def _plain_label(label: str) -> str:
    return PREFIX + label.lower()


def _spaced_label(label: str) -> str:
    return PREFIX + label.replace("_", " ").lower()


def _comma_label(label: str) -> str:
    return PREFIX + label.replace("_", ", ").lower()


def _answer(reference: str) -> str:
    return reference.rsplit(":", maxsplit=1)[-1].lstrip()


def _one(reference: str) -> tuple[str, ...]:
    return (_answer(reference),)


def _one_lower(reference: str) -> tuple[str, ...]:
    return (reference.rsplit(": ", maxsplit=1)[-1].lower(),)


def _several(reference: str) -> tuple[str, ...]:
    return tuple(reference.rsplit(": ", maxsplit=1)[-1].split("; "))


def _without_commas(reference: str) -> tuple[str, ...]:
    return (_answer(reference).replace(",", ""),)


def _without_commas_and_hyphens(reference: str) -> tuple[str, ...]:
    return (_answer(reference).replace("\N{SOFT HYPHEN}", "").replace(",", ""),)


def _without_underscores(reference: str) -> tuple[str, ...]:
    return (_answer(reference).replace("_", " "),)


RECIPES = {
    "esc": LTUScorer(_after_last_colon, _spaced_label, _one, clips_negatives=False),
    "as": LTUScorer(_after_marker_less_two, _plain_label, _several, clips_negatives=False),
    "fsd50k": LTUScorer(_after_marker_less_two, _spaced_label, _several, clips_negatives=False),
    "vggsound": LTUScorer(_after_marker_less_two, _comma_label, _one_lower, clips_negatives=True),
    "vs": LTUScorer(_after_last_colon_less_one, _plain_label, _one, clips_negatives=True),
    "bj": LTUScorer(
        _after_last_colon_less_one, _plain_label, _without_commas_and_hyphens, clips_negatives=True
    ),
    "tut": LTUScorer(
        _after_last_colon_less_one, _plain_label, _without_underscores, clips_negatives=True
    ),
    "dcase": LTUScorer(
        _after_last_colon_less_one, _plain_label, _without_commas, clips_negatives=True
    ),
}
"""By the name of the data set: ESC-50, AudioSet, FSD50K, VGGSound, VocalSound, Beijing Opera,
TUT 2017 and DCASE 2017."""
